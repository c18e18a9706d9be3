//! Runtimes of the crate's own, for what no other runtime is left for. They hold no state, and are
//! kept: connections that handlers pooled on it stay alive.

use std::sync::OnceLock;
use std::thread;

use tokio::runtime::Builder;
pub(crate) use tokio::runtime::Handle;

/// The runtime, started when it is first needed. `None` if the system gives no thread for it.
pub(crate) fn own_runtime() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Option<Handle>> = OnceLock::new();
    started(&RUNTIME, "callbacks-runtime")
}

/// A runtime for timers alone: no handler of users runs there, which could stop them.
pub(super) fn timers() -> Option<&'static Handle> {
    static TIMERS: OnceLock<Option<Handle>> = OnceLock::new();
    started(&TIMERS, "callbacks-timers")
}

fn started(
    runtime: &'static OnceLock<Option<Handle>>,
    name: &'static str,
) -> Option<&'static Handle> {
    let runtime = runtime.get_or_init(|| match start(name) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "no thread for the runtime of `callbacks`",
            );
            None
        }
    });
    runtime.as_ref()
}

fn start(name: &str) -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
