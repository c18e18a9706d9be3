//! Handlers that are closures, and the run that they emit into.

use std::sync::{Arc, OnceLock};

use callbacks::{BoxFuture, Callbacks, ChainRun, Handler, callback_handler, events::Events};
use callbacks_tests::Log;
use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::chain;

/// Hears texts, in a sync method.
pub(super) struct Hears<F>(pub(super) F);

#[callback_handler]
impl<F: Fn(&str) + Send + Sync> Hears<F> {
    fn on_text(&self, text: &str) {
        (self.0)(text);
    }
}

/// Hears texts, in an async method.
pub(super) struct HearsLater<F>(pub(super) F);

#[callback_handler]
impl<F: Fn(String) -> BoxFuture<'static, ()> + Send + Sync> HearsLater<F> {
    async fn on_text(&self, text: &str) {
        (self.0)(text.to_owned()).await;
    }
}

pub(super) fn hears(log: &Log) -> Hears<impl Fn(&str) + Send + Sync + 'static> {
    let log = log.clone();
    Hears(move |text: &str| log.add(text))
}

/// The run that a handler emits into, which has to be registered first.
#[derive(Clone, Default)]
pub(super) struct Own(pub(super) Arc<OnceLock<Arc<ChainRun>>>);

impl Own {
    pub(super) async fn start(&self, callbacks: &Callbacks) -> Arc<ChainRun> {
        let run = chain(callbacks).await;
        self.0.get_or_init(|| Arc::new(run)).clone()
    }

    pub(super) fn text(&self, text: &str) {
        let text = self.0.get().unwrap().text(text);
        text.now_or_never().expect("nothing waits").unwrap();
    }
}

/// Answers `go ..` with `in ..`, for which it waits until it is let; and what lets it.
pub(super) fn answers(log: &Log) -> (impl Handler<Events> + use<>, Own, Arc<Semaphore>) {
    let (own, go) = (Own::default(), Arc::new(Semaphore::new(0)));
    let (log, emits, let_go) = (log.clone(), own.clone(), go.clone());
    let answers = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        let (log, emits, let_go) = (log.clone(), emits.clone(), let_go.clone());
        Box::pin(async move {
            if let Some(rest) = text.strip_prefix("go") {
                emits.text(&format!("in{rest}"));
            }
            if text.starts_with("in") {
                let_go.acquire().await.unwrap().forget();
            }
            log.add(text);
        })
    });
    (answers, own, go)
}
