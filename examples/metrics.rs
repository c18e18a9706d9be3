//! Metrics with labels, in the text format of Prometheus.
//!
//! ```sh
//! cargo run --example metrics --features metrics
//! ```

use std::sync::Arc;

use callbacks::{Callbacks, LlmResult, ModelParams, RunError, callback_handler, handler};
use callbacks_examples::ChatOpenAi;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Default)]
struct Metrics {
    calls: Family<[(&'static str, String); 2], Counter>,
    tokens: Counter,
}

impl Metrics {
    fn count(&self, model: Option<String>, outcome: &str) {
        let model = ("model", model.unwrap_or_default());
        let outcome = ("outcome", outcome.to_owned());
        self.calls.get_or_create(&[model, outcome]).inc();
    }
}

#[callback_handler]
impl Metrics {
    fn on_llm_end(&self, response: &LlmResult) {
        let tokens = response.usage().output_tokens.unwrap_or_default();
        self.tokens.inc_by(tokens);
        self.count(response.llm_output.model_name.clone(), "ok");
    }

    fn on_llm_error(&self, params: Option<&ModelParams>, error: &RunError) {
        let model = params.and_then(|params| params.model.clone());
        self.count(model, error.kind.as_str());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (metrics, mut registry) = (Arc::new(Metrics::default()), Registry::default());
    registry.register("llm_calls", "Calls of models", metrics.calls.clone());
    registry.register("llm_tokens", "Tokens written", metrics.tokens.clone());
    // To add to a counter takes nanoseconds, so it is done where the event is emitted.
    let callbacks = Callbacks::new().with(handler(metrics).inline());
    let chat = ChatOpenAi::new().callbacks(callbacks);
    chat.invoke("Tell me a joke").await?;
    println!("# {:?}", chat.invoke("?").await);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    print!("{text}");
    Ok(())
}
