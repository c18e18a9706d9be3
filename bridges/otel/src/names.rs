//! The names of the conventions: attributes, metrics, events, operations.
//!
//! They are from the [GenAI semantic conventions], version 1.41.0: what this crate records, and what an
//! application may want to record beside it.
//!
//! ```
//! use callbacks_otel::names;
//! use opentelemetry::KeyValue;
//!
//! let attribute = KeyValue::new(names::GEN_AI_REQUEST_MODEL, "gpt-4o-mini");
//! assert_eq!(attribute.key.as_str(), "gen_ai.request.model");
//! ```
//!
//! [GenAI semantic conventions]: https://opentelemetry.io/docs/specs/semconv/gen-ai/

/// The schema that the names are from.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

/// What stands where the conventions want a value and none is known.
pub const OTHER: &str = "_OTHER";

/// What is done: one of the operations of [`operation`].
pub const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";
/// Who serves the model: `openai`, `anthropic`, `aws.bedrock`, ..
pub const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The conversation that the call is part of.
pub const GEN_AI_CONVERSATION_ID: &str = "gen_ai.conversation.id";
/// What is asked for: `text`, `json`, `image`, `speech`.
pub const GEN_AI_OUTPUT_TYPE: &str = "gen_ai.output.type";
/// The model asked for.
pub const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
/// How many answers are asked for, if not one.
pub const GEN_AI_REQUEST_CHOICE_COUNT: &str = "gen_ai.request.choice.count";
/// The seed for reproducible sampling.
pub const GEN_AI_REQUEST_SEED: &str = "gen_ai.request.seed";
/// Whether the answer comes piece by piece.
pub const GEN_AI_REQUEST_STREAM: &str = "gen_ai.request.stream";
/// The most tokens the answer may have.
pub const GEN_AI_REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// The sampling temperature.
pub const GEN_AI_REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
/// Nucleus sampling.
pub const GEN_AI_REQUEST_TOP_P: &str = "gen_ai.request.top_p";
/// How many of the likeliest tokens, or of the nearest documents.
pub const GEN_AI_REQUEST_TOP_K: &str = "gen_ai.request.top_k";
/// The penalty for frequent tokens.
pub const GEN_AI_REQUEST_FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
/// The penalty for tokens that were there.
pub const GEN_AI_REQUEST_PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
/// The texts at which the model stops.
pub const GEN_AI_REQUEST_STOP_SEQUENCES: &str = "gen_ai.request.stop_sequences";
/// The provider's id for the answer.
pub const GEN_AI_RESPONSE_ID: &str = "gen_ai.response.id";
/// The model that answered.
pub const GEN_AI_RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Why the model stopped, for each choice.
pub const GEN_AI_RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// How long the first piece of the answer took, in seconds.
pub const GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Tokens read, those from a cache included.
pub const GEN_AI_USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens written, reasoning included.
pub const GEN_AI_USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Input tokens that came from a cache.
pub const GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Input tokens that were written to a cache.
pub const GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: &str =
    "gen_ai.usage.cache_creation.input_tokens";
/// Output tokens spent on reasoning.
pub const GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// Of the metric of tokens: `input` or `output`.
pub const GEN_AI_TOKEN_TYPE: &str = "gen_ai.token.type";
/// The tool's name.
pub const GEN_AI_TOOL_NAME: &str = "gen_ai.tool.name";
/// The model's request that the tool answers.
pub const GEN_AI_TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// What the tool is for.
pub const GEN_AI_TOOL_DESCRIPTION: &str = "gen_ai.tool.description";
/// `function`, `extension` or `datastore`.
pub const GEN_AI_TOOL_TYPE: &str = "gen_ai.tool.type";
/// What is searched.
pub const GEN_AI_DATA_SOURCE_ID: &str = "gen_ai.data_source.id";
/// The agent's id.
pub const GEN_AI_AGENT_ID: &str = "gen_ai.agent.id";
/// The agent's name.
pub const GEN_AI_AGENT_NAME: &str = "gen_ai.agent.name";
/// What the agent is for.
pub const GEN_AI_AGENT_DESCRIPTION: &str = "gen_ai.agent.description";
/// The agent's version.
pub const GEN_AI_AGENT_VERSION: &str = "gen_ai.agent.version";
/// The workflow's name.
pub const GEN_AI_WORKFLOW_NAME: &str = "gen_ai.workflow.name";
/// Of embeddings: the forms asked for.
pub const GEN_AI_REQUEST_ENCODING_FORMATS: &str = "gen_ai.request.encoding_formats";
/// Of embeddings: how many numbers each has.
pub const GEN_AI_EMBEDDINGS_DIMENSION_COUNT: &str = "gen_ai.embeddings.dimension.count";
/// What was evaluated: relevance, toxicity, ..
pub const GEN_AI_EVALUATION_NAME: &str = "gen_ai.evaluation.name";
/// The outcome of an evaluation, as a number.
pub const GEN_AI_EVALUATION_SCORE_VALUE: &str = "gen_ai.evaluation.score.value";
/// The outcome of an evaluation, as a word.
pub const GEN_AI_EVALUATION_SCORE_LABEL: &str = "gen_ai.evaluation.score.label";
/// Why an evaluation came out as it did.
pub const GEN_AI_EVALUATION_EXPLANATION: &str = "gen_ai.evaluation.explanation";
/// What kind of error it was: of few values.
pub const ERROR_TYPE: &str = "error.type";
/// The host that is called.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that is called.
pub const SERVER_PORT: &str = "server.port";
/// What a model is told apart from the chat. Content.
pub const GEN_AI_SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// What the model is asked. Content.
pub const GEN_AI_INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// What the model answered. Content.
pub const GEN_AI_OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The tools offered to the model. Content.
pub const GEN_AI_TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
/// What a tool is given. Content.
pub const GEN_AI_TOOL_CALL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// What a tool found. Content.
pub const GEN_AI_TOOL_CALL_RESULT: &str = "gen_ai.tool.call.result";
/// What is searched for. Content.
pub const GEN_AI_RETRIEVAL_QUERY_TEXT: &str = "gen_ai.retrieval.query.text";
/// What was found. Content.
pub const GEN_AI_RETRIEVAL_DOCUMENTS: &str = "gen_ai.retrieval.documents";
/// Of an exception event: its type.
pub const EXCEPTION_TYPE: &str = "exception.type";
/// Of an exception event: what it says. Content.
pub const EXCEPTION_MESSAGE: &str = "exception.message";
/// A metric: how long operations took, in seconds.
pub const GEN_AI_CLIENT_OPERATION_DURATION: &str = "gen_ai.client.operation.duration";
/// A metric: how many tokens were used.
pub const GEN_AI_CLIENT_TOKEN_USAGE: &str = "gen_ai.client.token.usage";
/// A metric: how long the first piece of a streamed answer took, in seconds.
pub const GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK: &str =
    "gen_ai.client.operation.time_to_first_chunk";
