//! Stands in for tokio's runtimes: each task of one is a task of shuttle's.

use std::sync::{Arc, Mutex as Plain};

use shuttle::future::{AbortHandle, spawn};

use super::sync::{Mutex, Started, lock, started};

/// A runtime.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Runtime>);

struct Runtime {
    id: usize,
    /// `None` once it is shut down.
    tasks: Mutex<Option<Vec<AbortHandle>>>,
}

shuttle::thread_local! {
    static CURRENT: Plain<Option<Handle>> = Plain::new(None);
}

shuttle::lazy_static! {
    static ref OWN: Handle = Handle::new(0);
}

#[allow(clippy::unnecessary_wraps, reason = "tokio's may not start")]
pub(crate) fn own_runtime() -> Option<&'static Handle> {
    // It lives as long as this run of the model does.
    Some(&OWN)
}

/// In no model a thread waits that drives a runtime.
pub(crate) fn at_hand() -> Option<Handle> {
    Handle::try_current().ok()
}

/// As above.
pub(crate) fn as_if_blocked<R>(code: impl FnOnce() -> R) -> R {
    code()
}

/// A task, which nobody waits for but the end of the model.
pub(crate) struct Spawned;

impl Drop for Spawned {
    /// As there is one for tokio's.
    fn drop(&mut self) {}
}

/// No runtime is at hand.
pub(crate) struct Nowhere;

impl Handle {
    pub(crate) fn new(id: usize) -> Self {
        let tasks = Mutex::new(Some(Vec::new()));
        Self(Arc::new(Runtime { id, tasks }))
    }

    pub(crate) fn try_current() -> Result<Self, Nowhere> {
        CURRENT.with(|current| current.lock().unwrap().clone().ok_or(Nowhere))
    }

    pub(crate) fn id(&self) -> usize {
        self.0.id
    }

    pub(crate) fn spawn(&self, task: impl Future + Send + 'static) -> Spawned {
        let mut tasks = lock(&self.0.tasks);
        let Some(running) = &mut *tasks else {
            drop(tasks);
            drop(task);
            return Spawned;
        };
        let here = self.clone();
        let task = spawn(async move {
            CURRENT.with(|current| *current.lock().unwrap() = Some(here));
            task.await;
        });
        running.push(task.abort_handle());
        started(Started::Task(task));
        Spawned
    }

    /// Drops its tasks where they wait, and those that are spawned from now on.
    pub(crate) fn shut_down(&self) {
        let tasks = lock(&self.0.tasks).take();
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }
}
