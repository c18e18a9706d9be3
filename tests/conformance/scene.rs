//! Where a scenario plays: the lines that are written, the handlers that it attaches, and what it
//! declares.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

use callbacks::{Configured, RunInfo, handler};
use serde_json::{Value, json};
use tokio::runtime::{self, Handle};

use crate::difference::{Change, Difference};
use crate::observer::{
    Act, Async, AsyncAct, AsyncText, Observer, Plain, PlainText, nothing, nothing_async,
};

/// A line as it is written. Its run has a number when all are written.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) columns: Value,
    pub(crate) run: Option<RunInfo>,
}

impl Line {
    /// A call of this method, where it was entered.
    pub(crate) fn enters(&self, event: &str) -> bool {
        self.columns["event"] == event && self.columns.get("phase").is_none()
    }
}

/// Clones are the same scene.
#[derive(Clone)]
pub(crate) struct Scene(Arc<Shared>);

struct Shared {
    /// The thread and the runtime that drive the scenario.
    thread: ThreadId,
    runtime: runtime::Id,
    blocking: bool,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    lines: Vec<Line>,
    obs: Value,
    differences: Vec<Difference>,
    handlers: Vec<Weak<dyn Any + Send + Sync>>,
}

impl Scene {
    /// A scene that is driven from here.
    pub(crate) fn new(blocking: bool) -> Self {
        let written = Written {
            obs: json!({}),
            ..Written::default()
        };
        Self(Arc::new(Shared {
            thread: thread::current().id(),
            runtime: Handle::current().id(),
            blocking,
            written: Mutex::new(written),
        }))
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        let written = self.0.written.lock();
        written.unwrap_or_else(PoisonError::into_inner)
    }

    // What a scenario attaches.

    /// A handler with plain methods, called where LangChain calls it: by the run itself where the
    /// recording is a blocking one (until there is a blocking flavour here, by being inline).
    pub(crate) fn plain(&self, name: &'static str) -> Configured<Arc<Plain>> {
        self.plain_doing(name, nothing())
    }

    /// The same, which does something in its methods.
    pub(crate) fn plain_doing(&self, name: &'static str, act: Act) -> Configured<Arc<Plain>> {
        self.placed(name, Plain(self.observer(name, act)))
    }

    /// The same, without a method for the start of a chat model.
    pub(crate) fn plain_text(&self, name: &'static str, act: Act) -> Configured<Arc<PlainText>> {
        self.placed(name, PlainText(self.observer(name, act)))
    }

    /// A handler that is called right where the event is emitted.
    pub(crate) fn inline(&self, name: &'static str) -> Configured<Arc<Plain>> {
        self.plain(name).inline()
    }

    /// A handler with async methods.
    pub(crate) fn awaited(&self, name: &'static str) -> Configured<Arc<Async>> {
        self.awaited_doing(name, nothing_async())
    }

    /// The same, which does something in its methods.
    pub(crate) fn awaited_doing(
        &self,
        name: &'static str,
        act: AsyncAct,
    ) -> Configured<Arc<Async>> {
        self.attached(name, Async(self.observer(name, act)))
    }

    /// The same, without a method for the start of a chat model.
    pub(crate) fn awaited_text(
        &self,
        name: &'static str,
        act: AsyncAct,
    ) -> Configured<Arc<AsyncText>> {
        self.attached(name, AsyncText(self.observer(name, act)))
    }

    fn observer<A>(&self, name: &'static str, act: A) -> Observer<A> {
        let scene = self.clone();
        Observer { scene, name, act }
    }

    fn placed<H: Send + Sync + 'static>(&self, name: &'static str, of: H) -> Configured<Arc<H>> {
        let attached = self.attached(name, of);
        if self.0.blocking {
            attached.inline()
        } else {
            attached
        }
    }

    fn attached<H: Send + Sync + 'static>(&self, name: &'static str, of: H) -> Configured<Arc<H>> {
        let of = Arc::new(of);
        let weak: Weak<H> = Arc::downgrade(&of);
        self.written().handlers.push(weak);
        handler(of).named(name)
    }

    // What a scenario says.

    /// Declares what is different here from the recording.
    pub(crate) fn differs(&self, why: &'static str, changes: impl IntoIterator<Item = Change>) {
        let changes = changes.into_iter();
        let differences = changes.map(|change| Difference { why, change });
        self.written().differences.extend(differences);
    }

    /// Marks what the model or the user does now.
    pub(crate) fn mark(&self, event: &str, payload: Value) {
        let mut columns = json!({ "handler": "-", "event": event });
        columns["payload"] = payload;
        self.stamp(&mut columns);
        self.write(Line { columns, run: None });
    }

    /// Says what was observed beside the calls.
    pub(crate) fn observe(&self, what: &str, value: impl Into<Value>) {
        self.written().obs[what] = value.into();
    }

    /// What is declared, and what was observed, when all is over.
    pub(crate) fn said(&self) -> (Vec<Difference>, Value) {
        let written = self.written();
        (written.differences.clone(), written.obs.clone())
    }

    // What is written.

    pub(crate) fn write(&self, line: Line) {
        self.written().lines.push(line);
    }

    /// Adds where this is called: on which thread, and whether on an event loop.
    pub(crate) fn stamp(&self, columns: &mut Value) {
        let here = thread::current().id() == self.0.thread;
        columns["thread"] = if here { "same" } else { "other" }.into();
        // A lane knows the runtime, but is not driven by it.
        let driven = tokio::task::try_id().map(|_| Handle::current().id());
        columns["loop"] = match driven {
            Some(runtime) if runtime == self.0.runtime => "same",
            Some(_) => "other",
            None => "none",
        }
        .into();
    }

    /// Takes out what was written so far, for what is not recorded line by line.
    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.written().lines)
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.written().lines.clone()
    }

    /// Whether nothing can be written any more: all handlers are gone.
    pub(crate) fn is_over(&self) -> bool {
        let handlers = &self.written().handlers;
        handlers.iter().all(|handler| handler.strong_count() == 0)
    }
}
