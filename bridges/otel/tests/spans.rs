//! Runs become spans: names, kinds, attributes, parents, times and statuses.

mod common;

use std::time::{Duration, SystemTime};

use callbacks::events::ToolError;
use callbacks::{
    Callbacks, ErrorKind, Event, Generation, Interests, LlmOutput, LlmResult, Message, ModelParams,
    RunError, RunKind, Serialized, TokenUsage, handler,
};
use callbacks_otel::{Otel, names};
use common::{expected, fixture, fixture_with, table};
use opentelemetry::Context;
use opentelemetry::trace::{
    FutureExt, SpanId, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::json;

static CHAT: Serialized = Serialized::new("ChatOpenAI");
static STEP: Serialized = Serialized::new("step");

fn chat_params() -> ModelParams {
    ModelParams::new()
        .with_provider("openai")
        .with_model("gpt-4o-mini")
        .with_stream(true)
        .with_temperature(0.5)
        .with_top_p(0.9)
        .with_top_k(40)
        .with_max_tokens(25)
        .with_stop(["STOP", "END"])
        .with_seed(7)
        .with_choices(2)
        .with_server_address("api.openai.com")
        .with_server_port(443)
        .with_conversation_id("conv-1")
        .with_extra("frequency_penalty", 0.25)
        .with_extra("presence_penalty", 0.75)
        .with_extra("response_format", json!({"type": "json_object"}))
}

const CHAT_AT_START: &[(&str, &str)] = &[
    ("gen_ai.operation.name", "chat"),
    ("gen_ai.provider.name", "openai"),
    ("gen_ai.request.model", "gpt-4o-mini"),
    ("gen_ai.request.stream", "true"),
    ("gen_ai.request.temperature", "0.5"),
    ("gen_ai.request.top_p", "0.9"),
    ("gen_ai.request.top_k", "40"),
    ("gen_ai.request.max_tokens", "25"),
    ("gen_ai.request.stop_sequences", r#"["STOP","END"]"#),
    ("gen_ai.request.seed", "7"),
    ("gen_ai.request.choice.count", "2"),
    ("gen_ai.request.frequency_penalty", "0.25"),
    ("gen_ai.request.presence_penalty", "0.75"),
    ("gen_ai.output.type", "json"),
    ("gen_ai.conversation.id", "conv-1"),
    ("server.address", "api.openai.com"),
    ("server.port", "443"),
];

#[tokio::test]
async fn a_chat_model_at_its_start_and_at_its_end() {
    let fixture = fixture();
    let messages = [Message::human("a secret question")];
    let params = chat_params();
    let run = fixture.callbacks.chat_model_start(&CHAT, &messages);
    let run = run.params(&params).await.unwrap();
    assert_eq!(*fixture.seen.0.lock().unwrap(), [expected(CHAT_AT_START)]);

    run.new_token("a secret answer").await.unwrap();
    let usage = TokenUsage::new()
        .with_input_tokens(11)
        .with_output_tokens(17)
        .with_cache_read(3)
        .with_cache_write(4)
        .with_reasoning(5);
    let output = LlmOutput::new()
        .with_model_name("gpt-4o-mini-2024")
        .with_response_id("chatcmpl-1")
        .with_token_usage(usage);
    let choice = Generation::new("a secret answer").with_finish_reason("stop");
    let result = LlmResult::new(vec![vec![choice.clone(), choice]]).with_llm_output(output);
    run.end(&result).await.unwrap();

    let span = fixture.span("chat gpt-4o-mini");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(span.status, Status::Unset);
    assert!(span.events.is_empty(), "tokens are no span events");
    let took = span.end_time.duration_since(span.start_time).unwrap();
    assert_eq!(took, Duration::from_millis(1_500));
    assert_eq!(
        span.instrumentation_scope.schema_url(),
        Some(names::SCHEMA_URL)
    );
    let mut attributes = expected(CHAT_AT_START);
    attributes.extend(expected(&[
        ("gen_ai.response.model", "gpt-4o-mini-2024"),
        ("gen_ai.response.id", "chatcmpl-1"),
        ("gen_ai.response.finish_reasons", r#"["stop","stop"]"#),
        ("gen_ai.response.time_to_first_chunk", "1.5"),
        ("gen_ai.usage.input_tokens", "11"),
        ("gen_ai.usage.output_tokens", "17"),
        ("gen_ai.usage.cache_read.input_tokens", "3"),
        ("gen_ai.usage.cache_creation.input_tokens", "4"),
        ("gen_ai.usage.reasoning.output_tokens", "5"),
    ]));
    assert_eq!(table(&span.attributes), attributes);
    assert!(!format!("{span:?}").contains("secret"));
}

#[tokio::test]
async fn a_text_model_of_which_little_is_known() {
    let fixture = fixture();
    let run = fixture.callbacks.llm_start(&CHAT, || vec!["hi".to_owned()]);
    let run = run.await.unwrap();
    run.end(|| LlmResult::from_text("hi")).await.unwrap();
    let span = fixture.span("text_completion");
    assert_eq!(span.span_kind, SpanKind::Client);
    let attributes = expected(&[
        ("gen_ai.operation.name", "text_completion"),
        ("gen_ai.provider.name", "local"),
    ]);
    assert_eq!(table(&span.attributes), attributes);
}

#[tokio::test]
async fn a_tool() {
    let fixture = fixture();
    let shell = Serialized::new("Shell").with_extra("description", "runs a command");
    let run = fixture.callbacks.tool_start(&shell, "cat secret");
    let run = run.tool_call_id("call_1").await.unwrap();
    run.end(&json!("secret")).await.unwrap();
    let span = fixture.span("execute_tool Shell");
    assert_eq!(span.span_kind, SpanKind::Internal);
    let attributes = expected(&[
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "Shell"),
        ("gen_ai.tool.call.id", "call_1"),
        ("gen_ai.tool.description", "runs a command"),
        ("gen_ai.tool.type", "function"),
    ]);
    assert_eq!(table(&span.attributes), attributes);
    assert!(!format!("{span:?}").contains("secret"));
}

#[tokio::test]
async fn what_has_no_name_leaves_no_blank() {
    let fixture = fixture();
    let inputs = json!(1);
    let run = fixture.callbacks.tool_start(&STEP, "").name("");
    run.await.unwrap().end(&inputs).await.unwrap();
    let flow = fixture.callbacks.chain_start(&STEP, &inputs).name("");
    flow.await.unwrap().end(&inputs).await.unwrap();
    let names: Vec<_> = fixture.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["execute_tool", "invoke_workflow"]);
}

#[tokio::test]
async fn a_retriever() {
    let fixture = fixture();
    let store = Serialized::new("Store")
        .with_kwarg("data_source_id", "cats")
        .with_kwarg("top_k", 4);
    let run = fixture.callbacks.retriever_start(&store, "secret");
    run.await.unwrap().end(&[]).await.unwrap();
    let span = fixture.span("retrieval cats");
    assert_eq!(span.span_kind, SpanKind::Client);
    let attributes = expected(&[
        ("gen_ai.operation.name", "retrieval"),
        ("gen_ai.provider.name", "local"),
        ("gen_ai.data_source.id", "cats"),
        ("gen_ai.request.top_k", "4"),
    ]);
    assert_eq!(table(&span.attributes), attributes);
}

#[tokio::test]
async fn a_workflow_with_an_agent_a_step_and_a_model() {
    let fixture = fixture();
    let inputs = json!("secret");
    let flow = fixture.callbacks.chain_start(&STEP, &inputs).name("flow");
    let flow = flow.await.unwrap();
    let agent = flow.callbacks().chain_start(&STEP, &inputs).name("planner");
    let agent = agent.kind(RunKind::Agent).await.unwrap();
    let step = agent.callbacks().chain_start(&STEP, &inputs).await.unwrap();
    let model = step.callbacks().llm_start(&CHAT, || vec![String::new()]);
    let model = model.await.unwrap();
    let usage = TokenUsage::new().with_input_tokens(11);
    let output = LlmOutput::new().with_token_usage(usage);
    let result = LlmResult::from_text("secret").with_llm_output(output);
    model.end(&result).await.unwrap();
    step.end(&inputs).await.unwrap();
    agent.end(&inputs).await.unwrap();
    flow.end(&inputs).await.unwrap();

    let [flow, agent, step, model] = [
        "invoke_workflow flow",
        "invoke_agent planner",
        "step",
        "text_completion",
    ]
    .map(|name| fixture.span(name));
    let parents = [&flow, &agent, &step, &model].map(|span| span.parent_span_id);
    let ids = [&flow, &agent, &step].map(|span| span.span_context.span_id());
    assert_eq!(parents, [SpanId::INVALID, ids[0], ids[1], ids[2]]);
    for span in [&flow, &agent, &step] {
        assert_eq!(span.span_kind, SpanKind::Internal);
        assert!(!format!("{span:?}").contains("secret"));
    }
    let attributes = expected(&[
        ("gen_ai.operation.name", "invoke_workflow"),
        ("gen_ai.workflow.name", "flow"),
    ]);
    assert_eq!(table(&flow.attributes), attributes);
    let attributes = expected(&[
        ("gen_ai.operation.name", "invoke_agent"),
        ("gen_ai.provider.name", "local"),
        ("gen_ai.agent.name", "planner"),
        ("gen_ai.usage.input_tokens", "11"),
    ]);
    assert_eq!(table(&agent.attributes), attributes);
    assert_eq!(table(&step.attributes), expected(&[]));
}

#[tokio::test]
async fn errors_have_a_type_of_few_and_no_description() {
    let failed = RunError::from(std::fmt::Error);
    let boxed: Box<dyn std::error::Error + Send + Sync> = "a secret".into();
    let rows = [
        (failed, "core::fmt::Error"),
        (RunError::from(&*boxed), "_OTHER"),
        (RunError::new("a secret"), "_OTHER"),
        (
            RunError::new("a secret").with_kind(ErrorKind::Cancelled),
            "cancelled",
        ),
    ];
    for (error, error_type) in rows {
        let fixture = fixture();
        let run = fixture.callbacks.llm_start(&CHAT, || vec![String::new()]);
        run.await.unwrap().error(error).await.unwrap();
        let span = fixture.span("text_completion");
        assert_eq!(span.status, Status::error(""));
        assert_eq!(table(&span.attributes)[names::ERROR_TYPE], error_type);
        assert!(!format!("{span:?}").contains("secret"));
    }
}

/// A handler that is narrowed may not hear how a run ends. It is over with the run around it.
#[tokio::test]
async fn a_run_whose_end_is_not_heard_is_over_with_the_one_around_it() {
    let fixture = fixture();
    let narrowed = handler(fixture.otel.clone()).except(Interests::of(&[ToolError::INDEX]));
    let callbacks = Callbacks::new().with(narrowed);
    let flow = callbacks.chain_start(&STEP, json!(null)).await.unwrap();
    let tool = flow.callbacks().tool_start(&STEP, "").await.unwrap();
    let inner = tool.callbacks().tool_start(&STEP, "").await.unwrap();
    inner.error(RunError::new("")).await.unwrap();
    tool.error(RunError::new("")).await.unwrap();
    assert_eq!(fixture.otel.open_runs(), 3);
    flow.end(json!(null)).await.unwrap();
    assert_eq!(fixture.otel.open_runs(), 0);
    let spans = fixture.spans();
    assert_eq!(spans.len(), 3, "{spans:?}");
    assert!(spans.iter().all(|span| span.end_time >= span.start_time));
    // It does not look as if it had gone well.
    for span in spans
        .iter()
        .filter(|span| span.name != "invoke_workflow step")
    {
        assert_eq!(span.status, Status::error("its end was not heard"));
        assert_eq!(table(&span.attributes)[names::ERROR_TYPE], "_OTHER");
    }
}

/// Not even one that is in no other.
#[tokio::test]
async fn runs_whose_end_is_not_heard_do_not_stay() {
    let fixture = fixture();
    let narrowed = handler(fixture.otel.clone()).except(Interests::of(&[ToolError::INDEX]));
    let callbacks = Callbacks::new().with(narrowed);
    let open = callbacks.tool_start(&STEP, "").await.unwrap();
    for _ in 0..1_000 {
        let tool = callbacks.tool_start(&STEP, "").await.unwrap();
        tool.error(RunError::new("")).await.unwrap();
    }
    assert!((2..20).contains(&fixture.otel.open_runs()));
    // Those that are left go as others start.
    for _ in 0..20 {
        let tool = callbacks.tool_start(&STEP, "").await.unwrap();
        tool.end(json!(null)).await.unwrap();
    }
    open.end(json!(null)).await.unwrap();
    let spans = fixture.spans();
    let well = spans.iter().filter(|span| span.status == Status::Unset);
    assert_eq!((well.count(), spans.len()), (21, 1_021));
}

/// What is open when the handler goes ends with it.
#[tokio::test]
async fn runs_whose_end_is_not_heard_do_not_outlive_the_handler() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let end = SystemTime::now() + Duration::from_secs(3_600);
    let otel = Otel::builder()
        .tracer_provider(&provider)
        .clock(move || end)
        .build();
    let narrowed = handler(otel).except(Interests::of(&[ToolError::INDEX]));
    let callbacks = Callbacks::new().with(narrowed);
    let tool = callbacks.tool_start(&STEP, "").await.unwrap();
    tool.error(RunError::new("")).await.unwrap();
    assert!(exporter.get_finished_spans().unwrap().is_empty());
    drop(callbacks);
    let spans = exporter.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].end_time, end);
    assert_eq!(spans[0].status, Status::error("its end was not heard"));
}

