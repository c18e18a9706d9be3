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
    ///
    /// ```
    /// use callbacks::callback_handler;
    ///
    /// struct Bar;
    ///
    /// #[callback_handler(events = callbacks_rmcp::events)]
    /// impl Bar {
    ///     fn on_tool_progress(&self, progress: f64, total: Option<f64>) {
    ///         println!("{progress} of {total:?}");
    ///     }
    /// }
    /// ```
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
    /// error, the call is given up, unless it has failed by itself: that is the greater evil.
    pub(crate) async fn during<T, E>(
        self,
        run: &ToolRun,
        mut call: BoxFuture<'_, Result<T, E>>,
    ) -> Result<Result<T, E>, EmitError> {
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
            // The call first: much progress uses up what a task may do at once, and the call could not
            // be over then.
            biased;
            result = &mut call => {
                // Nothing more is added, so what is there can be told to its end.
                drop(registration);
                match told.await {
                    Err(raised) if result.is_ok() => Err(raised),
                    _ => Ok(result),
                }
            }
            told = &mut told => {
                told?;
                Ok(call.await)
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

#[cfg(test)]
mod tests {
    use callbacks::testing::{Faulty, Recorder};
    use callbacks::{Callbacks, handler};
    use rmcp::model::NumberOrString;
    use tokio::sync::oneshot;

    use super::*;

    const AT: Connection = Connection(0);

    fn said(progress: f64) -> ProgressNotificationParam {
        ProgressNotificationParam::new(ProgressToken(NumberOrString::Number(0)), progress)
    }

    async fn listening(routes: &Arc<Routes>, callbacks: &Callbacks) -> (ToolRun, Listening) {
        let run = callbacks.tool_start(None, "").await.unwrap();
        let listening = routes.listen(run.id());
        routes.sent(AT, run.id(), ProgressToken(NumberOrString::Number(0)));
        (run, listening)
    }

    /// More than a task may receive at once, and more with each.
    #[tokio::test]
    async fn a_flood_of_progress_does_not_hold_up_the_call() {
        const MOST: usize = 100_000;
        let routes = Arc::<Routes>::default();
        let heard = Recorder::of::<events::Events>();
        let (flood, count) = (routes.clone(), heard.clone());
        let floods = Faulty::calling(move |_| {
            if count.len() < MOST {
                flood.arrived(AT, &said(0.0));
                flood.arrived(AT, &said(0.0));
            }
        });
        let callbacks = Callbacks::new()
            .with(handler(heard.clone()).inline())
            .with(handler(floods.of::<events::Events>()).inline());
        let (run, listening) = listening(&routes, &callbacks).await;
        (0..1_000).for_each(|_| routes.arrived(AT, &said(0.0)));
        let (answer, answered) = oneshot::channel();
        let call = listening.during(&run, Box::pin(answered));
        // Not before the first progress is told.
        let answers = async {
            heard.until(|events| !events.is_empty()).await;
            answer.send("here").unwrap();
        };
        let (result, ()) = tokio::join!(call, answers);
        assert_eq!(result.unwrap(), Ok("here"));
        assert!(heard.len() < MOST, "{}", heard.len());
    }

    #[tokio::test]
    async fn a_call_that_has_failed_fails_with_its_own_error() {
        let routes = Arc::<Routes>::default();
        let raises = Faulty::error("no screen").of::<events::Events>();
        let callbacks = Callbacks::new().with(handler(raises).inline().raise_errors());
        for (result, expected) in [(Err("refused"), Some(Err("refused"))), (Ok("here"), None)] {
            let (run, listening) = listening(&routes, &callbacks).await;
            routes.arrived(AT, &said(1.0));
            let call = Box::pin(async move { result });
            let result = listening.during(&run, call).await;
            assert_eq!(result.ok(), expected);
        }
    }
}
