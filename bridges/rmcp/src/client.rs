//! The client's side: a run around each call of a tool.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use callbacks::events::{ToolEnd, ToolError, ToolRequest, ToolStart};
use callbacks::{BoxFuture, Callbacks, RunInfo, ToolRun};
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, CallToolResult, RequestMetaObject};
use rmcp::service::{RunningService, Service, ServiceError};
use rmcp::transport::{IntoTransport, Transport};

use crate::error::CallError;
use crate::events::ToolProgress;
use crate::meta::{RemoteRun, propagate};
use crate::progress::Routes;
use crate::reply::Reply;
use crate::run::{Started, finish, start};
use crate::transport::Heard;

type SendCall<'a, T> =
    dyn FnOnce(CallToolRequestParams) -> BoxFuture<'a, Result<T, ServiceError>> + Send + 'a;
type Propagate = dyn Fn(&RunInfo, &mut HashMap<String, String>) + Send + Sync;

/// Calls tools of MCP servers, each in a run: one for any number of connections.
///
/// ```
/// use callbacks::Callbacks;
/// use callbacks_rmcp::{CallError, ToolClient};
/// use rmcp::model::{CallToolRequestParams, CallToolResult};
/// use rmcp::service::RunningService;
/// use rmcp::transport::IntoTransport;
/// use rmcp::{RoleClient, ServiceExt};
///
/// # async fn connect<E, A>(
/// #     transport: impl IntoTransport<RoleClient, E, A>,
/// #     callbacks: Callbacks,
/// # ) -> Result<CallToolResult, Box<dyn std::error::Error>>
/// # where E: std::error::Error + Send + Sync + 'static
/// # {
/// let tools = ToolClient::new();
/// let client = ().serve(tools.transport(transport)).await?;
///
/// let search = CallToolRequestParams::new("search");
/// let found = tools.call_tool(&client, search, &callbacks).await?;
/// # Ok(found)
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ToolClient {
    routes: Arc<Routes>,
    propagate: Option<Arc<Propagate>>,
}

impl ToolClient {
    /// One that sends no trace context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the trace context of each run into the request of its call: the function is given the
    /// run and headers to fill in, which are sent in `_meta` as they are (SEP-414). It is called
    /// when the handlers have seen the start of the run, and not for a call whose parameters have a
    /// trace context already.
    ///
    /// `callbacks-otel` has such a function:
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use callbacks::RunInfo;
    /// # struct Otel;
    /// # impl Otel { fn inject(&self, run: &RunInfo, headers: &mut HashMap<String, String>) {} }
    /// # let otel = Otel;
    /// use callbacks_rmcp::ToolClient;
    ///
    /// let tools = ToolClient::new().propagating(move |run, headers| otel.inject(run, headers));
    /// ```
    #[must_use]
    pub fn propagating(
        mut self,
        write: impl Fn(&RunInfo, &mut HashMap<String, String>) + Send + Sync + 'static,
    ) -> Self {
        self.propagate = Some(Arc::new(write));
        self
    }

    /// The transport to serve a client over. It passes all messages on as they are.
    ///
    /// Without it, calls of tools have their runs all the same, but no
    /// [progress](crate::events::ToolProgress): a handler of the client is not called for
    /// notifications in the order in which they arrive, so it could not tell.
    pub fn transport<T, E, A>(
        &self,
        transport: T,
    ) -> impl Transport<RoleClient, Error = E> + 'static + use<T, E, A>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        Heard::new(transport.into_transport(), self.routes.clone())
    }

    /// Calls a tool as [`RunningService::call_tool`] does, in a run.
    pub fn call_tool<'a, S: Service<RoleClient>>(
        &'a self,
        client: &'a RunningService<RoleClient, S>,
        params: CallToolRequestParams,
        callbacks: &'a Callbacks,
    ) -> Call<'a, CallToolResult> {
        self.call(params, callbacks, |params| client.call_tool(params))
    }

    /// Calls a tool in whatever way, in a run: `send` is given the parameters.
    ///
    /// ```
    /// # use callbacks::Callbacks;
    /// # use callbacks_rmcp::{CallError, ToolClient};
    /// # use rmcp::model::{CallToolRequestParams, CallToolResponse};
    /// # use rmcp::service::Peer;
    /// # use rmcp::RoleClient;
    /// async fn call_once(
    ///     tools: &ToolClient,
    ///     peer: &Peer<RoleClient>,
    ///     params: CallToolRequestParams,
    ///     callbacks: &Callbacks,
    /// ) -> Result<CallToolResponse, CallError> {
    ///     tools.call(params, callbacks, |params| peer.call_tool_once(params)).await
    /// }
    /// ```
    pub fn call<'a, T, F>(
        &'a self,
        params: CallToolRequestParams,
        callbacks: &'a Callbacks,
        send: impl FnOnce(CallToolRequestParams) -> F + Send + 'a,
    ) -> Call<'a, T>
    where
        T: Reply,
        F: Future<Output = Result<T, ServiceError>> + Send + 'a,
    {
        Call {
            tools: self,
            callbacks,
            params,
            tool_call_id: None,
            send: Box::new(|params| Box::pin(send(params))),
        }
    }

    /// Says in the request which run it belongs to.
    fn tell(&self, run: &ToolRun, meta: &mut RequestMetaObject) {
        let Some(run) = run.callbacks().run_info() else {
            return;
        };
        RemoteRun::tell(run, meta);
        if let Some(write) = &self.propagate {
            propagate(meta, |headers| write(run, headers));
        }
    }
}

