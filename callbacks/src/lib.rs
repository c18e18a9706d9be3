#![doc = include_str!("../README.md")]

mod payload;

pub use payload::{
    AgentAction, AgentFinish, Chunk, Content, Document, ErrorKind, Generation, LlmOutput,
    LlmResult, Message, Metadata, ModelParams, RetryState, Role, RunError, RunKind, Serialized,
    TokenUsage, ToolCall, ToolCallChunk, buffer_string,
};