/// A metric: how long each further piece of a streamed answer took, in seconds.
pub const GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK: &str =
    "gen_ai.client.operation.time_per_output_chunk";
/// A metric of servers: how long requests took, in seconds.
pub const GEN_AI_SERVER_REQUEST_DURATION: &str = "gen_ai.server.request.duration";
/// A metric of servers: how long each token took, in seconds.
pub const GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN: &str = "gen_ai.server.time_per_output_token";
/// A metric of servers: how long the first token took, in seconds.
pub const GEN_AI_SERVER_TIME_TO_FIRST_TOKEN: &str = "gen_ai.server.time_to_first_token";
/// An event: all about a call of a model.
pub const GEN_AI_CLIENT_INFERENCE_OPERATION_DETAILS: &str =
    "gen_ai.client.inference.operation.details";
/// An event: an operation failed.
pub const GEN_AI_CLIENT_OPERATION_EXCEPTION: &str = "gen_ai.client.operation.exception";

/// An event: something was evaluated.
pub const GEN_AI_EVALUATION_RESULT: &str = "gen_ai.evaluation.result";
/// Of an exception event: where it was.
pub const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";

/// The values of [`GEN_AI_OPERATION_NAME`].
pub mod operation {
    /// A call of a chat model.
    pub const CHAT: &str = "chat";
    /// A call of a text model.
    pub const TEXT_COMPLETION: &str = "text_completion";
    /// A call of a model of several kinds of content.
    pub const GENERATE_CONTENT: &str = "generate_content";
    /// A call of a model that makes vectors.
    pub const EMBEDDINGS: &str = "embeddings";
    /// A search for documents.
    pub const RETRIEVAL: &str = "retrieval";
    /// A call of a tool.
    pub const EXECUTE_TOOL: &str = "execute_tool";
    /// An agent is made.
    pub const CREATE_AGENT: &str = "create_agent";
    /// A run of an agent.
    pub const INVOKE_AGENT: &str = "invoke_agent";
    /// A run of an outermost chain.
    pub const INVOKE_WORKFLOW: &str = "invoke_workflow";
}

/// The values of [`GEN_AI_PROVIDER_NAME`] that are agreed on. Who is not among them has a name of its own.
pub mod provider {
    /// Anthropic.
    pub const ANTHROPIC: &str = "anthropic";
    /// Amazon Bedrock.
    pub const AWS_BEDROCK: &str = "aws.bedrock";
    /// Azure AI Inference.
    pub const AZURE_AI_INFERENCE: &str = "azure.ai.inference";
    /// Azure `OpenAI`.
    pub const AZURE_AI_OPENAI: &str = "azure.ai.openai";
    /// Cohere.
    pub const COHERE: &str = "cohere";
    /// `DeepSeek`.
    pub const DEEPSEEK: &str = "deepseek";
    /// Gemini, at Google AI Studio.
    pub const GCP_GEMINI: &str = "gcp.gemini";
    /// Any of Google's.
    pub const GCP_GEN_AI: &str = "gcp.gen_ai";
    /// Vertex AI.
    pub const GCP_VERTEX_AI: &str = "gcp.vertex_ai";
    /// Groq.
    pub const GROQ: &str = "groq";
    /// IBM watsonx.
    pub const IBM_WATSONX_AI: &str = "ibm.watsonx.ai";
    /// Mistral AI.
    pub const MISTRAL_AI: &str = "mistral_ai";
    /// `OpenAI`.
    pub const OPENAI: &str = "openai";
    /// Perplexity.
    pub const PERPLEXITY: &str = "perplexity";
    /// xAI.
    pub const X_AI: &str = "x_ai";
}
