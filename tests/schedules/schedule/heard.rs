//! What handlers hear: of two sets of events, the same way.

use callbacks::events::{AnyEvent, AnyReply, Events};
use callbacks::{Decision, ErrorKind, Event, EventSet, Interests, LlmResult, Message, RunError};
use serde_json::json;
use shop::deep::sales::{self, Sold};

use super::history::{Emission, What};
use super::plan::Verdict;

/// A set of events that handlers hear of.
pub(crate) trait Heard: EventSet {
    /// Those that are emitted.
    const HEARD: Interests;

    fn described(event: &Self::Ref<'_>) -> Described;

    /// What the handler of this number says to a question.
    fn reply(event: &Self::Ref<'_>, verdict: Verdict, number: usize) -> Option<Self::Reply>;
}

/// An event, whichever set it is of.
pub(crate) struct Described {
    pub(crate) what: What,
    pub(crate) method: &'static str,
    pub(crate) emission: Option<Emission>,
    pub(crate) rewritten_by: Vec<usize>,
    pub(crate) kind: Option<ErrorKind>,
}

impl Described {
    /// The text names the emission, and then who rewrote it.
    fn new(what: What, method: &'static str, text: &str) -> Self {
        let mut numbers = text.split(' ');
        let emission = numbers.next().and_then(|number| number.parse().ok());
        let rewritten_by = numbers.map_while(|number| number.parse().ok()).collect();
        Self {
            what,
            method,
            emission,
            rewritten_by,
            kind: None,
        }
    }

    fn error(method: &'static str, error: &RunError) -> Self {
        Self {
            kind: Some(error.kind),
            ..Self::new(What::Terminal, method, &error.message)
        }
    }
}

impl Heard for Events {
    const HEARD: Interests = Interests::ALL;

    fn described(event: &AnyEvent<'_>) -> Described {
        use AnyEvent as E;
        use What::{Other, Question, Start, Terminal};

        let (what, method, text) = match event {
            E::ToolRequest(event) => (Question, "on_tool_request", event.input.to_owned()),
            E::LlmRequest(event) => {
                let text = event.messages[0].text().into_owned();
                (Question, "on_llm_request", text)
            }
            E::LlmStart(event) => (Start, "on_llm_start", event.prompts[0].clone()),
            E::ChainStart(event) => (Start, "on_chain_start", event.inputs.to_string()),
            E::ToolStart(event) => (Start, "on_tool_start", event.input.to_owned()),
            E::RetrieverStart(event) => (Start, "on_retriever_start", event.query.to_owned()),
            E::LlmEnd(event) => (Terminal, "on_llm_end", event.response.text().to_owned()),
            E::ChainEnd(event) => (Terminal, "on_chain_end", event.outputs.to_string()),
            E::ToolEnd(event) => (Terminal, "on_tool_end", event.output.to_string()),
            E::RetrieverEnd(event) => {
                let first = event.documents.first();
                let text = first.map_or(String::new(), |found| found.page_content.clone());
                (Terminal, "on_retriever_end", text)
            }
            E::LlmError(event) => return Described::error("on_llm_error", event.error),
            E::ChainError(event) => return Described::error("on_chain_error", event.error),
            E::ToolError(event) => return Described::error("on_tool_error", event.error),
            E::RetrieverError(event) => {
                return Described::error("on_retriever_error", event.error);
            }
            E::LlmNewToken(event) => (Other, "on_llm_new_token", event.token.to_owned()),
            E::Text(event) => (Other, "on_text", event.text.to_owned()),
            E::CustomEvent(event) => (Other, "on_custom_event", event.data.to_string()),
            other => panic!("nobody emits {other:?}"),
        };
        Described::new(what, method, &text)
    }

    fn reply(event: &AnyEvent<'_>, verdict: Verdict, number: usize) -> Option<AnyReply> {
        let rewritten = |text: &str| format!("{text} {number}");
        Some(match event {
            AnyEvent::ToolRequest(event) => AnyReply::ToolRequest(match verdict {
                Verdict::GoesOn => Decision::Continue,
                Verdict::Rewrites => Decision::Rewrite(rewritten(event.input)),
                Verdict::Answers => Decision::Answer(json!("answered")),
                Verdict::Stops => Decision::Stop("planned".to_owned()),
            }),
            AnyEvent::LlmRequest(event) => AnyReply::LlmRequest(match verdict {
                Verdict::GoesOn => Decision::Continue,
                Verdict::Rewrites => {
                    let text = rewritten(&event.messages[0].text());
                    Decision::Rewrite(vec![Message::human(text)])
                }
                Verdict::Answers => Decision::Answer(LlmResult::from_text("answered")),
                Verdict::Stops => Decision::Stop("planned".to_owned()),
            }),
            _ => return None,
        })
    }
}

impl Heard for sales::Events {
    const HEARD: Interests = Interests::of(&[Sold::INDEX]);

    fn described(event: &sales::AnyEvent<'_>) -> Described {
        match event {
            sales::AnyEvent::Sold(event) => Described::new(What::Other, "on_sold", event.item),
            other => panic!("nobody emits {other:?}"),
        }
    }

    fn reply(_: &sales::AnyEvent<'_>, _: Verdict, _: usize) -> Option<sales::AnyReply> {
        None
    }
}
