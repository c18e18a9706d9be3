//! An agent that is given up, or never begun.

use std::task::Poll;

use callbacks::testing::{Faulty, Recorder};
use callbacks::{Callbacks, handler};
use callbacks_loopback::{Event, Gate, Reply, Server};
use callbacks_rig::Observe;
use futures_util::future::{BoxFuture, poll_fn};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::task::yield_now;

use super::{ask, partial};
use crate::common::{ANSWER, agent, answers, failures, recorded, script, serve, settle};

/// Polls it so many times: each time when it is woken.
async fn poll_times<T>(future: &mut BoxFuture<'_, T>, mut polls: usize) -> Option<T> {
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.poll_unpin(cx) {
            Poll::Pending if polls == 0 => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await
}

/// Wherever it is dropped: after every number of polls that it may have had.
async fn dropped_everywhere(streamed: bool) {
    let server = serve(script);
    let agent = agent(&server);
    for polls in 0.. {
        let recorder = Recorder::new();
        // A handler that suspends makes every emission a place to be dropped at.
        let suspends = Faulty::calling_async(|_| async {
            for _ in 0..5 {
                yield_now().await;
            }
        });
        let callbacks = Callbacks::new()
            .with(handler(recorder.clone()).inline())
            .with(suspends);
        let mut running = ask(&agent, streamed, Some(&callbacks));
        let answer = poll_times(&mut running, polls).await;
        drop(running);
        settle(&callbacks).await;
        recorder.assert_balanced();
        if let Some(answer) = answer {
            assert_eq!(answer.as_deref(), Ok(ANSWER));
            assert!(polls > 20, "{polls}");
            return;
        }
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_ends_all_its_runs() {
    dropped_everywhere(false).await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_all_its_runs() {
    dropped_everywhere(true).await;
}

/// While the model speaks, and with what it had said.
#[tokio::test]
async fn a_stream_that_is_dropped_midway_has_a_partial_answer() {
    let server =
        Server::start([Reply::from(answers()).after(3, Event::Hold(Gate::new()))]).unwrap();
    let (recorder, callbacks) = recorded();
    let mut stream = agent(&server).prompt("Why?").observed(&callbacks).stream();
    let mut said = 0;
    while said < 2 {
        let item = stream.next().await.unwrap().unwrap();
        said += usize::from(json!(item).to_string().contains(r#""text":""#));
    }
    drop(stream);
    server.left(1).await;
    settle(&callbacks).await;
    recorder.assert_balanced();
    let expected = [
        "on_llm_error dropped: the run was dropped before it ended",
        "on_chain_error dropped: the run was dropped before it ended",
    ];
    assert_eq!(failures(&recorder), expected);
    assert_eq!(partial(&recorder).unwrap().text(), "Sunny at");
}

#[tokio::test]
async fn a_run_that_nobody_polls_does_not_begin() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let agent = agent(&server);
    drop(agent.prompt("Why?").observed(&callbacks).into_future());
    drop(agent.prompt("Why?").observed(&callbacks).stream());
    settle(&callbacks).await;
    assert!(recorder.is_empty());
}

/// Whoever has the response may drop the stream.
#[tokio::test]
async fn a_run_is_over_when_the_response_is_given_out() {
    let server = Server::start([answers()]).unwrap();
    let (recorder, callbacks) = recorded();
    let mut stream = agent(&server).prompt("Why?").observed(&callbacks).stream();
    while let Some(item) = stream.next().await {
        if json!(item.unwrap())["type"] == "finalResponse" {
            break;
        }
    }
    drop(stream);
    settle(&callbacks).await;
    recorder.assert_balanced();
    assert_eq!(failures(&recorder), [""; 0]);
}
