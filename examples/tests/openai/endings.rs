//! One end of each run, and the agent's own result, whoever drops, fails, panics or raises.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::task::Poll;

use callbacks::events::{AnyEvent, ChatModelStart, LlmEnd, LlmNewToken};
use callbacks::testing::Faulty;
use callbacks::{Callbacks, EmitError, ErrorKind, handler};
use callbacks_examples::ChatError;
use callbacks_loopback::{Event, Gate, Reply};
use futures_util::future::FutureExt;
use tokio::task::yield_now;

use crate::agent::{agent, script};
use crate::{Scene, because, chat};

/// Polls it whenever it wants to be, so many times at most.
async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut polled = 0;
    poll_fn(|cx| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last one: the future is dropped here.
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn suspends() -> Faulty {
    // Makes every emission a place to be dropped at.
    Faulty::calling_async(|_| async {
        for _ in 0..3 {
            yield_now().await;
        }
    })
}

/// Wherever it is dropped: after every number of polls that it may have had.
async fn dropped_anywhere(streaming: bool, least: usize) {
    for polls in 0.. {
        let scene = Scene::with(&Callbacks::new().with(suspends()), script("3"));
        let chat = scene.chat.clone().streaming(streaming);
        let answer = polled(agent(&chat, &scene.callbacks), polls).await;
        scene.settle().await;
        if let Some(answer) = answer {
            assert_eq!(answer.unwrap(), "Because.");
            assert!(polls > least, "{polls}");
            return;
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_dropped_ends_all_its_runs() {
    dropped_anywhere(true, 30).await;
}

#[tokio::test]
async fn an_agent_that_is_dropped_ends_all_its_runs_without_streams() {
    dropped_anywhere(false, 12).await;
}

/// The request is called off, and what had arrived is told.
#[tokio::test]
async fn who_drops_a_stream_hangs_up() {
    let gate = Gate::new();
    let scene = Scene::new([Reply::from(because()).after(3, Event::Hold(gate.clone()))]);
    let (told, mut tokens) = tokio::sync::mpsc::unbounded_channel();
    let tells = Faulty::calling(move |_| {
        let _ = told.send(());
    })
    .on::<LlmNewToken<'_>>();
    let chat = scene
        .chat
        .clone()
        .callbacks(scene.callbacks.clone().with(tells));
    let mut asking = Box::pin(chat.invoke("Why?"));
    for _ in 0..3 {
        tokio::select! {
            _ = &mut asking => panic!("nobody has let it go on"),
            _ = tokens.recv() => {}
        }
    }
    gate.reached().await;
    drop(asking);
    scene.server.left(1).await;
    scene.settle().await;
    let (error, partial) = scene.error().unwrap();
    assert_eq!(error.kind, ErrorKind::Dropped);
    assert_eq!(partial.unwrap().text(), "Because");
}

#[tokio::test]
async fn who_drops_a_request_hangs_up() {
    for streaming in [true, false] {
        let gate = Gate::new();
        let scene = Scene::new([Reply::from(because()).held(&gate)]);
        let chat = scene.chat.clone().streaming(streaming);
        tokio::select! {
            _ = chat.invoke("Why?") => panic!("nobody has let it go on"),
            () = gate.reached() => {}
        }
        scene.server.left(1).await;
        scene.settle().await;
        let (error, partial) = scene.error().unwrap();
        assert_eq!((error.kind, partial), (ErrorKind::Dropped, None));
    }
}

#[tokio::test]
async fn a_tool_that_panics_ends_its_run_and_those_around_it() {
    let scene = Scene::new(script("0"));
    let running = AssertUnwindSafe(agent(&scene.chat, &scene.callbacks)).catch_unwind();
    running.await.unwrap_err();
    scene.settle().await;
    let events = scene.recorder.events();
    let kind = |event: AnyEvent<'_>| match event {
        AnyEvent::ToolError(event) => Some(event.error.kind),
        AnyEvent::ChainError(event) => Some(event.error.kind),
        _ => None,
    };
    let kinds: Vec<_> = events
        .iter()
        .filter_map(|event| kind(event.event()))
        .collect();
    assert_eq!(kinds, [ErrorKind::Panicked; 2]);
    assert_eq!(scene.end().unwrap().text(), "I divide.");
}

#[tokio::test]
async fn an_error_of_the_model_is_the_agents() {
    let [asks, _] = script("3");
    let scene = Scene::new([asks, Reply::from(because()).after(2, Event::Cut)]);
    let error = agent(&scene.chat, &scene.callbacks).await.unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(ChatError::Client(_))),
        "{error:?}"
    );
    scene.settle().await;
}

#[tokio::test]
async fn handlers_that_fail_change_nothing() {
    for faulty in [
        Faulty::error("no disk"),
        Faulty::panic("no disk"),
        Faulty::error("no disk").asynchronous(),
        Faulty::panic("no disk").asynchronous(),
    ] {
        for streaming in [true, false] {
            let quiet = Scene::new([because()]);
            let quiet = chat(&quiet.server)
                .streaming(streaming)
                .invoke("Why?")
                .await;
            let others = Callbacks::new().with(faulty.clone());
            let scene = Scene::with(&others, [because()]);
            let result = scene.chat.clone().streaming(streaming).invoke("Why?").await;
            assert_eq!(result.unwrap(), quiet.unwrap());
            scene.settle().await;
            assert!(faulty.calls() > 0);
        }
    }
}

/// Unless they are to: then the run that the event belongs to fails, and those around it.
#[tokio::test]
async fn handlers_that_raise_end_the_agent() {
    let cases = [
        (Faulty::error("no disk").on::<ChatModelStart<'_>>(), 0),
        (Faulty::error("no disk").on::<LlmNewToken<'_>>(), 1),
        (Faulty::error("no disk").on::<LlmEnd<'_>>(), 1),
    ];
    for (faulty, requests) in cases {
        let others = Callbacks::new().with(handler(faulty).raise_errors());
        let scene = Scene::with(&others, script("3"));
        let error = agent(&scene.chat, &scene.callbacks).await.unwrap_err();
        let Some(ChatError::Callback(raised)) = error.downcast_ref() else {
            panic!("{error:?}");
        };
        assert!(matches!(raised, EmitError::Raised { .. }), "{raised:?}");
        assert_eq!(scene.server.requests().len(), requests);
        scene.settle().await;
    }
}

/// Two at once, on one model.
#[tokio::test(flavor = "multi_thread")]
async fn answers_at_once_do_not_mix() {
    let scene = Scene::new(vec![because(); 16]);
    let asked = (0..16).map(|_| scene.ask());
    for result in futures_util::future::join_all(asked).await {
        assert_eq!(result.unwrap().text(), "Because.");
    }
    scene.settle().await;
    scene.recorder.assert_in_order();
}
