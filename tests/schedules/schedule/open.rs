//! A run that is open: what is emitted in it, and how it ends, is written down.

use std::sync::Arc;
use std::thread;

use callbacks::Callbacks;

use super::guard::Guard;
use super::history::{Entry, Known, What};
use super::plan::{Kind, Patience};
use super::world::{Emits, Scope, World};

pub(super) struct Open<'w> {
    pub(super) world: &'w World,
    /// `None` once it is ended.
    pub(super) guard: Option<Guard>,
    pub(super) kind: Kind,
    pub(super) run: Arc<Known>,
    pub(super) scope: Scope,
    pub(super) within: Option<u64>,
}

impl Open<'_> {
    pub(super) fn callbacks(&self) -> Callbacks {
        let guard = self.guard.as_ref();
        guard.expect("only an end takes it").callbacks()
    }

    pub(super) async fn emit(&self, patience: Patience) {
        if let Some(guard) = &self.guard {
            let event = async |emission| guard.emit(emission).await;
            let emits = self.emits(What::Other, self.kind.methods()[1]);
            self.world.emit(emits, patience, event).await;
        }
    }

    /// Emits an event of another set.
    pub(super) async fn sell(&self, patience: Patience) {
        if let Some(guard) = &self.guard {
            let event = async |emission| guard.sell(emission).await;
            let emits = self.emits(What::Other, "on_sold");
            self.world.emit(emits, patience, event).await;
        }
    }

    pub(super) async fn end(mut self, patience: Patience) {
        if let Some(guard) = self.guard.take() {
            let end = async |emission| guard.end(emission).await;
            let emits = self.emits(What::Terminal, self.kind.methods()[2]);
            self.world.emit(emits, patience, end).await;
        }
    }

    pub(super) async fn error(mut self, patience: Patience) {
        if let Some(guard) = self.guard.take() {
            let error = async |emission| guard.error(emission).await;
            let emits = self.emits(What::Terminal, self.kind.methods()[3]);
            self.world.emit(emits, patience, error).await;
        }
    }

    fn emits(&self, what: What, method: &'static str) -> Emits<'_> {
        Emits {
            what,
            method,
            run: &self.run,
            scope: &self.scope,
            within: self.within,
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.guard.is_some() {
            let (run, panics) = (self.run.id, thread::panicking());
            self.world.history.add(Entry::Closes { run, panics });
        }
    }
}
