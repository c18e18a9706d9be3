//! What exporters lose: counted, and said once, not with every batch.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// How much telemetry did not arrive, because its collector was down or refused it.
///
/// An SDK logs every batch that it fails to export. This counts what was in them, and says through
/// `tracing` once that something does not arrive, and once that all of it does again. Not counted is what
/// comes to no exporter, because the queue of its batch processor is full, and what a collector refuses of
/// a batch that it accepts: the SDK itself says so.
///
/// ```
/// use callbacks_otel::{Losses, Otel};
/// use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
///
/// let losses = Losses::new();
/// // in an application, the exporter of `opentelemetry-otlp`
/// let exporter = losses.counted(InMemorySpanExporter::default());
/// let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
/// let otel = Otel::builder().tracer_provider(&provider).build();
/// # let _ = otel;
/// assert_eq!(losses.spans(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Losses(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By signal.
    lost: [AtomicU64; 3],
    /// A bit for each signal whose last batch did not arrive.
    down: AtomicU8,
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Spans,
    Metrics,
    LogRecords,
}

impl Losses {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same exporter, of spans, metrics or log records, with its losses counted here. Exporters of
    /// one `Losses` are taken for exporters to one collector.
    pub fn counted<E>(&self, exporter: E) -> Counted<E> {
        let losses = self.clone();
        Counted { exporter, losses }
    }

    /// Spans that did not arrive.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.lost(Signal::Spans)
    }

    /// Metrics that did not arrive: so many in so many exports. Where they are cumulative, the next that
    /// arrives has what they had.
    #[must_use]
    pub fn metrics(&self) -> u64 {
        self.lost(Signal::Metrics)
    }

    /// Log records, and so events, that did not arrive.
    #[must_use]
    pub fn log_records(&self) -> u64 {
        self.lost(Signal::LogRecords)
    }

    fn lost(&self, signal: Signal) -> u64 {
        self.0.lost[signal as usize].load(Ordering::Relaxed)
    }

    fn arrived(&self, signal: Signal) {
        let bit = 1 << signal as u8;
        if self.0.down.fetch_and(!bit, Ordering::Relaxed) == bit {
            let (spans, metrics) = (self.spans(), self.metrics());
            let log_records = self.log_records();
            tracing::info!(
                spans,
                metrics,
                log_records,
                "telemetry arrives again; these did not"
            );
        }
    }

    fn lose(&self, signal: Signal, count: usize, error: &dyn fmt::Display) {
        self.0.lost[signal as usize].fetch_add(count as u64, Ordering::Relaxed);
        let bit = 1 << signal as u8;
        if self.0.down.fetch_or(bit, Ordering::Relaxed) == 0 {
            tracing::error!(
                ?signal,
                %error,
                "telemetry does not arrive: is the collector up, and the exporter's endpoint right? what \
                 is lost is counted, and this is not said again until all of it arrives"
            );
        }
    }

    /// Heeds how an export comes out, also if nobody waits for that.
    fn watch(
        &self,
        signal: Signal,
        count: usize,
        export: impl Future<Output = OTelSdkResult> + Send,
    ) -> impl Future<Output = OTelSdkResult> + Send {
        let watched = Watched(Some((self, signal, count)));
        async move {
            let result = export.await;
            watched.came_out(&result);
            result
        }
    }
}

/// An export that is not over.
struct Watched<'l>(Option<(&'l Losses, Signal, usize)>);

impl Watched<'_> {
    fn came_out(mut self, result: &OTelSdkResult) {
        match (self.0.take(), result) {
            (Some((losses, signal, _)), Ok(())) => losses.arrived(signal),
            (Some((losses, signal, count)), Err(error)) => losses.lose(signal, count, error),
            (None, _) => {}
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some((losses, signal, count)) = self.0 {
            losses.lose(signal, count, &"the export was given up");
        }
    }
}

/// An exporter whose losses are counted: [`Losses::counted`].
pub struct Counted<E> {
    exporter: E,
    losses: Losses,
}

// Some exporters have a `shutdown` alone, and others one with a timeout: each is passed on as it is.

impl<E: SpanExporter> SpanExporter for Counted<E> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let count = batch.len();
        let export = self.exporter.export(batch);
        self.losses.watch(Signal::Spans, count, export)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    fn export(&self, metrics: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        let scopes = metrics.scope_metrics();
        let count = scopes.map(|scope| scope.metrics().count()).sum();
        let export = self.exporter.export(metrics);
        self.losses.watch(Signal::Metrics, count, export)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

impl<E: LogExporter> LogExporter for Counted<E> {
    fn export(&self, batch: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        let count = batch.iter().count();
        let export = self.exporter.export(batch);
        self.losses.watch(Signal::LogRecords, count, export)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.exporter.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: fmt::Debug> fmt::Debug for Counted<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted")
            .field("exporter", &self.exporter)
            .field("losses", &self.losses)
            .finish()
    }
}
