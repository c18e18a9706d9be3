//! What exporters lose: counted, and said once, not with every batch.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
/// `tracing` once that nothing arrives, and once that it does again. What a batch processor drops
/// because its queue is full never comes to an exporter: the SDK itself counts that.
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
    down: AtomicBool,
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

    fn heed(&self, counter: &AtomicU64, count: usize, result: &OTelSdkResult) {
        let Counts { down, .. } = &*self.0;
        match result {
            Ok(()) => {
                if down.swap(false, Ordering::Relaxed) {
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
            Err(error) => {
                counter.fetch_add(count as u64, Ordering::Relaxed);
                if !down.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        %error,
                        "telemetry does not arrive: is the collector up, and the exporter's endpoint \
                         right? what is lost is counted, and this is not said again until some arrives"
                    );
                }
            }
        }
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
        let exported = self.exporter.export(batch);
        async move {
            let result = exported.await;
            self.losses.heed(&self.losses.0.spans, count, &result);
            result
        }
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
        let result = self.exporter.export(metrics).await;
        self.losses.heed(&self.losses.0.metrics, count, &result);
        result
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
        let result = self.exporter.export(batch).await;
        self.losses.heed(&self.losses.0.log_records, count, &result);
        result
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
