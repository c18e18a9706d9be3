//! A collector that is down costs the telemetry, not the run: it is said once, and the loss is counted.

#[path = "common/receiver.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
mod receiver;
#[path = "common/said.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
mod said;

use std::net::{Ipv4Addr, TcpListener};

use callbacks::{Callbacks, EmitError, LlmResult, Message, Serialized, handler};
use callbacks_otel::{Losses, Otel};
use opentelemetry_otlp::{
    LogExporter, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use receiver::{Received, Receiver};
use said::Said;
use serde_json::json;
use tracing::Level;

static WHO: Serialized = Serialized::new("who");

async fn agent(callbacks: &Callbacks) -> Result<(), EmitError> {
    let chain = callbacks.chain_start(&WHO, &json!(1)).await?;
    let messages = [Message::human("hi")];
    let model = chain.callbacks().chat_model_start(&WHO, &messages).await?;
    model.end(|| LlmResult::from_text("hi")).await?;
    chain.end(&json!(1)).await
}

#[tokio::test]
async fn the_run_goes_on_and_the_loss_is_counted() {
    let said = Said::default();
    // The exporters have threads of their own.
    tracing::subscriber::set_global_default(said.clone()).unwrap();
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);

    let endpoint = |path| format!("http://{address}/v1/{path}");
    let losses = Losses::new();
    let spans = SpanExporter::builder().with_http();
    let spans = spans.with_endpoint(endpoint("traces"));
    let spans = spans.with_retry_policy(RetryPolicy::disabled()).build();
    let metrics = MetricExporter::builder().with_http();
    let metrics = metrics.with_endpoint(endpoint("metrics"));
    let metrics = metrics.with_retry_policy(RetryPolicy::disabled()).build();
    let logs = LogExporter::builder().with_http();
    let logs = logs.with_endpoint(endpoint("logs"));
    let logs = logs.with_retry_policy(RetryPolicy::disabled()).build();
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(losses.counted(spans.unwrap()))
        .build();
    let reader = PeriodicReader::builder(losses.counted(metrics.unwrap())).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let loggers = SdkLoggerProvider::builder()
        .with_batch_exporter(losses.counted(logs.unwrap()))
        .build();
    let otel = Otel::builder()
        .tracer_provider(&tracers)
        .meter_provider(&meters)
        .logger_provider(&loggers)
        .events(true)
        .build();
    let callbacks = Callbacks::new().with(handler(otel.clone()).inline().raise_errors());

    for lost in [2, 4] {
        agent(&callbacks).await.unwrap();
        assert_eq!(otel.open_runs(), 0);
        assert!(tracers.force_flush().is_err());
        assert!(meters.force_flush().is_err());
        assert!(loggers.force_flush().is_err());
        assert_eq!(losses.spans(), lost);
        // one of duration, one of details
        assert_eq!(losses.metrics(), lost / 2);
        assert_eq!(losses.log_records(), lost / 2);
    }
    {
        let said = said.0.lock().unwrap();
        let [(Level::ERROR, text)] = &said[..] else {
            panic!("{said:?}");
        };
        assert!(text.contains("telemetry does not arrive"), "{text}");
    }

    let receiver = Receiver::at(address);
    agent(&callbacks).await.unwrap();
    tracers.force_flush().unwrap();
    meters.force_flush().unwrap();
    loggers.force_flush().unwrap();
    let arrived = receiver.once(|received| {
        let Received {
            traces,
            metrics,
            logs,
        } = received;
        ![traces.len(), metrics.len(), logs.len()].contains(&0)
    });
    assert_eq!(arrived.traces.len(), 1);
    assert_eq!((losses.spans(), losses.log_records()), (4, 2));
    let said = said.0.lock().unwrap();
    let [_, (Level::INFO, text)] = &said[..] else {
        panic!("{said:?}");
    };
    assert!(text.contains("spans=4"), "{text}");
    assert!(text.contains("arrives again"), "{text}");
}
