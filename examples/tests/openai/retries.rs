//! What is tried again, and that nobody tries again in silence. Time is paused: who waits, waits for nothing.

use std::time::{Duration, Instant, SystemTime};

use callbacks::events::{AnyEvent, Retry};
use callbacks::testing::{Faulty, assert_events};
use callbacks::{Callbacks, EmitError, ErrorKind, RetryState, handler};
use callbacks_examples::ChatError;
use callbacks_loopback::Reply;

use crate::{Scene, because};

fn busy() -> Reply {
    Reply::error(429, "slow down")
}

fn told(scene: &Scene) -> Vec<RetryState> {
    let events = scene.recorder.events();
    let retry = |event: AnyEvent<'_>| match event {
        AnyEvent::Retry(event) => Some(event.retry_state.clone()),
        _ => None,
    };
    let retries = events.iter().filter_map(|event| retry(event.event()));
    retries.collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_is_left_alone_for_as_long_as_it_says() {
    let scene = Scene::new([busy().header("retry-after", "7"), because().into()]);
    let result = scene.ask().await.unwrap();
    assert_eq!(result.text(), "Because.");
    let [state] = &told(&scene)[..] else {
        panic!("{:?}", told(&scene));
    };
    assert_eq!((state.attempt, state.max_attempts), (1, Some(3)));
    assert_eq!(state.wait, Some(Duration::from_secs(7)));
    assert_eq!(state.error.as_ref().unwrap().message, "429: slow down");
    assert_eq!(scene.server.requests().len(), 2);
    // In the run that tries, before its first token.
    let method = scene.recorder.events()[1].method();
    assert_eq!(method, "on_retry");
    scene.settle().await;
}

/// In real time, for a paused clock runs on while the network is waited for. It may take longer.
#[tokio::test]
async fn it_is_not_tried_before_that() {
    let scene = Scene::new([busy().header("retry-after-ms", "300"), because().into()]);
    let before = Instant::now();
    scene.ask().await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn milliseconds_and_dates_are_understood() {
    let date = SystemTime::now() + Duration::from_secs(30);
    let scene = Scene::new([
        busy()
            .header("retry-after-ms", "20")
            .header("retry-after", "1"),
        busy().header("retry-after", &httpdate::fmt_http_date(date)),
        because().into(),
    ]);
    scene.ask().await.unwrap();
    let waits: Vec<_> = told(&scene)
        .into_iter()
        .filter_map(|state| state.wait)
        .collect();
    assert_eq!(waits[0], Duration::from_millis(20));
    // A date has whole seconds, and some time has passed.
    assert!(
        waits[1] > Duration::from_secs(5) && waits[1] <= Duration::from_secs(30),
        "{waits:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_says_doubles() {
    let broken = || Reply::raw(500, "<html>");
    // To wait for an hour helps nobody.
    let long = busy().header("retry-after", "3600");
    let scene = Scene::new([broken(), long, broken(), because().into()]);
    let chat = scene.chat.clone().max_attempts(4);
    chat.invoke("Why?").await.unwrap();
    let waits: Vec<_> = told(&scene)
        .into_iter()
        .filter_map(|state| state.wait)
        .collect();
    let mut backoff = Duration::from_millis(500);
    for wait in &waits {
        assert!((backoff..=backoff * 2).contains(wait), "{waits:?}");
        backoff *= 2;
    }
    assert_eq!(waits.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_is_the_last() {
    for streaming in [true, false] {
        let scene = Scene::new([busy(), busy(), busy(), because().into()]);
        let chat = scene.chat.clone().streaming(streaming);
        let error = chat.invoke("Why?").await.unwrap_err();
        assert!(
            matches!(error, ChatError::Refused { status: 429, .. }),
            "{error:?}"
        );
        assert_events!(scene.recorder, [ChatModelStart, Retry, Retry, LlmError]);
        assert_eq!(scene.server.requests().len(), 3);
        scene.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_listens_it_is_tried_again_and_told() {
    let scene = Scene::new([busy()]);
    let chat = scene
        .chat
        .clone()
        .endpoint("http://127.0.0.1:9/v1", "")
        .unwrap();
    let error = chat.max_attempts(2).invoke("Why?").await.unwrap_err();
    assert!(matches!(error, ChatError::Client(_)), "{error:?}");
    assert_events!(scene.recorder, [ChatModelStart, Retry, LlmError]);
    scene.settle().await;
}

#[tokio::test(start_paused = true)]
async fn who_raises_at_a_retry_ends_it() {
    let faulty = handler(Faulty::error("no disk").on::<Retry<'_>>()).raise_errors();
    let scene = Scene::with(&Callbacks::new().with(faulty), [busy(), because().into()]);
    let error = scene.ask().await.unwrap_err();
    assert!(
        matches!(error, ChatError::Callback(EmitError::Raised { .. })),
        "{error:?}"
    );
    assert_eq!(scene.server.requests().len(), 1);
    scene.settle().await;
}

#[tokio::test]
async fn who_leaves_while_it_waits_ends_the_run_once() {
    let (told, mut retries) = tokio::sync::mpsc::unbounded_channel();
    let tells = Faulty::calling(move |_| {
        let _ = told.send(());
    });
    let tells = handler(tells.on::<Retry<'_>>()).inline();
    let script = [busy().header("retry-after", "50"), because().into()];
    let scene = Scene::with(&Callbacks::new().with(tells), script);
    tokio::select! {
        // Told inline, so by then it waits.
        biased;
        _ = scene.ask() => panic!("it did not wait"),
        _ = retries.recv() => {}
    }
    scene.settle().await;
    assert_events!(scene.recorder, [ChatModelStart, Retry, LlmError]);
    let (error, partial) = scene.error().unwrap();
    assert_eq!((error.kind, partial), (ErrorKind::Dropped, None));
    assert_eq!(scene.server.requests().len(), 1);
}
