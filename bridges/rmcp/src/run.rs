//! The run of a call: how it starts and how it ends, on either side of the connection.

use callbacks::events::{ToolRequest, ToolStart};
use callbacks::{Asked, Callbacks, EmitError, ErrorKind, RunError, Serialized, ToolRun};
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject};
use serde_json::Value;

use crate::reply::{Failure, Reply, answered, tool_error};

/// A call that was to start.
pub(crate) enum Started {
    /// It has, with the arguments as decided.
    Go(ToolRun),
    /// A handler answered for the tool.
    Answered(CallToolResult),
}

/// Starts the run of a call, and gives the call the arguments that the handlers decided on.
pub(crate) async fn start(
    callbacks: &Callbacks,
    params: &mut CallToolRequestParams,
    tool_call_id: Option<&str>,
) -> Result<Started, EmitError> {
    let tool = Serialized::from(params.name.clone().into_owned());
    let shown = callbacks.wants::<ToolStart<'_>>() || callbacks.wants::<ToolRequest<'_>>();
    let input = if shown {
        text(params.arguments.as_ref())
    } else {
        String::new()
    };
    let arguments = &params.arguments;
    let mut start = callbacks
        .tool_start(&tool, &input)
        .inputs(|| Value::Object(arguments.clone().unwrap_or_default()));
    if let Some(id) = tool_call_id {
        start = start.tool_call_id(id);
    }
    let run = match start.ask().await? {
        Asked::Go(run) => run,
        Asked::Answered(answer) => return Ok(Started::Answered(answered(answer))),
    };
    if run.input() != input {
        match serde_json::from_str(run.input()) {
            Ok(arguments) => params.arguments = Some(arguments),
            Err(_) => return Err(not_arguments(run.into_run()).await),
        }
    }
    Ok(Started::Go(run.into_run()))
}

/// Arguments as the text that handlers see: always an object.
fn text(arguments: Option<&JsonObject>) -> String {
    let arguments = arguments.map(serde_json::to_string);
    let text = arguments.and_then(Result::ok);
    text.unwrap_or_else(|| "{}".to_owned())
}

/// A handler rewrote the arguments to what cannot be sent.
async fn not_arguments(run: ToolRun) -> EmitError {
    let reason = "a handler rewrote the arguments to what is no JSON object".to_owned();
    let error = RunError::new(reason.clone()).with_kind(ErrorKind::Stopped);
    // What handlers of the error raise is the lesser evil.
    let _ = run.error(error).await;
    EmitError::Stopped { reason }
}

/// Ends the run with what the call came to. The error is what a handler raised.
pub(crate) async fn finish<T: Reply, E: Failure>(
    run: ToolRun,
    result: &Result<T, E>,
) -> Result<(), EmitError> {
    let closed = match result {
        Ok(reply) => match tool_error(reply) {
            Some(error) => run.error(error).await,
            None => run.end(|| reply.as_json()).await,
        },
        Err(error) => run.error(error.as_run_error()).await,
    };
    unless_closed(closed)
}

/// That a run was closed with a run around it is the handlers' loss, and not the call's.
pub(crate) fn unless_closed(emitted: Result<(), EmitError>) -> Result<(), EmitError> {
    match emitted {
        Err(EmitError::RunClosed) => Ok(()),
        emitted => emitted,
    }
}
