//! What a built-in event is to its run: where that opens, where it closes, or something in between.

use crate::events::AnyEvent;
use crate::payload::RunKind;

/// What an event is to its run; with what is run, where all models are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Opens(RunKind),
    Inside,
    Closes(RunKind),
}

impl Part {
    /// `None` for what is asked before a run starts.
    pub(crate) fn of(event: &AnyEvent<'_>) -> Option<Self> {
        Some(match event {
            AnyEvent::LlmStart(_) | AnyEvent::ChatModelStart(_) => Self::Opens(RunKind::Llm),
            AnyEvent::ChainStart(_) => Self::Opens(RunKind::Chain),
            AnyEvent::ToolStart(_) => Self::Opens(RunKind::Tool),
            AnyEvent::RetrieverStart(_) => Self::Opens(RunKind::Retriever),
            AnyEvent::LlmEnd(_) | AnyEvent::LlmError(_) => Self::Closes(RunKind::Llm),
            AnyEvent::ChainEnd(_) | AnyEvent::ChainError(_) => Self::Closes(RunKind::Chain),
            AnyEvent::ToolEnd(_) | AnyEvent::ToolError(_) => Self::Closes(RunKind::Tool),
            AnyEvent::RetrieverEnd(_) | AnyEvent::RetrieverError(_) => {
                Self::Closes(RunKind::Retriever)
            }
            AnyEvent::LlmNewToken(_)
            | AnyEvent::AgentAction(_)
            | AnyEvent::AgentFinish(_)
            | AnyEvent::Text(_)
            | AnyEvent::Retry(_)
            | AnyEvent::CustomEvent(_) => Self::Inside,
            AnyEvent::ToolRequest(_) | AnyEvent::LlmRequest(_) => return None,
        })
    }
}

/// Whether a run ends with it.
pub(crate) fn ends_run(event: &AnyEvent<'_>) -> bool {
    matches!(Part::of(event), Some(Part::Closes(_)))
}
