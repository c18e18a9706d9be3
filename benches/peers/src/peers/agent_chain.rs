//! `agent-chain-core` 0.0.3: its `AsyncCallbackManager` and the run managers that it makes.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use agent_chain_core::callbacks::base::{
    CallbackManagerMixin, ChainManagerMixin, LLMManagerMixin, RetrieverManagerMixin,
    RunManagerMixin, ToolManagerMixin,
};
use agent_chain_core::callbacks::manager::AsyncCallbackManagerForLLMRun;
use agent_chain_core::{
    AsyncCallbackHandler, AsyncCallbackManager, BaseCallbackHandler, ChatResult,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::Value;
use uuid::Uuid;

use super::each;
use crate::handlers::Calls;
use crate::rows::Row;
use crate::subject::{Emit, Subject, TOKEN};

/// There is one kind of registration; the async methods of a handler come with it.
pub(crate) fn subject(row: Row, calls: &Calls) -> Box<dyn Subject> {
    match row {
        Row::Unheard => tokens([]),
        Row::Unwanted(n) => tokens(each(n, calls, Counter::ignoring).map(|handler| handler as _)),
        Row::Plain(n) | Row::Async(n) => {
            tokens(each(n, calls, Counter::listening).map(|handler| handler as _))
        }
        Row::Run => Box::new(Runs(AsyncCallbackManager::new())),
    }
}

#[derive(Debug)]
struct Counter {
    calls: Calls,
    ignores_llm: bool,
}

impl Counter {
    fn ignoring(calls: Calls) -> Self {
        let ignores_llm = true;
        Self { calls, ignores_llm }
    }

    fn listening(calls: Calls) -> Self {
        let ignores_llm = false;
        Self { calls, ignores_llm }
    }
}

impl LLMManagerMixin for Counter {
    fn on_llm_new_token(
        &mut self,
        token: &str,
        _run_id: Uuid,
        _parent_run_id: Option<Uuid>,
        _chunk: Option<&Value>,
    ) {
        self.calls.count(token);
    }
}

#[async_trait]
impl AsyncCallbackHandler for Counter {
    async fn on_llm_new_token_async(
        &mut self,
        token: &str,
        _run_id: Uuid,
        _parent_run_id: Option<Uuid>,
        _chunk: Option<&Value>,
        _tags: Option<&[String]>,
    ) {
        self.calls.count(token);
    }
}

impl BaseCallbackHandler for Counter {
    fn ignore_llm(&self) -> bool {
        self.ignores_llm
    }
}

impl ChainManagerMixin for Counter {}
impl ToolManagerMixin for Counter {}
impl RetrieverManagerMixin for Counter {}
impl CallbackManagerMixin for Counter {}
impl RunManagerMixin for Counter {}

struct Tokens(AsyncCallbackManagerForLLMRun);

fn tokens(handlers: impl IntoIterator<Item = Arc<dyn BaseCallbackHandler>>) -> Box<dyn Subject> {
    let mut manager = AsyncCallbackManager::new();
    for handler in handlers {
        manager.add_handler(handler, true);
    }
    let started = start(&manager).now_or_never();
    Box::new(Tokens(started.expect("its starts wait for nothing")))
}

/// Of one prompt, so of one run.
async fn start(manager: &AsyncCallbackManager) -> AsyncCallbackManagerForLLMRun {
    let prompts = [String::new()];
    let mut runs = manager.on_llm_start(&HashMap::new(), &prompts, None).await;
    runs.pop().expect("there is a run for each prompt")
}

impl Emit for Tokens {
    async fn emit(&self) {
        let run = black_box(&self.0);
        run.on_llm_new_token(black_box(TOKEN), None).await;
    }
}

struct Runs(AsyncCallbackManager);

impl Emit for Runs {
    async fn emit(&self) {
        let run = start(black_box(&self.0)).await;
        run.on_llm_end(&ChatResult::new(Vec::new())).await;
    }
}
