//! Handlers that act when they hear `go`, called in every way.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use callbacks::{BoxFuture, Callbacks, Queue, Run, callback_handler, handler};
use callbacks_tests::Log;
use futures_util::FutureExt;
use tokio::task::yield_now;

/// What a handler does when it hears `go`.
pub(super) type Act = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

pub(super) fn act<F: Future<Output = ()> + Send + 'static>(
    act: impl Fn() -> F + Send + Sync + 'static,
) -> Act {
    Arc::new(move || Box::pin(act()))
}

/// Acts in a sync or an async method, and sees that it is never called on top of itself. (On two
/// threads, for two run trees, it may be called at once.)
pub(super) struct Acts {
    act: Act,
    log: Log,
    busy: Mutex<Vec<ThreadId>>,
    yields: bool,
}

impl Acts {
    pub(super) fn new(act: &Act, log: &Log, yields: bool) -> Self {
        Self {
            act: act.clone(),
            log: log.clone(),
            busy: Mutex::default(),
            yields,
        }
    }

    pub(super) fn enter(&self, event: &str, run: &Run<'_>) {
        let mut busy = self.busy.lock().unwrap();
        let here = thread::current().id();
        assert!(!busy.contains(&here), "re-entered");
        busy.push(here);
        self.log.add(format_args!("{} {event}", run.name()));
    }

    pub(super) fn leave(&self) {
        let here = thread::current().id();
        self.busy.lock().unwrap().retain(|busy| *busy != here);
    }
}

pub(super) struct ActsInSync(pub(super) Acts);

#[callback_handler]
impl ActsInSync {
    fn on_text(&self, text: &str, run: &Run<'_>) {
        self.0.enter(text, run);
        if text == "go" {
            (self.0.act)().now_or_never().expect("nothing waits");
        }
        self.0.leave();
    }

    fn on_chain_start(&self, run: &Run<'_>) {
        self.0.enter("start", run);
        self.0.leave();
    }

    fn on_chain_end(&self, run: &Run<'_>) {
        self.0.enter("end", run);
        self.0.leave();
    }

    fn on_chain_error(&self, run: &Run<'_>) {
        self.0.enter("error", run);
        self.0.leave();
    }
}

struct ActsInExclusive(Acts);

#[callback_handler]
impl ActsInExclusive {
    fn on_text(&mut self, text: &str, run: &Run<'_>) {
        self.0.enter(text, run);
        if text == "go" {
            (self.0.act)().now_or_never().expect("nothing waits");
        }
        self.0.leave();
    }

    fn on_chain_start(&mut self, run: &Run<'_>) {
        self.0.enter("start", run);
        self.0.leave();
    }

    fn on_chain_end(&mut self, run: &Run<'_>) {
        self.0.enter("end", run);
        self.0.leave();
    }

    fn on_chain_error(&mut self, run: &Run<'_>) {
        self.0.enter("error", run);
        self.0.leave();
    }
}

pub(super) struct ActsInAsync(pub(super) Acts);

#[callback_handler]
impl ActsInAsync {
    async fn on_text(&self, text: &str, run: &Run<'_>) {
        if text == "go" && self.0.yields {
            yield_now().await;
        }
        self.0.enter(text, run);
        if text == "go" {
            (self.0.act)().now_or_never().expect("nothing waits");
        }
        self.0.leave();
    }

    async fn on_chain_start(&self, run: &Run<'_>) {
        self.0.enter("start", run);
        self.0.leave();
    }

    async fn on_chain_end(&self, run: &Run<'_>) {
        self.0.enter("end", run);
        self.0.leave();
    }

    async fn on_chain_error(&self, run: &Run<'_>) {
        self.0.enter("error", run);
        self.0.leave();
    }
}

/// Every way that a method is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    Inline,
    Lane,
    Exclusive,
    ExclusiveInline,
    Async,
    AsyncLater,
    BackgroundSync,
    BackgroundAsync,
}

impl Mode {
    pub(super) const ALL: [Self; 8] = [
        Self::Inline,
        Self::Lane,
        Self::Exclusive,
        Self::ExclusiveInline,
        Self::Async,
        Self::AsyncLater,
        Self::BackgroundSync,
        Self::BackgroundAsync,
    ];

    pub(super) fn is_awaited(self) -> bool {
        !matches!(self, Self::BackgroundSync | Self::BackgroundAsync)
    }

    pub(super) fn register(self, callbacks: &Callbacks, act: &Act, log: &Log) -> Callbacks {
        let acts = Acts::new(act, log, self == Self::AsyncLater);
        let queue = Queue::bounded(64);
        match self {
            Self::Inline => callbacks.with(handler(ActsInSync(acts)).inline()),
            Self::Lane => callbacks.with(ActsInSync(acts)),
            Self::Exclusive => callbacks.with(ActsInExclusive(acts)),
            Self::ExclusiveInline => callbacks.with(handler(ActsInExclusive(acts)).inline()),
            Self::Async | Self::AsyncLater => callbacks.with(ActsInAsync(acts)),
            Self::BackgroundSync => callbacks.with(handler(ActsInSync(acts)).background(queue)),
            Self::BackgroundAsync => callbacks.with(handler(ActsInAsync(acts)).background(queue)),
        }
    }
}
