//! What is lost is counted signal by signal, and said once for all of them.

#[path = "common/said.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
mod said;

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use callbacks_otel::Losses;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use said::Said;
use tracing::Level;

/// Goes through, or fails, as it is told.
#[derive(Clone, Debug, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn works(&self, works: bool) {
        self.0.store(works, Ordering::Relaxed);
    }

    fn result(&self) -> OTelSdkResult {
        if self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(OTelSdkError::InternalFailure("refused".to_owned()))
    }
}

impl SpanExporter for Switch {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        self.result()
    }
}

impl LogExporter for Switch {
    async fn export(&self, _: LogBatch<'_>) -> OTelSdkResult {
        self.result()
    }
}

/// An exporter whose collector never answers.
#[derive(Debug)]
struct Silent;

impl SpanExporter for Silent {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        pending().await
    }
}

#[tokio::test]
async fn a_collector_that_takes_one_signal_and_refuses_another() {
    let said = Said::default();
    let _guard = tracing::subscriber::set_default(said.clone());
    let losses = Losses::new();
    let (spans, logs) = (Switch::default(), Switch::default());
    let (on_spans, on_logs) = (losses.counted(spans.clone()), losses.counted(logs.clone()));
    let export = async || {
        let _ = SpanExporter::export(&on_spans, Vec::new()).await;
        let _ = LogExporter::export(&on_logs, LogBatch::new(&[])).await;
    };
    logs.works(true);
    for _ in 0..3 {
        export().await;
    }
    assert_eq!(said.levels(), [Level::ERROR]);
    logs.works(false);
    export().await;
    spans.works(true);
    export().await;
    assert_eq!(
        said.levels(),
        [Level::ERROR],
        "log records do not arrive yet"
    );
    logs.works(true);
    for _ in 0..3 {
        export().await;
    }
    assert_eq!(said.levels(), [Level::ERROR, Level::INFO]);
    spans.works(false);
    export().await;
    assert_eq!(said.levels(), [Level::ERROR, Level::INFO, Level::ERROR]);
}

#[test]
fn an_export_that_is_given_up_is_lost() {
    let said = Said::default();
    let _guard = tracing::subscriber::set_default(said.clone());
    let losses = Losses::new();
    let exporter = losses.counted(Silent);
    let batch = vec![span(), span()];
    {
        let mut export = pin!(SpanExporter::export(&exporter, batch));
        let mut context = Context::from_waker(Waker::noop());
        assert!(export.as_mut().poll(&mut context).is_pending());
        assert_eq!(losses.spans(), 0);
    }
    assert_eq!(losses.spans(), 2);
    // before it has begun
    drop(SpanExporter::export(&exporter, vec![span()]));
    assert_eq!(losses.spans(), 3);
    assert_eq!(said.levels(), [Level::ERROR]);
}

/// Counts how often it is told to shut down without a time, as OTLP over HTTP has it.
#[derive(Clone, Debug, Default)]
struct ToShutDown(Arc<AtomicU8>);

impl SpanExporter for ToShutDown {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown(&self) -> OTelSdkResult {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl LogExporter for ToShutDown {
    async fn export(&self, _: LogBatch<'_>) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown(&self) -> OTelSdkResult {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl PushMetricExporter for ToShutDown {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown(&self) -> OTelSdkResult {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn temporality(&self) -> Temporality {
        Temporality::Delta
    }
}

#[test]
fn whoever_is_counted_is_told_to_shut_down() {
    let told = ToShutDown::default();
    let exporter = Losses::new().counted(told.clone());
    SpanExporter::shutdown(&exporter).unwrap();
    LogExporter::shutdown(&exporter).unwrap();
    PushMetricExporter::shutdown(&exporter).unwrap();
    assert_eq!(told.0.load(Ordering::Relaxed), 3);
}

/// One that an SDK made.
fn span() -> SpanData {
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    drop(provider.tracer("").start("span"));
    exporter.get_finished_spans().unwrap().remove(0)
}
