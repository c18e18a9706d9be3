//! What all handlers do, whatever system calls them: count.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A plain handler of what has none of its own.
pub(crate) trait Handler: Send + Sync {
    fn on_token(&self, token: &str);
}

pub(crate) struct Counter(pub(crate) Calls);

impl Handler for Counter {
    fn on_token(&self, token: &str) {
        self.0.count(token);
    }
}

/// How often handlers were called; the handlers of a row share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    /// The body of every handler.
    #[inline]
    pub(crate) fn count(&self, token: &str) {
        black_box(token);
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
