//! Progress of a tool, from inside it.

use callbacks::Callbacks;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};

use crate::error::CallError;
use crate::events::ToolProgress;
use crate::run::unless_closed;

/// Says how far a tool is: to the handlers of its run, and to the client if it has asked for that.
/// Tools have it from the extensions of their request.
///
/// ```
/// use callbacks_rmcp::ProgressReporter;
/// use rmcp::handler::server::tool::Extension;
/// use rmcp::{tool, tool_router};
///
/// struct Library;
///
/// #[tool_router]
/// impl Library {
///     #[tool(description = "Reads all books")]
///     async fn read_all(&self, Extension(progress): Extension<ProgressReporter>) -> String {
///         for book in ["Emma", "Dune"].iter().zip(1..) {
///             if progress.report(f64::from(book.1), 2.0, *book.0).await.is_err() {
///                 return "nobody waits".to_owned();
///             }
///         }
///         "all read".to_owned()
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ProgressReporter {
    callbacks: Callbacks,
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
}

impl ProgressReporter {
    pub(crate) fn new(callbacks: Callbacks, context: &RequestContext<RoleServer>) -> Self {
        Self {
            callbacks,
            peer: context.peer.clone(),
            token: context.meta.get_progress_token(),
        }
    }

    /// Says that the tool is this far, of this total if that is known, and what it is doing. Handlers
    /// that are waited for hear it before the client does. Once the tool has returned, there is nobody to
    /// tell any more: a client has forgotten the call by then.
    ///
    /// # Errors
    ///
    /// [`CallError::Emit`] if a handler fails whose errors are raised, and then the client is told
    /// nothing; [`CallError::Service`] if the connection is gone.
    pub async fn report(
        &self,
        progress: f64,
        total: impl Into<Option<f64>>,
        message: impl Into<Option<&str>>,
    ) -> Result<(), CallError> {
        let (total, message) = (total.into(), message.into());
        let event = ToolProgress {
            progress,
            total,
            message,
        };
        unless_closed(self.callbacks.emit(event).await)?;
        let Some(token) = &self.token else {
            return Ok(());
        };
        let mut params = ProgressNotificationParam::new(token.clone(), progress);
        params.total = total;
        params.message = message.map(str::to_owned);
        Ok(self.peer.notify_progress(params).await?)
    }
}
