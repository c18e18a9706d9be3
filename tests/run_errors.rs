//! The errors that runs may end with.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use callbacks::events::{LlmError, ToolError};
use callbacks::testing::Recorder;
use callbacks::{
    BoxError, Callbacks, ErrorKind, Event, IntoRunError, LlmResult, RetryState, RunError,
    Serialized,
};
use futures_executor::block_on;
use serde_json::Value;

static IT: Serialized = Serialized::new("it");

/// What handlers are told of a run that ends with this, by whatever method.
fn told<E: IntoRunError<Via>, Via>(error: impl Fn() -> E) -> RunError {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let blocking = callbacks.blocking();
    let last = || {
        let events = recorder.events();
        let last = events.last().unwrap().event();
        let of_a_tool = ToolError::of(&last).map(|event| event.error);
        let error = of_a_tool.or_else(|| Some(LlmError::of(&last)?.error));
        error.unwrap().clone()
    };

    let start = || block_on(callbacks.tool_start(&IT, "").into_future()).unwrap();
    block_on(start().error(error()).into_future()).unwrap();
    let told = last();
    block_on(start().finish(Err::<Value, _>(error()))).unwrap();
    assert_eq!(last(), told);

    let start = || blocking.tool_start(&IT, "").start().unwrap();
    start().error(error()).unwrap();
    assert_eq!(last(), told);
    start().finish(Err::<Value, _>(error())).unwrap();
    assert_eq!(last(), told);

    let run = blocking.llm_start(&IT, Vec::new).start().unwrap();
    let partial = LlmResult::from_text("Be");
    run.error_with_partial(error(), partial).unwrap();
    assert_eq!(last(), told);

    let retry = RetryState::new(1).with_error(error());
    assert_eq!(retry.error.as_ref(), Some(&told));
    told
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

/// No error, but it can say what it is.
struct Status(u16);

impl From<Status> for RunError {
    fn from(status: Status) -> Self {
        Self::new(format!("status {}", status.0)).with_kind(ErrorKind::Cancelled)
    }
}

#[test]
fn errors_bring_their_types_and_sources() {
    let error = RunError::new("outer").with_sources(["inner"]);
    let named = error.clone().with_type_name("run_errors::Outer<'_>");
    assert_eq!(told(outer), named);
    let kept = outer();
    assert_eq!(told(|| &kept), named);
    // not `'static`
    let text = String::from("outer");
    let borrows = || Outer(&text, io::Error::other("inner"));
    assert_eq!(told(borrows), named);

    let boxed = error.with_type_name("alloc::boxed::Box<run_errors::Outer<'_>>");
    assert_eq!(told(|| Box::new(outer())), boxed);
}

#[test]
fn of_a_boxed_error_all_but_its_type_is_known() {
    let error = RunError::new("outer").with_sources(["inner"]);
    assert_eq!(told(|| -> Box<dyn Error> { Box::new(outer()) }), error);
    assert_eq!(
        told(|| -> Box<dyn Error + Send> { Box::new(outer()) }),
        error
    );
    assert_eq!(told(|| -> BoxError { Box::new(outer()) }), error);

    let boxed: BoxError = Box::new(outer());
    assert_eq!(told(|| &boxed), error);
    assert_eq!(told(|| &*boxed), error);
    let counted: Arc<dyn Error + Send + Sync> = Arc::new(outer());
    assert_eq!(told(|| &counted), error);
    assert_eq!(told(|| counted.clone()), error);
}

#[test]
fn texts_are_errors() {
    let error = RunError::new("text");
    assert_eq!(told(|| "text"), error);
    assert_eq!(told(|| "text".to_owned()), error);
    assert_eq!(told(|| Cow::Borrowed("text")), error);
    let text = "text".to_owned();
    assert_eq!(told(|| &text), error);
}

#[test]
fn what_converts_into_a_run_error_is_one() {
    let error = RunError::new("left").with_kind(ErrorKind::Cancelled);
    assert_eq!(told(|| error.clone()), error);
    assert_eq!(told(|| &error), error);
    let status = RunError::new("status 401").with_kind(ErrorKind::Cancelled);
    assert_eq!(told(|| Status(401)), status);
}

/// Code that is generic over errors needs no bound of ours.
#[test]
fn generic_errors() {
    fn by_value<E: Error>(error: impl Fn() -> E) -> RunError {
        told(error)
    }

    fn by_reference<E: Error>(error: impl Fn() -> E) -> RunError {
        let error = error();
        told(|| &error)
    }

    fn converted<E: Into<RunError>>(error: impl Fn() -> E) -> RunError {
        told(error)
    }

    assert_eq!(by_value(outer).message, "outer");
    assert_eq!(by_reference(outer).message, "outer");
    assert_eq!(converted(|| Status(401)).message, "status 401");
}

/// It is gone before the handlers are waited for.
#[test]
fn an_error_need_not_be_send() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }

    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let result: Result<Value, Box<dyn Error>> = Err("text".into());
    let run = block_on(callbacks.tool_start(&IT, "").into_future()).unwrap();
    block_on(is_send(run.finish(result.as_ref()))).unwrap();
    assert_eq!(recorder.events().len(), 2);
}
