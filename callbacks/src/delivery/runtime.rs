//! Runtimes of the crate's own, for what no other runtime is left for. They hold no state, and are
//! kept: connections that handlers pooled on it stay alive.

use std::io;
use std::sync::OnceLock;
use std::thread;

pub(crate) use tokio::runtime::Handle;
use tokio::runtime::{Builder, Runtime};

use super::blocking::is_alone;
use super::call::quietly;

/// The runtime, started when it is first needed. `None` if the system gives no thread for it. It has
/// workers, so that a task there may wait with a blocking call of this crate, and others go on.
pub(crate) fn own_runtime() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    started(&RUNTIME, "callbacks-runtime")
}

/// A runtime for timers alone: no handler of users runs there, which could stop them.
pub(super) fn timers() -> Option<&'static Handle> {
    static TIMERS: OnceLock<Option<Runtime>> = OnceLock::new();
    started(&TIMERS, "callbacks-timers")
}

/// The runtime at hand, if it goes on; otherwise our own.
pub(super) fn at_hand() -> Option<Handle> {
    if is_alone() {
        own_runtime().cloned()
    } else {
        Handle::try_current().ok()
    }
}

fn started(
    runtime: &'static OnceLock<Option<Runtime>>,
    name: &'static str,
) -> Option<&'static Handle> {
    let mut failed = None;
    let runtime = runtime.get_or_init(|| start(name).map_err(|error| failed = Some(error)).ok());
    // What listens may come back here.
    if let Some(error) = failed {
        quietly(|| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "no thread for the runtime of `callbacks`",
            );
        });
    }
    runtime.as_ref().map(Runtime::handle)
}

fn start(name: &'static str) -> io::Result<Runtime> {
    let build = move || {
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
    };
    // On a thread that ends, tokio cannot; and it panics if there is no thread for its worker.
    let runtime = thread::Builder::new().spawn(build)?.join();
    runtime.unwrap_or_else(|_| Err(io::Error::other("no thread for a worker")))
}
