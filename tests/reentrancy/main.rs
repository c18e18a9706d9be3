//! Rule 9: inside a callback nothing waits. What is emitted there is delivered in order once the
//! emission around it has reached all its handlers, and no handler is re-entered.

mod acts;
mod elsewhere;
mod errors;
mod everywhere;
mod given_up;
mod hears;
mod let_go;
mod order;
mod waits;

use callbacks::{Callbacks, ChainRun, EmitError, Serialized};
use callbacks_tests::CHAIN;
use serde_json::json;

static INNER: Serialized = Serialized::new("Inner");

async fn chain(callbacks: &Callbacks) -> ChainRun {
    callbacks.chain_start(&CHAIN, json!(null)).await.unwrap()
}

async fn inner(callbacks: &Callbacks) -> Result<ChainRun, EmitError> {
    callbacks.chain_start(&INNER, json!(null)).await
}
