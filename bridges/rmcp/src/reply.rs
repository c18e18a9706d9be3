//! Results of tools as runs see them: what is an output, and what is an error.

use callbacks::{ErrorKind, RunError};
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorData, ServerResult};
use rmcp::service::ServiceError;
use serde_json::Value;

/// The name that OpenTelemetry's conventions for MCP give to a result with `isError`.
const TOOL_ERROR: &str = "tool_error";

/// What a server replies to the call of a tool: [`CallToolResult`] or [`CallToolResponse`].
pub trait Reply: sealed::Sealed + From<CallToolResult> + Send + Sync + 'static {}

impl Reply for CallToolResult {}
impl Reply for CallToolResponse {}

pub(crate) mod sealed {
    use super::{CallToolResult, Value};

    pub trait Sealed {
        /// The tool's result, if it is there already.
        fn result(&self) -> Option<&CallToolResult>;

        /// All of it, as it is sent.
        fn as_json(&self) -> Value;
    }
}

impl sealed::Sealed for CallToolResult {
    fn result(&self) -> Option<&CallToolResult> {
        Some(self)
    }

    fn as_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl sealed::Sealed for CallToolResponse {
    fn result(&self) -> Option<&CallToolResult> {
        match self {
            Self::Complete(result) => Some(result),
            _ => None,
        }
    }

    fn as_json(&self) -> Value {
        serde_json::to_value(ServerResult::from(self.clone())).unwrap_or_default()
    }
}

/// Why a tool says that it failed, if it says so.
pub(crate) fn tool_error(reply: &impl Reply) -> Option<RunError> {
    let result = reply.result()?;
    if result.is_error != Some(true) {
        return None;
    }
    let texts = result.content.iter().filter_map(ContentBlock::as_text);
    let texts: Vec<_> = texts.map(|text| text.text.as_str()).collect();
    let message = if texts.is_empty() {
        reply.as_json().to_string()
    } else {
        texts.join("\n")
    };
    Some(RunError::new(message).with_type_name(TOOL_ERROR))
}

/// An error that ends a call, as the error of its run.
pub(crate) trait Failure {
    fn as_run_error(&self) -> RunError;
}

impl Failure for ErrorData {
    fn as_run_error(&self) -> RunError {
        // The type is always the same; the code says which error it is.
        RunError::from(self).with_type_name(self.code.0.to_string())
    }
}

impl Failure for ServiceError {
    fn as_run_error(&self) -> RunError {
        match self {
            Self::McpError(error) => error.as_run_error(),
            Self::Cancelled { .. } => RunError::from(self).with_kind(ErrorKind::Cancelled),
            error => RunError::from(error),
        }
    }
}

/// What a handler answered for a tool: a whole result as it is, a text as text, and anything else as
/// structured content.
pub(crate) fn answered(answer: Value) -> CallToolResult {
    if answer.get("content").is_some_and(Value::is_array)
        && let Ok(result) = serde_json::from_value(answer.clone())
    {
        return result;
    }
    match answer {
        Value::String(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
        answer => CallToolResult::structured(answer),
    }
}
