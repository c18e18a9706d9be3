//! What handlers answer to decision events.

use std::mem;
use std::ops::ControlFlow;

use serde_json::Value;

use crate::DecisionEvent;
use crate::events::owned::{LlmRequest, ToolRequest};
use crate::payload::{LlmResult, Message};

/// An answer to a decision event, whose owned twin is `E`: any type can be one.
///
/// Handlers are asked one after another, in the order of their registration. An error, a panic or a
/// timeout of one is a [`stop`](Self::stop), so that a decision fails closed.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use callbacks::{Callbacks, Reply, callback_events, callback_handler};
///
/// #[callback_events]
/// mod shop {
///     /// May this order go out?
///     #[event(reply = Verdict)]
///     pub struct Order<'a> {
///         pub id: &'a str,
///     }
///
///     #[derive(Debug, PartialEq)]
///     #[must_use = "it was asked for to be honoured"]
///     pub enum Verdict {
///         Yes,
///         No(String),
///     }
/// }
///
/// use shop::Verdict;
///
/// impl Reply<shop::owned::Order> for Verdict {
///     fn go_on() -> Self {
///         Self::Yes
///     }
///
///     fn stop(reason: &str) -> Self {
///         Self::No(reason.to_owned())
///     }
///
///     fn settle(self, _: &mut shop::owned::Order) -> ControlFlow<Self> {
///         match self {
///             Self::Yes => ControlFlow::Continue(()),
///             no @ Self::No(_) => ControlFlow::Break(no),
///         }
///     }
/// }
///
/// struct Clerk;
///
/// #[callback_handler(events = shop)]
/// impl Clerk {
///     fn on_order(&self, id: &str) -> Verdict {
///         if id == "7" { Verdict::Yes } else { Verdict::No(format!("{id} is not paid")) }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let callbacks = Callbacks::new().with(Clerk);
/// assert_eq!(callbacks.ask(shop::Order { id: "7" }).await?, Verdict::Yes);
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a reply to `{E}`",
    label = "not a reply",
    note = "implement `callbacks::Reply<{E}>` for `{Self}`"
)]
pub trait Reply<E>: Sized + Send + 'static {
    /// The answer where nobody answered, or nobody but those who let others decide.
    fn go_on() -> Self;

    /// The answer where a handler failed, for this reason.
    fn stop(reason: &str) -> Self;

    /// Whether this answer settles the matter. `Break` with it ends the asking; `Continue` has the
    /// next handler asked about the event as it is now, which may be another than before.
    fn settle(self, event: &mut E) -> ControlFlow<Self>;
}

/// The answer to the built-in decision events: to what they ask, may the run go on, and with what?
///
/// `R` is what may be rewritten, and `A` what a run of this sort ends with: methods return a [`ToolDecision`] or
/// an [`LlmDecision`], or a `Result` of it. There will be no other answers: who honours decisions can match them
/// all.
///
/// ```
/// use callbacks::{Decision, ToolDecision, callback_handler};
///
/// struct Approver;
///
/// #[callback_handler]
/// impl Approver {
///     fn on_tool_request(&self, input: &str) -> ToolDecision {
///         match input {
///             "rm -rf /" => Decision::Stop("not on my machine".to_owned()),
///             "2 + 2" => Decision::Answer(4.into()),
///             _ => Decision::Continue,
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Decision<R, A> {
    /// Go on; the next handler is asked.
    #[default]
    Continue,
    /// Go on with this instead; the next handler is asked about this.
    Rewrite(R),
    /// The run need not do anything: this is what it ends with. No other handler is asked.
    Answer(A),
    /// The run must not do anything, for this reason. No other handler is asked.
    Stop(String),
}

/// What a handler of [`ToolRequest`](crate::events::ToolRequest) returns, from its method `on_tool_request`: it
/// rewrites the tool's input, as text, or answers with an output.
///
/// ```
/// use callbacks::{Decision, ToolDecision, callback_handler};
///
/// struct Trim;
///
/// #[callback_handler]
/// impl Trim {
///     fn on_tool_request(&self, input: &str) -> ToolDecision {
///         Decision::Rewrite(input.trim().to_owned())
///     }
/// }
/// ```
pub type ToolDecision = Decision<String, Value>;

/// What a handler of [`LlmRequest`](crate::events::LlmRequest) returns, from its method `on_llm_request`: it
/// rewrites the messages, or answers with a result.
///
/// ```
/// use callbacks::{Decision, LlmDecision, LlmResult, Message, callback_handler};
///
/// struct Cache;
///
/// #[callback_handler]
/// impl Cache {
///     fn on_llm_request(&self, messages: &[Message]) -> LlmDecision {
///         match messages {
///             [message] if message.text() == "Why?" => {
///                 Decision::Answer(LlmResult::from_text("Because."))
///             }
///             _ => Decision::Continue,
///         }
///     }
/// }
/// ```
pub type LlmDecision = Decision<Vec<Message>, LlmResult>;

impl<R, A> Decision<R, A> {
    fn settle_with(self, rewrite: impl FnOnce(R)) -> ControlFlow<Self> {
        match self {
            Self::Continue => {}
            Self::Rewrite(to) => rewrite(to),
            settled @ (Self::Answer(_) | Self::Stop(_)) => return ControlFlow::Break(settled),
        }
        ControlFlow::Continue(())
    }
}

impl Reply<ToolRequest> for Decision<String, Value> {
    fn go_on() -> Self {
        Self::Continue
    }

    fn stop(reason: &str) -> Self {
        Self::Stop(reason.to_owned())
    }

    fn settle(self, event: &mut ToolRequest) -> ControlFlow<Self> {
        self.settle_with(|input| {
            // The input by argument must not say anything else than the input as text.
            let given = event.inputs.take();
            event.inputs = given.and_then(|_| serde_json::from_str(&input).ok());
            event.input = input;
        })
    }
}

impl Reply<LlmRequest> for Decision<Vec<Message>, LlmResult> {
    fn go_on() -> Self {
        Self::Continue
    }

    fn stop(reason: &str) -> Self {
        Self::Stop(reason.to_owned())
    }

    fn settle(self, event: &mut LlmRequest) -> ControlFlow<Self> {
        self.settle_with(|messages| drop(mem::replace(&mut event.messages, messages)))
    }
}

/// The answer to `E` of a handler that has nothing against it.
#[must_use]
pub fn go_on<E: DecisionEvent>() -> E::Reply {
    Reply::go_on()
}
