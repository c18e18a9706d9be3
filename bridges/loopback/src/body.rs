//! The body of a reply, step by step.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::watch;
use tokio::task::yield_now;

use crate::reply::Step;

/// What is to be sent. It counts itself, if it is dropped before its steps are done.
pub(crate) struct Playing {
    steps: VecDeque<Step>,
    left: Arc<watch::Sender<usize>>,
}

impl Playing {
    pub(crate) fn new(steps: Vec<Step>, left: Arc<watch::Sender<usize>>) -> Self {
        let steps = steps.into();
        Self { steps, left }
    }

    /// Waits where the next step is to wait.
    pub(crate) async fn hold(&mut self) {
        // A gate stays where it is while it is shut: the reply is not done.
        while let Some(Step::Hold(gate)) = self.steps.front() {
            gate.pass().await;
            self.steps.pop_front();
        }
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.hold().await;
        match self.steps.pop_front()? {
            Step::Send(bytes) => Some(Ok(bytes.into())),
            Step::Hold(_) | Step::Cut => {
                // What was sent before is written while this waits, and lost with the connection otherwise.
                yield_now().await;
                Some(Err(io::ErrorKind::ConnectionReset.into()))
            }
        }
    }

    /// Each piece is one of HTTP's chunks. An error cuts the connection.
    pub(crate) fn into_body(self) -> StreamBody<impl Stream<Item = io::Result<Frame<Bytes>>>> {
        StreamBody::new(stream::unfold(self, |mut playing| async {
            let next = playing.next().await?;
            Some((next.map(Frame::data), playing))
        }))
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        if !self.steps.is_empty() {
            self.left.send_modify(|left| *left += 1);
        }
    }
}
