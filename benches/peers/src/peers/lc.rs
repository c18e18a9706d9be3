//! `lc-callbacks` 0.28.0: `dispatch_*` of its `CallbackManager`, as the docs of that type advise.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use lc_callbacks::{CallbackHandler, CallbackManager, RunTree, RunType};
use serde_json::json;

use super::each;
use crate::handlers::Calls;
use crate::rows::Row;
use crate::subject::{Emit, Subject, TOKEN};

/// All its methods are async, so those rows have the same handlers.
pub(crate) fn subject(row: Row, calls: &Calls) -> Box<dyn Subject> {
    match row {
        Row::Unheard => tokens([]),
        Row::Unwanted(n) => tokens(each(n, calls, Bystander).map(|handler| handler as _)),
        Row::Plain(n) | Row::Async(n) => {
            tokens(each(n, calls, Counter).map(|handler| handler as _))
        }
        Row::Run => Box::new(Runs(CallbackManager::new())),
    }
}

struct Counter(Calls);

#[async_trait]
impl CallbackHandler for Counter {
    async fn on_run_start(&self, _run: &RunTree) {}

    async fn on_run_end(&self, _run: &RunTree) {}

    async fn on_run_error(&self, _run: &RunTree, _error: &str) {}

    async fn on_llm_new_token(&self, _run: &RunTree, token: &str) {
        self.0.count(token);
    }
}

/// Overrides nothing but what it must. It cannot say so to the manager.
struct Bystander(Calls);

#[async_trait]
impl CallbackHandler for Bystander {
    async fn on_run_start(&self, _run: &RunTree) {
        self.0.count("a start");
    }

    async fn on_run_end(&self, _run: &RunTree) {
        self.0.count("an end");
    }

    async fn on_run_error(&self, _run: &RunTree, error: &str) {
        self.0.count(error);
    }
}

struct Tokens {
    manager: CallbackManager,
    run: RunTree,
}

fn tokens(handlers: impl IntoIterator<Item = Arc<dyn CallbackHandler>>) -> Box<dyn Subject> {
    let manager = CallbackManager::new();
    Box::new(Tokens {
        manager: handlers
            .into_iter()
            .fold(manager, CallbackManager::add_handler),
        run: run(),
    })
}

/// With the least in it: it is cloned for every handler of every event.
fn run() -> RunTree {
    RunTree::new("model", RunType::Llm, json!({}))
}

impl Emit for Tokens {
    async fn emit(&self) {
        let manager = black_box(&self.manager);
        manager
            .dispatch_llm_new_token(&self.run, black_box(TOKEN))
            .await;
    }
}

struct Runs(CallbackManager);

impl Emit for Runs {
    async fn emit(&self) {
        let manager = black_box(&self.0);
        let mut run = run();
        manager.dispatch_llm_start(&run, &[]).await;
        run.end(json!(TOKEN));
        manager.dispatch_llm_end(&run, TOKEN).await;
    }
}
