//! Calls of handlers away from the emission: on lanes, whether it waits for them or not.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::aftermath::Aftermath;
use super::call::{Calls, call_lane, poll_all, quietly};
use super::dispatcher::{Background, Entry};
use super::driven::to_its_end;
use super::lane::{Job, Numbered};
use super::room::Room;
use super::sequencer::To;
use super::surroundings::Surroundings;
use super::waiting::Verdict;
use crate::{BoxFuture, EventSet, Live, Run};

/// An event for one handler, to be called elsewhere.
pub(super) struct QueuedCall<S: EventSet> {
    pub(super) entry: Arc<Entry<S>>,
    /// Shared, for to copy or drop a span is code of users, which does not run under a lock.
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) info: Live,
    pub(super) recorded_at: Option<SystemTime>,
    pub(super) event: Arc<S::Owned>,
}

/// The emission that waits for the call.
pub(super) struct Emission {
    pub(super) tell: oneshot::Sender<Aftermath>,
    pub(super) verdict: Verdict,
}

impl<S: EventSet> QueuedCall<S> {
    /// On the lane of the handler, for an emission that waits.
    pub(super) fn awaited(self, emission: Emission) -> To {
        let whose = self.entry.whose();
        let call = move |numbered| self.call(numbered, Some(emission));
        To::Lane(whose, Job::Call(Box::new(call)))
    }

    /// In the background, by whatever methods it has.
    pub(super) fn background(self, to: &Background<S>, room: Room, mut queue: impl FnMut(To)) {
        if matches!(room, Room::None) {
            (0..to.calls()).for_each(|_| queue(To::Nowhere));
            return;
        }
        if let Some(sink) = &to.entry.sink {
            let write = sink.write(self.info, self.recorded_at, self.event, room);
            let write = move |numbered: Numbered| write(numbered.seq, numbered.receipt);
            return queue(To::Stream(Box::new(write)));
        }
        let whose = self.entry.whose();
        match (to.call, to.task) {
            (true, false) => queue(To::Lane(whose, self.call_job(room))),
            (false, _) => queue(To::Lane(whose, self.task_job(room))),
            (true, true) => {
                queue(To::Lane(whose.clone(), self.again().call_job(room)));
                queue(To::Lane(whose, self.task_job(Room::Passes)));
            }
        }
    }

    fn again(&self) -> Self {
        Self {
            entry: self.entry.clone(),
            surroundings: self.surroundings.clone(),
            info: self.info.clone(),
            recorded_at: self.recorded_at,
            event: self.event.clone(),
        }
    }

    fn call_job(self, room: Room) -> Job {
        Job::Call(Box::new(move |numbered| {
            drop(room);
            self.call(numbered, None);
        }))
    }

    fn task_job(self, room: Room) -> Job {
        let runtime = self.surroundings.runtime_for_tasks();
        let start = move |numbered| -> BoxFuture<'static, ()> {
            drop(room);
            Box::pin(self.drive(numbered))
        };
        Job::Task(runtime, Box::new(start))
    }

    /// Calls the sync method.
    fn call(self, numbered: Numbered, emission: Option<Emission>) {
        let Self {
            entry,
            surroundings,
            info,
            recorded_at,
            event,
        } = self;
        let Numbered { seq, receipt } = numbered;
        if let Some(Emission { tell, verdict }) = emission.as_ref().filter(|_| entry.asks)
            && tell.is_closed()
        {
            // It is counted already if its time was up.
            if verdict.claim() {
                drop(receipt);
            } else {
                receipt.counted();
            }
            quietly(|| drop((entry, event, info)));
            quietly(|| drop(surroundings));
            return;
        }
        let verdict = emission.as_ref().map(|emission| &emission.verdict);
        let aftermath = surroundings.call(|| {
            let (run, view) = (Run::new(&info, seq, recorded_at), S::view(&event));
            let aftermath = call_lane(&entry, &run, &view, receipt, verdict);
            quietly(|| drop((entry, event, info)));
            aftermath
        });
        quietly(|| drop(surroundings));
        // Whoever waits may count on it that the handler is left alone.
        if let Some(emission) = emission {
            // Nobody waits if the emission was dropped.
            let _ = emission.tell.send(aftermath);
        }
    }

    /// Calls the async method.
    async fn drive(self, numbered: Numbered) {
        let Self {
            entry,
            surroundings,
            info,
            recorded_at,
            event,
        } = self;
        let Numbered { seq, receipt } = numbered;
        let entry = [entry];
        let called = async {
            let (run, event) = (Run::new(&info, seq, recorded_at), S::view(&event));
            let mut receipts = [Some(receipt)];
            let (mut waiting, mut aftermath) = (Vec::new(), Aftermath::default());
            poll_fn(|cx| {
                let (entries, receipts) = (&entry, &mut receipts);
                let calls = Calls { entries, receipts };
                poll_all(calls, &run, &event, &mut aftermath, &mut waiting, cx);
                Poll::Ready(())
            })
            .await;
            aftermath.hand_on();
            join_all(waiting).await;
        };
        to_its_end(Surroundings::clone(&surroundings).around(called)).await;
        quietly(|| drop((entry, event, info)));
        quietly(|| drop(surroundings));
    }
}
