//! What is known of a run at its start: the span's name, its kind and its first attributes.

use callbacks::{Metadata, ModelParams, RunInfo, RunKind, Serialized};
use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, KeyValue, Value};

use crate::names::{self, operation};
use crate::provider::Providers;

/// A span that is about to start.
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    /// What is done; `None` where the conventions have no name for it.
    pub(crate) operation: Option<&'static str>,
    /// Whether the answer comes piece by piece, if somebody said.
    pub(crate) streams: Option<bool>,
    /// All of them are given at the creation of the span, for a sampler decides by them.
    pub(crate) attributes: Vec<KeyValue>,
}

impl Description {
    fn new(operation: &'static str, subject: Option<&str>, kind: SpanKind) -> Self {
        let subject = subject.filter(|name| !name.is_empty());
        Self {
            name: subject.map_or_else(|| operation.to_owned(), |of| format!("{operation} {of}")),
            kind,
            operation: Some(operation),
            streams: None,
            attributes: vec![KeyValue::new(names::GEN_AI_OPERATION_NAME, operation)],
        }
    }

    pub(crate) fn add(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        self.attributes
            .extend(value.map(|value| KeyValue::new(name, value)));
    }

    /// A call of a model.
    pub(crate) fn of_model(
        operation: &'static str,
        serialized: Option<&Serialized>,
        params: Option<&ModelParams>,
        providers: &Providers,
    ) -> Self {
        let unknown = ModelParams::new();
        let params = params.unwrap_or(&unknown);
        let model = params.model.as_deref();
        let model = model
            .or_else(|| serialized.and_then(|who| known(who, "model")))
            .or_else(|| serialized.and_then(|who| known(who, "model_name")));
        let mut this = Self::new(operation, model, SpanKind::Client);
        this.streams = params.stream;
        let provider = providers.of(params.provider.as_deref());
        let provider = provider.unwrap_or(names::OTHER).to_owned();
        this.add(names::GEN_AI_PROVIDER_NAME, Some(provider));
        this.add(names::GEN_AI_REQUEST_MODEL, model.map(str::to_owned));
        if let Some(address) = &params.server_address {
            this.add(names::SERVER_ADDRESS, Some(address.clone()));
            this.add(names::SERVER_PORT, params.server_port.map(i64::from));
        }
        let conversation = params.conversation_id.clone();
        this.add(names::GEN_AI_CONVERSATION_ID, conversation);
        this.add(names::GEN_AI_OUTPUT_TYPE, output_type(&params.extra));
        let choices = params.choices.filter(|&choices| choices != 1);
        this.add(names::GEN_AI_REQUEST_CHOICE_COUNT, choices.map(int));
        this.add(names::GEN_AI_REQUEST_SEED, params.seed);
        let stream = params.stream.filter(|&stream| stream);
        this.add(names::GEN_AI_REQUEST_STREAM, stream);
        this.add(names::GEN_AI_REQUEST_MAX_TOKENS, params.max_tokens.map(int));
        this.add(names::GEN_AI_REQUEST_TEMPERATURE, params.temperature);
        this.add(names::GEN_AI_REQUEST_TOP_P, params.top_p);
        this.add(names::GEN_AI_REQUEST_TOP_K, params.top_k);
        let number = |key: &str| params.extra.get(key)?.as_f64();
        this.add(
            names::GEN_AI_REQUEST_FREQUENCY_PENALTY,
            number("frequency_penalty"),
        );
        this.add(
            names::GEN_AI_REQUEST_PRESENCE_PENALTY,
            number("presence_penalty"),
        );
        let stop = params.stop.iter().cloned();
        let stop = (!params.stop.is_empty()).then(|| strings(stop));
        this.add(names::GEN_AI_REQUEST_STOP_SEQUENCES, stop);
        this
    }

