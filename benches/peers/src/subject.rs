//! What is measured: one event emitted again and again, and how it is weighed.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;

/// The token of every event.
pub(crate) const TOKEN: &str = "token";

/// One event, as often as wanted.
pub(crate) trait Emit: Send + Sync {
    /// Emits it, and returns when the system says so.
    fn emit(&self) -> impl Future<Output = ()> + Send;
}

/// One system in one row.
pub(crate) trait Subject: Send + Sync {
    /// Emits so many events and says what one of them took, in the gauge's unit.
    fn batch(&self, events: u32, gauge: Gauge) -> BoxFuture<'_, f64>;

    /// The number of events in a batch is a multiple of this.
    fn multiple(&self) -> u32 {
        1
    }
}

impl<E: Emit> Subject for E {
    fn batch(&self, events: u32, gauge: Gauge) -> BoxFuture<'_, f64> {
        Box::pin(gauge.per_event(events, async move {
            for _ in 0..events {
                self.emit().await;
            }
        }))
    }
}

/// What is measured of a batch.
#[derive(Clone, Copy)]
pub(crate) enum Gauge {
    Nanos,
    /// Those of the emitting task. What a system allocates elsewhere costs time, and shows there.
    Allocations,
}

impl Gauge {
    pub(crate) async fn per_event(self, events: u32, batch: impl Future<Output = ()>) -> f64 {
        let total = match self {
            Self::Nanos => {
                let begin = Instant::now();
                batch.await;
                begin.elapsed().as_secs_f64() * 1e9
            }
            Self::Allocations => {
                Counted {
                    future: pin!(batch),
                    allocations: 0.0,
                }
                .await
            }
        };
        total / f64::from(events)
    }
}

/// Resolves to how many allocations the future made while it was polled.
struct Counted<'a, F> {
    future: Pin<&'a mut F>,
    allocations: f64,
}

impl<F: Future<Output = ()>> Future for Counted<'_, F> {
    type Output = f64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<f64> {
        let mut polled = Poll::Pending;
        let made = allocation_counter::measure(|| polled = self.future.as_mut().poll(cx));
        #[expect(clippy::cast_precision_loss, reason = "a batch makes less than 2^52")]
        let made = made.count_total as f64;
        self.allocations += made;
        polled.map(|()| self.allocations)
    }
}

/// A system whose emission returns before its handlers were called.
pub(crate) trait Queued: Send + Sync {
    fn emit(&self) -> impl Future<Output = ()> + Send;

    /// Waits until they were.
    fn delivered(&self) -> impl Future<Output = ()> + Send;
}

/// Emits to a queue in bursts and waits after each, in the time that is measured: who never waited
/// would measure a full queue. A burst is shorter than what the queues hold.
pub(crate) struct InBursts<Q>(pub(crate) Q);

impl<Q> InBursts<Q> {
    const BURST: u32 = 64;
}

impl<Q: Queued> Subject for InBursts<Q> {
    fn batch(&self, events: u32, gauge: Gauge) -> BoxFuture<'_, f64> {
        Box::pin(gauge.per_event(events, async move {
            for _ in 0..events / Self::BURST {
                for _ in 0..Self::BURST {
                    self.0.emit().await;
                }
                self.0.delivered().await;
            }
        }))
    }

    fn multiple(&self) -> u32 {
        Self::BURST
    }
}
