//! `cognis-core` 0.3.2: a `CallbackManager` as observer of a `RunnableConfig`, as its module docs say.

use std::hint::black_box;
use std::sync::Arc;

use cognis_core::{CallbackHandler, CallbackManager, Event, RunnableConfig};
use serde_json::Value;
use uuid::Uuid;

use super::each;
use crate::handlers::Calls;
use crate::rows::Row;
use crate::subject::{Emit, Subject, TOKEN};

/// It has no async handlers.
pub(crate) fn subject(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    Some(match row {
        Row::Unheard => Box::new(Tokens(RunnableConfig::new())),
        Row::Unwanted(n) => tokens(each(n, calls, Bystander).map(|handler| handler as _)),
        Row::Plain(n) => tokens(each(n, calls, Counter).map(|handler| handler as _)),
        Row::Async(_) => return None,
        Row::Run => Box::new(Runs),
    })
}

struct Counter(Calls);

impl CallbackHandler for Counter {
    fn on_llm_token(&self, token: &str, _run_id: Uuid) {
        self.0.count(token);
    }
}

/// Has no method for a token. It cannot say so to the manager.
struct Bystander(Calls);

impl CallbackHandler for Bystander {
    fn on_llm_end(&self, model: &str, _output: &Value, _run_id: Uuid) {
        self.0.count(model);
    }
}

struct Tokens(RunnableConfig);

fn tokens(handlers: impl Iterator<Item = Arc<dyn CallbackHandler>>) -> Box<dyn Subject> {
    let manager = handlers.fold(CallbackManager::new(), CallbackManager::push);
    Box::new(Tokens(
        RunnableConfig::new().with_observer(Arc::new(manager)),
    ))
}

impl Emit for Tokens {
    async fn emit(&self) {
        let config = black_box(&self.0);
        config.emit(&Event::OnLlmToken {
            token: black_box(TOKEN).to_owned(),
            run_id: config.run_id,
        });
    }
}

struct Runs;

impl Emit for Runs {
    async fn emit(&self) {
        // One for each invocation: the id of the run comes with it.
        let config = black_box(RunnableConfig::new());
        config.emit(&Event::OnStart {
            runnable: "model".to_owned(),
            run_id: config.run_id,
            input: Value::Null,
        });
        config.emit(&Event::OnEnd {
            runnable: "model".to_owned(),
            run_id: config.run_id,
            output: Value::from(TOKEN),
        });
    }
}
