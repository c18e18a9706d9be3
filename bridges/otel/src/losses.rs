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
/// `tracing` once that something does not arrive, and once that everything does again. What a batch
/// processor drops because its queue is full never comes to an exporter: the SDK itself counts that.
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
    spans: AtomicU64,
    metrics: AtomicU64,
    log_records: AtomicU64,
    /// The signals whose last export failed, as bits. A collector may take some and refuse others.
    down: AtomicU8,
}

/// What is exported.
#[derive(Clone, Copy)]
enum Signal {
    Spans = 1,
    Metrics = 2,
    LogRecords = 4,
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
        self.0.spans.load(Ordering::Relaxed)
    }

    /// Metrics that did not arrive, each as often as it was exported. With cumulative temporality, the
    /// default, the next that arrives has what they had.
    #[must_use]
    pub fn metrics(&self) -> u64 {
        self.0.metrics.load(Ordering::Relaxed)
    }

    /// Log records, and so events, that did not arrive.
    #[must_use]
    pub fn log_records(&self) -> u64 {
        self.0.log_records.load(Ordering::Relaxed)
    }

    fn arrived(&self, signal: Signal) {
        let signal = signal as u8;
        if self.0.down.fetch_and(!signal, Ordering::Relaxed) == signal {
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

    fn lost(&self, signal: Signal, count: usize, error: &dyn fmt::Display) {
        let counter = match signal {
            Signal::Spans => &self.0.spans,
            Signal::Metrics => &self.0.metrics,
            Signal::LogRecords => &self.0.log_records,
        };
        counter.fetch_add(count as u64, Ordering::Relaxed);
        if self.0.down.fetch_or(signal as u8, Ordering::Relaxed) == 0 {
            tracing::error!(
                %error,
                "telemetry does not arrive: is the collector up, and the exporter's endpoint right? what \
                 is lost is counted, and this is not said again until all arrives"
            );
        }
    }

    async fn watch(
        &self,
        signal: Signal,
        count: usize,
        export: impl Future<Output = OTelSdkResult>,
    ) -> OTelSdkResult {
        let given_up = GivenUp(self, signal, count);
        let result = export.await;
        std::mem::forget(given_up);
        match &result {
            Ok(()) => self.arrived(signal),
            Err(error) => self.lost(signal, count, error),
        }
        result
    }
}

/// Counts an export that is dropped before it is done, by a processor that ran out of patience.
struct GivenUp<'l>(&'l Losses, Signal, usize);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        let Self(losses, signal, count) = *self;
        losses.lost(signal, count, &"the export was given up");
    }
}

/// An exporter whose losses are counted: [`Losses::counted`].
pub struct Counted<E> {
    exporter: E,
    losses: Losses,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let count = batch.len();
        let export = self.exporter.export(batch);
        self.losses.watch(Signal::Spans, count, export)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let scopes = metrics.scope_metrics();
        let count = scopes.map(|scope| scope.metrics().count()).sum();
        let export = self.exporter.export(metrics);
        self.losses.watch(Signal::Metrics, count, export).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let export = self.exporter.export(batch);
        self.losses.watch(Signal::LogRecords, count, export).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
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
