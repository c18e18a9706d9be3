//! Rig's hooks, each told to the runs.

use std::sync::{Arc, Weak};

use callbacks::events::{LlmEnd, LlmError, LlmNewToken};
use rig_agent::agent::{
    AgentHook, DispatchAction, DispatchEvent, HookContext, InvalidToolCallAction,
    InvalidToolCallContext, InvalidToolCallReason, ModelSelection, ModelSelectionAction,
    ObservationAction, OutcomeAction, OutcomeEvent, ReasoningDelta, RunSettled, RunStart,
    RunStartAction, SettledOutcome, StepEventKind, TextDelta, ToolCallDelta,
};
use rig_core::effect::EffectKind;

use crate::arrived::Piece;
use crate::runs::{Go, Runs};

/// Tells of one run of an agent. The runs belong to whoever polls that: see [`Observed`](crate::Observed).
pub(crate) struct Hook(Weak<Runs>);

impl Hook {
    pub(crate) fn new(runs: &Arc<Runs>) -> Self {
        Self(Arc::downgrade(runs))
    }

    async fn piece(&self, piece: Piece<'_>) -> ObservationAction {
        match self.0.upgrade() {
            Some(runs) => match runs.piece(piece).await {
                Ok(()) => ObservationAction::Continue,
                Err(stop) => ObservationAction::Stop(stop.0),
            },
            None => ObservationAction::Continue,
        }
    }
}

impl AgentHook for Hook {
    fn name(&self) -> Option<String> {
        Some("callbacks".to_owned())
    }

    async fn on_run_start(&self, ctx: &HookContext, event: RunStart<'_>) -> RunStartAction {
        let Some(runs) = self.0.upgrade() else {
            return RunStartAction::Continue;
        };
        match runs.begin(ctx, &event).await {
            Ok(()) => RunStartAction::Continue,
            Err(stop) => RunStartAction::Stop(stop.0),
        }
    }

    async fn on_run_settled(&self, ctx: &HookContext, event: RunSettled<'_>) {
        let Some(runs) = self.0.upgrade() else { return };
        match event.outcome {
            SettledOutcome::Response(response) => runs.finish(response).await,
            SettledOutcome::Error(error) => runs.fail(ctx, error).await,
        }
    }

    fn on_model_select(&self, _: &HookContext, event: ModelSelection<'_>) -> ModelSelectionAction {
        if let Some(runs) = self.0.upgrade() {
            runs.select(event.selected_model);
        }
        ModelSelectionAction::Continue
    }

    async fn on_invalid_tool_call(
        &self,
        _: &HookContext,
        event: &InvalidToolCallContext,
    ) -> Option<InvalidToolCallAction> {
        // One with arguments that are no object is met later, in a turn that was told.
        let in_answer = !matches!(
            event.reason,
            InvalidToolCallReason::MalformedArguments { .. }
        );
        if let (true, Some(runs)) = (in_answer, self.0.upgrade()) {
            runs.said(event.chat_history.last());
        }
        None
    }

    async fn on_text_delta(&self, _: &HookContext, event: TextDelta<'_>) -> ObservationAction {
        self.piece(Piece::Text(event.delta)).await
    }

    async fn on_reasoning_delta(
        &self,
        _: &HookContext,
        event: ReasoningDelta<'_>,
    ) -> ObservationAction {
        self.piece(Piece::Reasoning(event.delta)).await
    }

    async fn on_tool_call_delta(
        &self,
        _: &HookContext,
        event: ToolCallDelta<'_>,
    ) -> ObservationAction {
        let piece = Piece::Call {
            part: event.part.index(),
            name: event.tool_name,
            args: event.delta,
        };
        self.piece(piece).await
    }

    async fn on_dispatch(&self, ctx: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        let Some(runs) = self.0.upgrade() else {
            return DispatchAction::Proceed;
        };
        let go = match event.kind {
            EffectKind::Completion { request, stream } => {
                runs.call_model(ctx, request, *stream).await
            }
            EffectKind::ToolCall { name, args } => {
                runs.call_tool(ctx, event.id, name, args, event.call_id)
                    .await
            }
            EffectKind::Retrieve { query } => runs.retrieve(ctx, event.id, query).await,
            _ => Ok(Go::On),
        };
        match go {
            Ok(Go::On) => DispatchAction::Proceed,
            Ok(Go::With(kind)) => DispatchAction::Patch(*kind),
            Ok(Go::Not(reason)) => DispatchAction::skip(reason),
            Err(stop) => DispatchAction::stop(stop.0),
        }
    }

    async fn on_outcome(&self, _: &HookContext, event: OutcomeEvent<'_>) -> OutcomeAction {
        let Some(runs) = self.0.upgrade() else {
            return OutcomeAction::Proceed;
        };
        let told = match event.kind {
            EffectKind::Completion { .. } => runs.answered(event.outcome).await.map(|()| None),
            EffectKind::ToolCall { .. } | EffectKind::Retrieve { .. } => {
                runs.came_back(event.id, event.outcome).await
            }
            _ => Ok(None),
        };
        match told {
            Ok(None) => OutcomeAction::Proceed,
            Ok(Some(instead)) => OutcomeAction::Replace(Ok(instead)),
            Err(stop) => OutcomeAction::stop(stop.0),
        }
    }

    fn observes(&self, kind: StepEventKind) -> bool {
        match kind {
            StepEventKind::TextDelta
            | StepEventKind::ReasoningDelta
            | StepEventKind::ToolCallDelta => self.0.upgrade().is_some_and(|runs| {
                runs.wants::<LlmNewToken<'_>>()
                    // in which what arrived is told, too
                    || runs.wants::<LlmEnd<'_>>()
                    || runs.wants::<LlmError<'_>>()
            }),
            StepEventKind::EmbedDispatch
            | StepEventKind::RerankDispatch
            | StepEventKind::MemoryDispatch
            | StepEventKind::CustomDispatch => false,
            _ => true,
        }
    }
}
