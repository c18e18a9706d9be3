//! The server's side: a run around each call of a tool.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use callbacks::{Callbacks, EmitError, ErrorKind, RunError};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use crate::meta::RemoteRun;
use crate::report::ProgressReporter;
use crate::run::{Started, finish, start, unless_closed};

type PerRequest = dyn Fn(&RequestContext<RoleServer>) -> Callbacks + Send + Sync;

/// A server whose tools run in runs: it is served in place of the server itself, over any transport.
///
/// ```no_run
/// use callbacks::Callbacks;
/// use callbacks::handlers::StdoutHandler;
/// use callbacks_rmcp::ToolServer;
/// use rmcp::{ServerHandler, ServiceExt, tool, tool_router};
///
/// struct Clock;
///
/// #[tool_router(server_handler)]
/// impl Clock {
///     #[tool(description = "What time it is")]
///     fn now(&self) -> String {
///         "late".to_owned()
///     }
/// }
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// // standard output is the connection
/// let callbacks = Callbacks::new().with(StdoutHandler::to(std::io::stderr()));
/// let server = ToolServer::new(Clock, callbacks);
/// server.serve(rmcp::transport::stdio()).await?.waiting().await?;
/// # Ok(())
/// # }
/// ```
///
/// A tool finds in the extensions of its request:
///
/// * the [`Callbacks`] of its run, to start runs inside it;
/// * a [`ProgressReporter`].
#[derive(Clone)]
pub struct ToolServer<H> {
    pub(crate) handler: H,
    callbacks: Arc<PerRequest>,
}

impl<H: ServerHandler> ToolServer<H> {
    /// With these callbacks for all calls.
    pub fn new(handler: H, callbacks: Callbacks) -> Self {
        Self::per_request(handler, move |_| callbacks.clone())
    }

    /// With callbacks for each call, by its request: to continue the trace of the client, or to tell
    /// users apart.
    ///
    /// With `callbacks-otel`, whose `Otel::continuing` is the handler for a request:
    ///
    /// ```
    /// use callbacks::{Callbacks, handler};
    /// use callbacks_otel::Otel;
    /// use callbacks_rmcp::{ToolServer, trace_context};
    /// # #[derive(Clone)]
    /// # struct Clock;
    /// # impl rmcp::ServerHandler for Clock {}
    ///
    /// fn traced(clock: Clock, otel: Otel) -> ToolServer<Clock> {
    ///     ToolServer::per_request(clock, move |request| {
    ///         let otel = otel.continuing(&trace_context(&request.meta));
    ///         Callbacks::new().with(handler(otel).inline())
    ///     })
    /// }
    /// # let _ = traced;
    /// ```
    pub fn per_request(
        handler: H,
        callbacks: impl Fn(&RequestContext<RoleServer>) -> Callbacks + Send + Sync + 'static,
    ) -> Self {
        Self {
            handler,
            callbacks: Arc::new(callbacks),
        }
    }

    /// The server that tools are called of, as it was given to [`new`](Self::new).
    pub fn handler(&self) -> &H {
        &self.handler
    }

    pub(crate) async fn call(
        &self,
        mut request: CallToolRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut callbacks = (self.callbacks)(&context);
        if let Some(remote) = RemoteRun::of(&context.meta) {
            callbacks = remote.note(&callbacks);
        }
        let called_off = context.ct.clone();
        let started = tokio::select! {
            biased;
            started = start(&callbacks, &mut request, None) => started,
            // Nobody shall be asked about a tool that is not to run any more.
            () = called_off.cancelled() => return Err(ErrorData::internal_error(CANCELLED, None)),
        };
        let run = match started {
            // Handlers have decided and the client has called it off, both at once.
            Ok(Started::Go(run)) if called_off.is_cancelled() => {
                // What handlers of the error raise is the lesser evil.
                let _ = run.error(cancelled()).await;
                return Err(ErrorData::internal_error(CANCELLED, None));
            }
            Ok(Started::Go(run)) => run,
            Ok(Started::Answered(result)) => return Ok(result.into()),
            Err(error) => return refused(error),
        };
        let reporter = ProgressReporter::new(run.callbacks().clone(), &context);
        context.extensions.insert(reporter);
        context.extensions.insert(run.callbacks().clone());
        let result = {
            let mut tool = pin!(self.handler.call_tool(request, context));
            tokio::select! {
                biased;
                result = &mut tool => result,
                () = called_off.cancelled() => {
                    // The call is over, and nobody waits for its result. What the tool still does is
                    // up to the tool, as ever.
                    let (_, result) = tokio::join!(run.error(cancelled()), tool);
                    return result;
                }
            }
        };
        let finished = if called_off.is_cancelled() {
            unless_closed(run.error(cancelled()).await)
        } else {
            finish(run, &result).await
        };
        match (result, finished) {
            (Ok(_), Err(raised)) => Err(internal(&raised)),
            (result, _) => result,
        }
    }
}

const CANCELLED: &str = "the call was cancelled";

fn cancelled() -> RunError {
    RunError::new(CANCELLED).with_kind(ErrorKind::Cancelled)
}

/// What the client reads of a call that did not start.
fn refused(error: EmitError) -> Result<CallToolResponse, ErrorData> {
    match error {
        // The reason is for whoever asked, so it is said where a model reads it.
        EmitError::Stopped { .. } => {
            let reason = ContentBlock::text(error.to_string());
            Ok(CallToolResult::error(vec![reason]).into())
        }
        error => Err(internal(&error)),
    }
}

/// What a handler failed with is none of the client's business; which one did is in the logs, too.
fn internal(error: &EmitError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

impl<H: fmt::Debug> fmt::Debug for ToolServer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolServer")
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}
