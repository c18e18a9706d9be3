//! The errors that items may fail with.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callbacks::events::{LlmEnd, LlmError, LlmNewToken};
use callbacks::{Callbacks, Chunk, ErrorKind, Event, Interests, RunError, StreamError, handler};
use callbacks_tests::start;
use futures_util::{StreamExt, stream};

use super::recorded;

/// What is told of an item that fails with this. It must come out as it is, too.
async fn told<E: StreamError<Via>, Via>(error: E) -> RunError {
    let (callbacks, recorder) = recorded("lane");
    let run = start(&callbacks).await;
    let inner = stream::iter([Err(error)]);
    let items = run.stream(inner, |word: &String| Chunk::text(word));
    let items: Vec<_> = items.collect().await;
    assert!(matches!(&items[..], [Err(_)]));
    let events = recorder.events();
    let last = events.last().unwrap().event();
    LlmError::of(&last).unwrap().error.clone()
}

/// An error with another one behind it.
#[derive(Debug)]
struct Outer<'a>(&'a str, io::Error);

impl fmt::Display for Outer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Outer<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.1)
    }
}

fn outer() -> Outer<'static> {
    Outer("outer", io::Error::other("inner"))
}

/// Like `anyhow::Error`.
struct Any(Box<dyn Error + Send + Sync>);

impl Deref for Any {
    type Target = dyn Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl DerefMut for Any {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0
    }
}

/// No error, but it can say what it is.
struct Status(u16);

impl From<&Status> for RunError {
    fn from(status: &Status) -> Self {
        Self::new(format!("status {}", status.0)).with_kind(ErrorKind::Cancelled)
    }
}

#[tokio::test]
async fn errors_bring_their_types_and_sources() {
    let error = RunError::new("outer").with_sources(["inner"]);
    let outer_type = "stream::errors::Outer<'_>";
    assert_eq!(
        told(outer()).await,
        error.clone().with_type_name(outer_type)
    );
    // not `'static`
    let text = String::from("outer");
    let borrowing = Outer(&text, io::Error::other("inner"));
    assert_eq!(
        told(borrowing).await,
        error.clone().with_type_name(outer_type)
    );
    assert_eq!(
        told(&outer()).await,
        error.clone().with_type_name(outer_type)
    );

    let boxed: Box<dyn Error> = Box::new(outer());
    let sent: Box<dyn Error + Send> = Box::new(outer());
    let shared: Box<dyn Error + Send + Sync> = Box::new(outer());
    let any = Any(Box::new(outer()));
    let counted: Arc<dyn Error + Send + Sync> = Arc::new(outer());
    for told in [
        told(boxed).await,
        told(sent).await,
        told(shared).await,
        told(any).await,
        told(counted).await,
        told(Box::new(outer())).await,
    ] {
        assert_eq!(told.message, "outer");
        assert_eq!(told.sources, ["inner"]);
        assert_eq!(told.kind, ErrorKind::Failed);
    }
}

#[tokio::test]
async fn texts_are_errors() {
    let error = RunError::new("text");
    assert_eq!(told("text").await, error);
    assert_eq!(told("text".to_owned()).await, error);
    assert_eq!(told(Cow::Borrowed("text")).await, error);
    assert_eq!(told(Box::<str>::from("text")).await, error);
}

#[tokio::test]
async fn a_run_error_stays_as_it_is() {
    let error = RunError::new("left").with_kind(ErrorKind::Cancelled);
    assert_eq!(told(error.clone()).await, error);
    assert_eq!(
        told(Status(401)).await,
        RunError::new("status 401").with_kind(ErrorKind::Cancelled)
    );
}

/// Code that is generic over errors is of the first kind.
#[tokio::test]
async fn generic_errors() {
    async fn generic<E: Error>(error: E) -> RunError {
        told(error).await
    }

    assert_eq!(generic(outer()).await.message, "outer");
}

/// Counts how often it is shown.
#[derive(Debug)]
struct Shown(Arc<AtomicUsize>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch_add(1, Ordering::Relaxed);
        f.write_str("shown")
    }
}

impl Error for Shown {}

#[tokio::test]
async fn an_error_that_nobody_hears_of_is_not_shown() {
    let heard = Interests::of(&[LlmNewToken::INDEX, LlmEnd::INDEX]);
    for (events, times) in [
        (Interests::NONE, 0),
        (heard, 0),
        (heard | Interests::of(&[LlmError::INDEX]), 1),
    ] {
        let recorder = callbacks::testing::Recorder::new();
        let callbacks = Callbacks::new().with(handler(recorder).only(events));
        let run = start(&callbacks).await;
        let shown = Arc::new(AtomicUsize::new(0));
        let inner = stream::iter([Err::<&str, _>(Shown(shown.clone()))]);
        assert_eq!(run.stream(inner, super::chunk).count().await, 1);
        assert_eq!(shown.load(Ordering::Relaxed), times);
    }
}
