//! A guard of any kind of run, of async or of plain calls.

use callbacks::{
    Asked, Blocking, Callbacks, Chain, ChainRun, Document, EmitError, Llm, LlmResult, LlmRun,
    Retriever, RetrieverRun, RunError, RunGuard, RunId, Tool, ToolRun,
};
use serde_json::json;
use shop::deep::sales::Sold;

use super::history::Emission;
use super::plan::Kind;

/// How a run is started.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) id: RunId,
    pub(crate) blocks: bool,
    /// Honours what handlers decide.
    pub(crate) asks: bool,
}

pub(crate) enum Guard {
    Llm(LlmRun),
    Chain(ChainRun),
    Tool(ToolRun),
    Retriever(RetrieverRun),
    BlockingLlm(RunGuard<Llm, Blocking>),
    BlockingChain(RunGuard<Chain, Blocking>),
    BlockingTool(RunGuard<Tool, Blocking>),
    BlockingRetriever(RunGuard<Retriever, Blocking>),
}

impl Guard {
    /// Its payload names the emission. `None` if a handler answered for it, where the framework asks.
    pub(crate) async fn start(
        callbacks: &Callbacks,
        kind: Kind,
        how: How,
        emission: Emission,
    ) -> Result<Option<Self>, EmitError> {
        let id = how.id;
        let text = &*emission.to_string();
        let prompts = || vec![emission.to_string()];
        let inputs = || json!(emission);
        if how.blocks {
            let callbacks = callbacks.blocking();
            return Ok(Some(match kind {
                Kind::Llm if how.asks => {
                    match callbacks.llm_start(None, prompts).id(id).ask().start()? {
                        Asked::Go(run) => Self::BlockingLlm(run.into_run()),
                        Asked::Answered(_) => return Ok(None),
                    }
                }
                Kind::Tool if how.asks => {
                    match callbacks.tool_start(None, text).id(id).ask().start()? {
                        Asked::Go(run) => Self::BlockingTool(run.into_run()),
                        Asked::Answered(_) => return Ok(None),
                    }
                }
                Kind::Llm => Self::BlockingLlm(callbacks.llm_start(None, prompts).id(id).start()?),
                Kind::Chain => {
                    Self::BlockingChain(callbacks.chain_start(None, inputs).id(id).start()?)
                }
                Kind::Tool => Self::BlockingTool(callbacks.tool_start(None, text).id(id).start()?),
                Kind::Retriever => {
                    Self::BlockingRetriever(callbacks.retriever_start(None, text).id(id).start()?)
                }
            }));
        }
        Ok(Some(match kind {
            Kind::Llm if how.asks => match callbacks.llm_start(None, prompts).id(id).ask().await? {
                Asked::Go(run) => Self::Llm(run.into_run()),
                Asked::Answered(_) => return Ok(None),
            },
            Kind::Tool if how.asks => match callbacks.tool_start(None, text).id(id).ask().await? {
                Asked::Go(run) => Self::Tool(run.into_run()),
                Asked::Answered(_) => return Ok(None),
            },
            Kind::Llm => Self::Llm(callbacks.llm_start(None, prompts).id(id).await?),
            Kind::Chain => Self::Chain(callbacks.chain_start(None, inputs).id(id).await?),
            Kind::Tool => Self::Tool(callbacks.tool_start(None, text).id(id).await?),
            Kind::Retriever => Self::Retriever(callbacks.retriever_start(None, text).id(id).await?),
        }))
    }

    pub(crate) fn callbacks(&self) -> Callbacks {
        match self {
            Self::Llm(run) => run.callbacks().clone(),
            Self::Chain(run) => run.callbacks().clone(),
            Self::Tool(run) => run.callbacks().clone(),
            Self::Retriever(run) => run.callbacks().clone(),
            Self::BlockingLlm(run) => (**run.callbacks()).clone(),
            Self::BlockingChain(run) => (**run.callbacks()).clone(),
            Self::BlockingTool(run) => (**run.callbacks()).clone(),
            Self::BlockingRetriever(run) => (**run.callbacks()).clone(),
        }
    }

    pub(crate) async fn emit(&self, emission: Emission) -> Result<(), EmitError> {
        let text = &*emission.to_string();
        match self {
            Self::Llm(run) => run.new_token(text).await,
            Self::Chain(run) => run.custom_event("planned", || json!(emission)).await,
            Self::Tool(run) => run.text(text).await,
            Self::Retriever(run) => run.text(text).await,
            Self::BlockingLlm(run) => run.new_token(text),
            Self::BlockingChain(run) => run.custom_event("planned", || json!(emission)),
            Self::BlockingTool(run) => run.text(text),
            Self::BlockingRetriever(run) => run.text(text),
        }
    }

    /// Emits an event of another set.
    pub(crate) async fn sell(&self, emission: Emission) -> Result<(), EmitError> {
        let sold = Sold {
            item: &emission.to_string(),
            count: 1,
            order: None,
            orders: &[],
        };
        match self {
            Self::Llm(run) => run.emit(sold).await,
            Self::Chain(run) => run.emit(sold).await,
            Self::Tool(run) => run.emit(sold).await,
            Self::Retriever(run) => run.emit(sold).await,
            Self::BlockingLlm(run) => run.emit(sold),
            Self::BlockingChain(run) => run.emit(sold),
            Self::BlockingTool(run) => run.emit(sold),
            Self::BlockingRetriever(run) => run.emit(sold),
        }
    }

    pub(crate) async fn end(self, emission: Emission) -> Result<(), EmitError> {
        let result = || LlmResult::from_text(emission.to_string());
        let output = || json!(emission);
        let found = || vec![Document::new(emission.to_string())];
        match self {
            Self::Llm(run) => run.end(result).await,
            Self::Chain(run) => run.end(output).await,
            Self::Tool(run) => run.end(output).await,
            Self::Retriever(run) => run.end(found).await,
            Self::BlockingLlm(run) => run.end(result),
            Self::BlockingChain(run) => run.end(output),
            Self::BlockingTool(run) => run.end(output),
            Self::BlockingRetriever(run) => run.end(found),
        }
    }

    pub(crate) async fn error(self, emission: Emission) -> Result<(), EmitError> {
        let error = RunError::new(emission.to_string());
        match self {
            Self::Llm(run) => run.error(error).await,
            Self::Chain(run) => run.error(error).await,
            Self::Tool(run) => run.error(error).await,
            Self::Retriever(run) => run.error(error).await,
            Self::BlockingLlm(run) => run.error(error),
            Self::BlockingChain(run) => run.error(error),
            Self::BlockingTool(run) => run.error(error),
            Self::BlockingRetriever(run) => run.error(error),
        }
    }
}
