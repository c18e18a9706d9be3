//! An agent whose runs go to a collector, with what is lost counted.
//!
//! Start any collector that takes OTLP over HTTP on port 4318, or none, and see what is lost:
//!
//! ```sh
//! cargo run --manifest-path bridges/Cargo.toml --example otlp --features sdk
//! ```
//!
//! With `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY` the spans have content.

use std::collections::HashMap;

use callbacks::{
    Callbacks, EmitError, LlmOutput, LlmResult, Message, ModelParams, RunKind, Serialized,
    TokenUsage, handler,
};
use callbacks_otel::{Losses, Otel};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;

static PLANNER: Serialized = Serialized::new("planner");
static CHAT: Serialized = Serialized::new("ChatOpenAI");
static SEARCH: Serialized = Serialized::new("search");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let losses = Losses::new();
    let spans = losses.counted(SpanExporter::builder().with_http().build()?);
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(spans)
        .build();
    let metrics = losses.counted(MetricExporter::builder().with_http().build()?);
    let reader = PeriodicReader::builder(metrics).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let otel = Otel::builder()
        .tracer_provider(&tracers)
        .meter_provider(&meters)
        .build();

    agent(&otel).await?;

    for down in [tracers.shutdown().err(), meters.shutdown().err()]
        .iter()
        .flatten()
    {
        println!("{down}");
    }
    println!(
        "lost: {} spans, {} metrics",
        losses.spans(),
        losses.metrics()
    );
    Ok(())
}

async fn agent(otel: &Otel) -> Result<(), EmitError> {
    // Spans are cheap, so they are made where the event is emitted.
    let callbacks = Callbacks::new().with(handler(otel.clone()).inline());
    let question = json!("How old is the universe?");
    let agent = callbacks.chain_start(&PLANNER, &question);
    let agent = agent.kind(RunKind::Agent).await?;

    let messages = [Message::human("How old is the universe?")];
    let params = ModelParams::new()
        .with_provider("openai")
        .with_model("gpt-4o-mini");
    let model = agent.callbacks().chat_model_start(&CHAT, &messages);
    let model = model.params(&params).await?;
    let usage = TokenUsage::new()
        .with_input_tokens(11)
        .with_output_tokens(17);
    let output = LlmOutput::new().with_token_usage(usage);
    let answer = LlmResult::from_text("I should look this up.").with_llm_output(output);
    model.end(&answer).await?;

    let tool = agent
        .callbacks()
        .tool_start(&SEARCH, "age of the universe")
        .await?;
    // What is sent with the call of another machine ..
    let mut headers = HashMap::new();
    otel.inject(tool.info(), &mut headers);
    let found = search(otel, &headers).await?;
    tool.end(&found).await?;
    agent.end(&json!("13.8 billion years")).await
}

/// .. and what that machine does with it: its runs are in the same trace.
async fn search(
    otel: &Otel,
    headers: &HashMap<String, String>,
) -> Result<serde_json::Value, EmitError> {
    let callbacks = Callbacks::new().with(handler(otel.continuing(headers)).inline());
    let run = callbacks
        .retriever_start(&SEARCH, "age of the universe")
        .await?;
    run.end(&[]).await?;
    Ok(json!("13.8 billion years"))
}