#[tokio::test]
async fn runs_that_are_dropped_leave_nothing() {
    let fixture = fixture();
    let inputs = json!(null);
    let flow = fixture.callbacks.chain_start(&STEP, &inputs).await.unwrap();
    let tool = flow.callbacks().tool_start(&STEP, "").await.unwrap();
    let context = fixture.otel.context(tool.info()).unwrap();
    assert!(context.span().is_recording());
    assert_eq!(fixture.otel.open_runs(), 2);
    flow.error(RunError::new("")).await.unwrap();
    drop(tool);
    let span = fixture.span("execute_tool step");
    assert_eq!(table(&span.attributes)[names::ERROR_TYPE], "abandoned");
    let span = fixture.span("invoke_workflow step");
    assert_eq!(table(&span.attributes)[names::ERROR_TYPE], "_OTHER");

    drop(fixture.callbacks.retriever_start(&STEP, "").await.unwrap());
    let report = fixture.callbacks.flush(Duration::from_secs(10)).await;
    assert!(report.is_complete());
    let span = fixture.span("retrieval");
    assert_eq!(table(&span.attributes)[names::ERROR_TYPE], "dropped");
}

#[tokio::test]
async fn outermost_runs_are_under_the_context_that_is_current_or_given() {
    let fixture = fixture();
    let tracer = fixture.provider.tracer("application");
    let request = Context::new().with_span(tracer.start("request"));
    let start = fixture.callbacks.tool_start(&STEP, "").into_future();
    let run = start.with_context(request.clone()).await.unwrap();
    run.end(&json!(1)).await.unwrap();

    let under = fixture.otel.under(request.clone());
    let callbacks = Callbacks::new().with(handler(under).inline());
    let run = callbacks.tool_start(&STEP, "").name("given").await;
    run.unwrap().end(&json!(1)).await.unwrap();

    let request = request.span().span_context().span_id();
    for name in ["execute_tool step", "execute_tool given"] {
        assert_eq!(fixture.span(name).parent_span_id, request);
    }
}

