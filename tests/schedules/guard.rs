//! A guard of any kind of run, of async or of plain calls.

use callbacks::Chain;
use callbacks::{
    Blocking, Callbacks, ChainRun, Document, EmitError, Llm, LlmResult, LlmRun, Retriever,
    RetrieverRun, RunError, RunGuard, Tool, ToolRun,
};
use serde_json::json;

use crate::history::Emission;
use crate::plan::Kind;

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
    /// Its payload names the emission.
    pub(crate) async fn start(
        callbacks: &Callbacks,
        kind: Kind,
        is_blocking: bool,
        emission: Emission,
    ) -> Result<Self, EmitError> {
        let text = emission.to_string();
        let prompts = || vec![emission.to_string()];
        let inputs = || json!(emission);
        if is_blocking {
            let callbacks = callbacks.blocking();
            return Ok(match kind {
                Kind::Llm => Self::BlockingLlm(callbacks.llm_start(None, prompts).start()?),
                Kind::Chain => Self::BlockingChain(callbacks.chain_start(None, inputs).start()?),
                Kind::Tool => Self::BlockingTool(callbacks.tool_start(None, &text).start()?),
                Kind::Retriever => {
                    Self::BlockingRetriever(callbacks.retriever_start(None, &text).start()?)
                }
            });
        }
        Ok(match kind {
            Kind::Llm => Self::Llm(callbacks.llm_start(None, prompts).await?),
            Kind::Chain => Self::Chain(callbacks.chain_start(None, inputs).await?),
            Kind::Tool => Self::Tool(callbacks.tool_start(None, &text).await?),
            Kind::Retriever => Self::Retriever(callbacks.retriever_start(None, &text).await?),
        })
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