impl fmt::Debug for ToolClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolClient")
            .field("routes", &self.routes)
            .field("propagates", &self.propagate.is_some())
            .finish()
    }
}

/// A call of a tool that is to be made. Made by [`ToolClient::call_tool`] and [`ToolClient::call`];
/// `.await` it.
///
/// If its future is dropped midway, the run closes with an error of kind
/// [`Dropped`](callbacks::ErrorKind::Dropped). The server is told to cancel by `rmcp`'s `call_tool` and
/// `call_tool_once`; a `RequestHandle` that is dropped tells it nothing.
///
/// # Errors
///
/// [`CallError::Service`] with what the call fails with. [`CallError::Emit`] if a handler stopped the
/// call, if one failed whose errors are raised, or if the run around the call was over before it.
#[must_use = "a tool is not called until its call is awaited: add `.await?`"]
pub struct Call<'a, T> {
    tools: &'a ToolClient,
    callbacks: &'a Callbacks,
    params: CallToolRequestParams,
    tool_call_id: Option<String>,
    send: Box<SendCall<'a, T>>,
}

impl<T: Reply> Call<'_, T> {
    /// The id of the model's request that the call answers, which handlers and spans show.
    ///
    /// ```
    /// use callbacks::{Callbacks, ToolCall};
    /// use callbacks_rmcp::{CallError, ToolClient};
    /// use rmcp::RoleClient;
    /// use rmcp::model::{CallToolRequestParams, CallToolResult};
    /// use rmcp::service::RunningService;
    ///
    /// async fn answer(
    ///     tools: &ToolClient,
    ///     client: &RunningService<RoleClient, ()>,
    ///     asked: &ToolCall,
    ///     callbacks: &Callbacks,
    /// ) -> Result<CallToolResult, CallError> {
    ///     let params = CallToolRequestParams::new(asked.name.clone());
    ///     let call = tools.call_tool(client, params, callbacks);
    ///     match &asked.id {
    ///         Some(id) => call.tool_call_id(id).await,
    ///         None => call.await,
    ///     }
    /// }
    /// # let _ = answer;
    /// ```
    pub fn tool_call_id(mut self, id: impl Into<String>) -> Self {
        self.tool_call_id = Some(id.into());
        self
    }

    async fn run(self) -> Result<T, CallError> {
        let Self {
            tools,
            callbacks,
            mut params,
            tool_call_id,
            send,
        } = self;
        let run = match start(callbacks, &mut params, tool_call_id.as_deref()).await? {
            Started::Go(run) => run,
            Started::Answered(result) => return Ok(result.into()),
        };
        if is_known(callbacks) {
            tools.tell(&run, params.meta.get_or_insert_default());
        }
        let result = if run.wants::<ToolProgress<'_>>() {
            let listening = tools.routes.listen(run.id());
            match listening.during(&run, send(params)).await {
                Ok(result) => result,
                Err(raised) => {
                    // What handlers of the error raise is the lesser evil.
                    let _ = run.error(&raised).await;
                    return Err(raised.into());
                }
            }
        } else {
            send(params).await
        };
        let finished = finish(run, &result).await;
        let reply = result?;
        finished?;
        Ok(reply)
    }
}

/// Whether anybody knows of the run, or of one around it: without, the request is what it is without
/// this crate.
fn is_known(callbacks: &Callbacks) -> bool {
    callbacks.run_info().is_some()
        || callbacks.wants::<ToolRequest<'_>>()
        || callbacks.wants::<ToolStart<'_>>()
        || callbacks.wants::<ToolProgress<'_>>()
        || callbacks.wants::<ToolEnd<'_>>()
        || callbacks.wants::<ToolError<'_>>()
}

impl<'a, T: Reply> IntoFuture for Call<'a, T> {
    type Output = Result<T, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T> fmt::Debug for Call<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("params", &self.params)
            .field("tool_call_id", &self.tool_call_id)
            .finish_non_exhaustive()
    }
}