    /// A call of a tool.
    pub(crate) fn of_tool(
        run: &RunInfo,
        serialized: Option<&Serialized>,
        tool_call_id: Option<&str>,
    ) -> Self {
        let mut this = Self::new(
            operation::EXECUTE_TOOL,
            Some(run.name()),
            SpanKind::Internal,
        );
        this.add(names::GEN_AI_TOOL_NAME, Some(run.name().to_owned()));
        let id = tool_call_id.map(str::to_owned);
        this.add(names::GEN_AI_TOOL_CALL_ID, id);
        let known = |key| serialized.and_then(|who| known(who, key));
        let description = known("description").map(str::to_owned);
        this.add(names::GEN_AI_TOOL_DESCRIPTION, description);
        // What the program itself runs, for a model or not, is what the conventions call a function.
        let type_ = match known("type") {
            Some("extension") => "extension",
            Some("datastore") => "datastore",
            _ => "function",
        };
        this.add(names::GEN_AI_TOOL_TYPE, Some(type_));
        this
    }

    /// A search.
    pub(crate) fn of_retriever(serialized: Option<&Serialized>, providers: &Providers) -> Self {
        let known = |key| serialized.and_then(|who| known(who, key));
        let source = known("data_source_id");
        let mut this = Self::new(operation::RETRIEVAL, source, SpanKind::Client);
        let provider = providers.of(known("provider"));
        this.add(names::GEN_AI_PROVIDER_NAME, provider.map(str::to_owned));
        this.add(names::GEN_AI_DATA_SOURCE_ID, source.map(str::to_owned));
        let model = known("model").map(str::to_owned);
        this.add(names::GEN_AI_REQUEST_MODEL, model);
        let number = |key| serialized.and_then(|who| who.kwargs.get(key)?.as_f64());
        let top_k = number("top_k").or_else(|| number("k"));
        this.add(names::GEN_AI_REQUEST_TOP_K, top_k);
        this
    }

    /// Whether a chain is neither an agent nor a workflow.
    pub(crate) fn is_step(run: &RunInfo) -> bool {
        match run.kind() {
            RunKind::Agent => false,
            RunKind::Chain => run.parent().is_some(),
            _ => true,
        }
    }

    /// A chain, in whatever shape: a workflow, an agent, or a step of one.
    pub(crate) fn of_chain(
        run: &RunInfo,
        serialized: Option<&Serialized>,
        providers: &Providers,
    ) -> Self {
        let name = run.name().to_owned();
        let known = |key| {
            serialized
                .and_then(|who| known(who, key))
                .map(str::to_owned)
        };
        match run.kind() {
            RunKind::Agent => {
                let mut this = Self::new(operation::INVOKE_AGENT, Some(&name), SpanKind::Internal);
                let provider = providers.of(None);
                let provider = provider.unwrap_or(names::OTHER).to_owned();
                this.add(names::GEN_AI_PROVIDER_NAME, Some(provider));
                this.add(names::GEN_AI_AGENT_NAME, Some(name));
                this.add(names::GEN_AI_AGENT_ID, known("id"));
                this.add(names::GEN_AI_AGENT_DESCRIPTION, known("description"));
                this.add(names::GEN_AI_AGENT_VERSION, known("version"));
                this.add(names::GEN_AI_REQUEST_MODEL, known("model"));
                let conversation = run.metadata().get("conversation_id");
                let conversation = conversation.and_then(|id| id.as_str());
                this.add(
                    names::GEN_AI_CONVERSATION_ID,
                    conversation.map(str::to_owned),
                );
                this
            }
            _ if !Self::is_step(run) => {
                let mut this =
                    Self::new(operation::INVOKE_WORKFLOW, Some(&name), SpanKind::Internal);
                this.add(names::GEN_AI_WORKFLOW_NAME, Some(name));
                this
            }
            // The conventions have no name for a step.
            _ => Self {
                name,
                kind: SpanKind::Internal,
                operation: None,
                streams: None,
                attributes: Vec::new(),
            },
        }
    }
}

/// What is said of a component, by how it was built or otherwise.
fn known<'a>(who: &'a Serialized, key: &str) -> Option<&'a str> {
    let value = who.kwargs.get(key).or_else(|| who.extra.get(key))?;
    value.as_str()
}

/// The form of answer that was asked for, in the one parameter for it that providers agree on.
fn output_type(extra: &Metadata) -> Option<&'static str> {
    match extra.get("response_format")?.get("type")?.as_str()? {
        "text" => Some("text"),
        "json_object" | "json_schema" => Some("json"),
        _ => None,
    }
}

/// A count, which the conventions have as an `int`.
pub(crate) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn strings(texts: impl Iterator<Item = String>) -> Value {
    Value::Array(Array::String(texts.map(Into::into).collect()))
}
