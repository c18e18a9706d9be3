//! Payload arguments: what is there, or a closure that makes it if anybody listens.

use std::borrow::Cow;

use serde_json::Value;

use crate::payload::{
    AgentAction, AgentFinish, Chunk, Document, LlmResult, Message, ModelParams, RetryState,
    Serialized,
};

/// What an emission takes for a payload: `&T`, `T`, or a closure that makes `T`.
///
/// Of a slice `[T]`, that is `&[T]`, a `Vec<T>` or a reference to one.
///
/// The closure is called at most once, and only if a handler will see what it makes: a framework
/// with types of its own converts nothing for nobody.
///
/// ```
/// use callbacks::{Callbacks, Serialized};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static SUMMARY: Serialized = Serialized::new("Summary");
///
/// let inputs = json!({ "text": "A long story." });
/// let chain = Callbacks::new().chain_start(&SUMMARY, &inputs).await?;
/// chain.end(|| json!({ "summary": "short" })).await?; // nobody listens: not called
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what this event carries: `{T}`",
    label = "neither `{T}`, nor a reference to it, nor a closure that makes it",
    note = "pass it, a reference to it, or `|| ..` to make it only if a handler listens",
    note = "for a slice `[T]`: a `Vec<T>`; for a `Value`: `json!(..)`",
    note = "for the messages of a chat model: a `Vec<Message>`, or one for each conversation of a batch"
)]
pub trait Payload<T: ?Sized + ToOwned>: Send {
    /// The payload.
    fn into_cow<'p>(self) -> Cow<'p, T>
    where
        Self: 'p;
}

/// `[generics] type => |self| the payload`, for one type of payload.
macro_rules! payload {
    ($payload:ty: $([$($generics:tt)*] $ty:ty => |$this:ident| $cow:expr;)*) => {$(
        impl<$($generics)*> Payload<$payload> for $ty {
            fn into_cow<'p>(self) -> Cow<'p, $payload>
            where
                Self: 'p,
            {
                let $this = self;
                $cow
            }
        }
    )*};
}

/// What holds for most: `&T`, `T`, and a closure.
macro_rules! payloads {
    ($($payload:ty => $owned:ty),* $(,)?) => {$(
        payload! { $payload:
            [] &$payload => |payload| Cow::Borrowed(payload);
            [] $owned => |payload| Cow::Owned(payload);
            [F: FnOnce() -> $owned + Send] F => |make| Cow::Owned(make());
        }
    )*};
}

payloads! {
    Value => Value,
    LlmResult => LlmResult,
    ModelParams => ModelParams,
    Chunk => Chunk,
    AgentAction => AgentAction,
    AgentFinish => AgentFinish,
    RetryState => RetryState,
    [String] => Vec<String>,
    [Document] => Vec<Document>,
}

/// What does not become a slice by itself in a generic argument.
macro_rules! slices {
    ($($element:ty),* $(,)?) => {$(
        payload! { [$element]:
            [] &Vec<$element> => |payload| Cow::Borrowed(payload);
            [const N: usize] &[$element; N] => |payload| Cow::Borrowed(payload);
        }
    )*};
}

slices!(String, Document, Vec<Message>);

// Conversations for a chat model come in more shapes: one of them is a batch of one.
payload! { [Vec<Message>]:
    [] &[Vec<Message>] => |batch| Cow::Borrowed(batch);
    [] Vec<Vec<Message>> => |batch| Cow::Owned(batch);
    [] &Vec<Message> => |messages| Cow::Borrowed(std::slice::from_ref(messages));
    [] &[Message] => |messages| Cow::Owned(vec![messages.to_vec()]);
    [const N: usize] &[Message; N] => |messages| Cow::Owned(vec![messages.to_vec()]);
    [] Vec<Message> => |messages| Cow::Owned(vec![messages]);
    [F: FnOnce() -> M + Send, M: IntoMessages] F => |make| Cow::Owned(make().into_messages());
}

/// What a start takes for what runs: a `&Serialized`, or `None`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what runs",
    label = "neither a `&Serialized` nor `None`",
    note = "what runs is a `&Serialized`, such as `static MODEL: Serialized = Serialized::new(\"MyModel\")`, or `None`"
)]
pub trait WhatRuns<'a>: Into<Option<&'a Serialized>> {}

#[diagnostic::do_not_recommend]
impl<'a, T: Into<Option<&'a Serialized>>> WhatRuns<'a> for T {}

/// What a closure may make for a chat model: a conversation, or a batch of them.
pub trait IntoMessages {
    /// It, as a batch.
    fn into_messages(self) -> Vec<Vec<Message>>;
}

impl IntoMessages for Vec<Vec<Message>> {
    fn into_messages(self) -> Vec<Vec<Message>> {
        self
    }
}

impl IntoMessages for Vec<Message> {
    fn into_messages(self) -> Vec<Vec<Message>> {
        vec![self]
    }
}
