//! Progress of calls that a client has made: from where it arrives to the run that it belongs to.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callbacks::{BoxFuture, EmitError, RunId, ToolRun};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::run::unless_closed;
use events::ToolProgress;

/// What happens in tools of MCP beside the [built-in events](callbacks::events).
#[callbacks::callback_events]
pub mod events {
    /// A tool has said how far it is, within its run.
    pub struct ToolProgress<'a> {
        /// How far it is; it grows with every event.
        pub progress: f64,
        /// How far it has to go, in the same unit, if that is known.
        pub total: Option<f64>,
        /// What it is doing, for a person.
        pub message: Option<&'a str>,
    }
}

/// The runs that listen to the progress of their calls, by what a notification of it says.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    table: Mutex<Table>,
    /// How many there have been.
    connections: AtomicU64,
    /// Whether it was said that progress is not heard.
    warned: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    /// A call may take several requests, each with a token of its own.
    runs: HashMap<Token, RunId>,
    listening: HashMap<RunId, Route>,
}

#[derive(Debug)]
struct Route {
    sender: UnboundedSender<ProgressNotificationParam>,
    tokens: Vec<Token>,
}

/// Tokens of one connection are those of another, too.
type Token = (Connection, ProgressToken);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Connection(u64);

impl Routes {
    /// Another connection.
    pub(crate) fn connection(&self) -> Connection {
        Connection(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    /// From now on, progress of the requests that name this run is kept for it.
    pub(crate) fn listen(self: &Arc<Self>, run: RunId) -> Listening {
        let (sender, progress) = unbounded_channel();
        let route = Route {
            sender,
            tokens: Vec::new(),
        };
        self.table().listening.insert(run, route);
        let routes = self.clone();
        Listening {
            registration: Registration { routes, run },
            progress,
        }
    }

    /// A request that names this run is being sent.
    pub(crate) fn sent(&self, from: Connection, run: RunId, token: ProgressToken) {
        let table = &mut *self.table();
        if let Some(route) = table.listening.get_mut(&run) {
            let token = (from, token);
            route.tokens.push(token.clone());
            table.runs.insert(token, run);
        }
    }

    /// A notification has arrived. They do so in order.
    pub(crate) fn arrived(&self, at: Connection, progress: &ProgressNotificationParam) {
        // Whoever is woken may leave there and then, so nobody is woken under the lock.
        let sender = self.table().sender(at, &progress.progress_token);
        if let Some(sender) = sender {
            // Whoever does not receive any more is about to leave.
            let _ = sender.send(progress.clone());
        }
    }

    fn leave(&self, run: RunId) {
        let route = self.table().remove(run);
        drop(route);
        let unheard = self.connections.load(Ordering::Relaxed) == 0;
        if unheard && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a handler listens to the progress of tools, which is not heard: serve the client \
                 over `ToolClient::transport`"
            );
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn sender(
        &self,
        at: Connection,
        token: &ProgressToken,
    ) -> Option<UnboundedSender<ProgressNotificationParam>> {
        if self.runs.is_empty() {
            return None;
        }
        let run = self.runs.get(&(at, token.clone()))?;
        Some(self.listening.get(run)?.sender.clone())
    }

    fn remove(&mut self, run: RunId) -> Option<Route> {
        let route = self.listening.remove(&run)?;
        for token in &route.tokens {
            self.runs.remove(token);
        }
        Some(route)
    }
}

/// A run that listens to the progress of its call.
pub(crate) struct Listening {
    registration: Registration,
    progress: UnboundedReceiver<ProgressNotificationParam>,
}

struct Registration {
    routes: Arc<Routes>,
    run: RunId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.routes.leave(self.run);
    }
}

impl Listening {
    /// Drives the call, and emits its progress: all that has arrived before the result is emitted
    /// before this returns. Handlers that are slow do not hold up the call itself. If one raises an
    /// error, the call is given up.
    pub(crate) async fn during<T>(
        self,
        run: &ToolRun,
        mut call: BoxFuture<'_, T>,
    ) -> Result<T, EmitError> {
        let Self {
            registration,
            mut progress,
        } = self;
        let mut told = pin!(async {
            while let Some(progress) = progress.recv().await {
                unless_closed(run.emit(event(&progress)).await)?;
            }
            Ok(())
        });
        tokio::select! {
            biased;
            told = &mut told => {
                told?;
                Ok(call.await)
            }
            result = &mut call => {
                // Nothing more is added, so what is there can be told to its end.
                drop(registration);
                told.await?;
                Ok(result)
            }
        }
    }
}

fn event(progress: &ProgressNotificationParam) -> ToolProgress<'_> {
    ToolProgress {
        progress: progress.progress,
        total: progress.total,
        message: progress.message.as_deref(),
    }
}