#[tokio::test]
async fn a_handler_that_is_there_twice_records_once() {
    let fixture = fixture();
    let callbacks = fixture.callbacks.clone();
    let callbacks = callbacks.with(handler(fixture.otel.clone()).inline());
    let run = callbacks.tool_start(&STEP, "").await.unwrap();
    run.end(&json!(1)).await.unwrap();
    assert_eq!(fixture.spans().len(), 1);
}

#[tokio::test]
async fn on_a_lane_parents_are_right_too() {
    let fixture = fixture();
    let callbacks = Callbacks::new().with(fixture.otel.clone());
    let inputs = json!(null);
    let flow = callbacks.chain_start(&STEP, &inputs).await.unwrap();
    let tool = flow.callbacks().tool_start(&STEP, "").await.unwrap();
    tool.end(&json!(1)).await.unwrap();
    flow.end(&inputs).await.unwrap();
    let flow = fixture.span("invoke_workflow step");
    let tool = fixture.span("execute_tool step");
    assert_eq!(tool.parent_span_id, flow.span_context.span_id());
}

#[tokio::test]
async fn providers_have_the_names_of_the_conventions() {
    let rows = [
        (Some("openai"), "openai"),
        (Some("bedrock"), "aws.bedrock"),
        (Some("house"), "x.house"),
        // what is said here outranks what is known
        (Some("azure"), "x.azure"),
        (Some("somebody"), "somebody"),
        (None, "gcp.gemini"),
    ];
    for (said, recorded) in rows {
        let fixture = fixture_with(|builder| {
            let builder = builder.provider("gemini");
            let builder = builder.rename_provider("house", "x.house");
            builder.rename_provider("azure", "x.azure")
        });
        let mut params = ModelParams::new();
        params.provider = said.map(str::to_owned);
        let run = fixture.callbacks.llm_start(&CHAT, || vec![String::new()]);
        let run = run.params(&params).await.unwrap();
        run.end(|| LlmResult::from_text("")).await.unwrap();
        let span = fixture.span("text_completion");
        let provider = &table(&span.attributes)[names::GEN_AI_PROVIDER_NAME];
        assert_eq!(provider, recorded);
    }
}
