//! Runs as spans of `tracing`, in the spans of the program, for every layer of `tracing-subscriber`.
//!
//! ```sh
//! cargo run --example spans --features spans
//! ```

use callbacks::handlers::Spans;
use callbacks::{Callbacks, EmitError, RunKind, Serialized, handler};
use callbacks_examples::ChatOpenAi;
use serde_json::json;
use tracing::Instrument;
use tracing_subscriber::fmt::format::FmtSpan;

static PLANNER: Serialized = Serialized::new("planner");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), EmitError> {
    // A line for each span that is over, and for each event.
    let subscriber = tracing_subscriber::fmt().with_span_events(FmtSpan::CLOSE);
    subscriber.without_time().with_ansi(false).init();

    // Inline, so that a span begins and ends just when its run does.
    let callbacks = Callbacks::new().with(handler(Spans::new()).inline());
    let request = tracing::info_span!("request", user = 42);
    plan(&callbacks.tag("demo")).instrument(request).await
}

async fn plan(callbacks: &Callbacks) -> Result<(), EmitError> {
    let inputs = json!({ "questions": 2 });
    let planner = callbacks.chain_start(&PLANNER, &inputs);
    let planner = planner.kind(RunKind::Agent).await?;
    let chat = ChatOpenAi::new().callbacks(planner.callbacks().clone());
    let mut answers = 0;
    for question in ["Tell me a joke", "Is there life on Mars?"] {
        // What went wrong is in the span of the model's run.
        answers += u32::from(chat.invoke(question).await.is_ok());
    }
    planner.end(&json!({ "answers": answers })).await
}
