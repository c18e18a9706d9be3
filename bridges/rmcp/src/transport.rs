//! A client's transport, with an ear on it: it is the one place where messages are in order.

use std::borrow::Cow;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::model::{ClientRequest, GetMeta, JsonRpcMessage, ServerNotification};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use crate::meta::RemoteRun;
use crate::progress::{Connection, Routes};

/// Passes all messages on as they are, and tells what progress arrives for which run.
pub(crate) struct Heard<T> {
    transport: T,
    routes: Arc<Routes>,
    connection: Connection,
}

impl<T> Heard<T> {
    pub(crate) fn new(transport: T, routes: Arc<Routes>) -> Self {
        let connection = routes.connection();
        Self {
            transport,
            routes,
            connection,
        }
    }

    /// Which run the progress of a request belongs to, is known only where the request is sent: the
    /// token is given to it on its way.
    fn sent(&self, message: &TxJsonRpcMessage<RoleClient>) -> Option<()> {
        let JsonRpcMessage::Request(request) = message else {
            return None;
        };
        let ClientRequest::CallToolRequest(call) = &request.request else {
            return None;
        };
        let run = RemoteRun::of(call.params.meta.as_ref()?)?.id;
        let token = request.request.get_meta().get_progress_token()?;
        self.routes.sent(self.connection, run, token);
        Some(())
    }

    fn arrived(&self, message: &RxJsonRpcMessage<RoleClient>) {
        if let JsonRpcMessage::Notification(notification) = message
            && let ServerNotification::ProgressNotification(progress) = &notification.notification
        {
            self.routes.arrived(self.connection, &progress.params);
        }
    }
}

// What is not passed on would change how the connection works.
#[deny(clippy::missing_trait_methods)]
impl<T: Transport<RoleClient>> Transport<RoleClient> for Heard<T> {
    type Error = T::Error;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.sent(&message);
        self.transport.send(message)
    }

    /// May be given up and called again, as that of the transport: nothing is awaited after it.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.transport.receive().await?;
        self.arrived(&message);
        Some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.transport.close().await
    }
}
