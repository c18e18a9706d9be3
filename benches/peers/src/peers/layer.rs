//! `tracing` 0.1 events for one `tracing-subscriber` 0.3 layer, which reads the token and counts.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber, callsite, dispatcher, info, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::each;
use crate::handlers::{Calls, Counter, Handler};
use crate::rows::Row;
use crate::subject::{Emit, Gauge, Subject, TOKEN};

const TARGET: &str = "peers::token";

/// The handlers of a row are in one layer. A layer has no async methods.
pub(crate) fn subject(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    Some(match row {
        Row::Unheard => Box::new(Token),
        Row::Unwanted(n) => Box::new(Heard::new(counters(n, calls), "peers::other")),
        Row::Plain(n) => Box::new(Heard::new(counters(n, calls), TARGET)),
        Row::Async(_) => return None,
        Row::Run => Box::new(Span),
    })
}

struct Counters(Vec<Arc<dyn Handler>>);

fn counters(n: usize, calls: &Calls) -> Counters {
    Counters(
        each(n, calls, Counter)
            .map(|handler| handler as _)
            .collect(),
    )
}

impl<S: Subscriber> Layer<S> for Counters {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        event.record(&mut Reader(self));
    }
}

/// The fields of an event can only be visited.
struct Reader<'a>(&'a Counters);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, token: &str) {
        if field.name() == "token" {
            for handler in &self.0.0 {
                handler.on_token(token);
            }
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}

#[derive(Clone, Copy)]
struct Token;

impl Emit for Token {
    async fn emit(&self) {
        info!(target: TARGET, token = TOKEN);
    }
}

struct Span;

impl Emit for Span {
    async fn emit(&self) {
        drop(info_span!(target: TARGET, "run"));
    }
}

/// An application has one subscriber, for the whole process. A bench has one for each row, so it is
/// only there while a batch is emitted; that costs a look at a thread-local for each event.
struct Heard(Option<Dispatch>);

impl Heard {
    fn new(counters: Counters, target: &str) -> Self {
        let targets = Targets::new().with_target(target, LevelFilter::INFO);
        let subscriber = Registry::default().with(counters.with_filter(targets));
        Self(Some(Dispatch::new(subscriber)))
    }
}

impl Subject for Heard {
    fn batch(&self, events: u32, gauge: Gauge) -> BoxFuture<'_, f64> {
        Box::pin(async move {
            let _entered = self.0.as_ref().map(dispatcher::set_default);
            Token.batch(events, gauge).await
        })
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        // What call sites remember is true of those who are still there.
        self.0 = None;
        callsite::rebuild_interest_cache();
    }
}
