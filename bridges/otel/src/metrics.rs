//! The metrics: how long calls took, and how many tokens. Of every call, whatever is sampled.

use std::time::Duration;

use callbacks::{LlmResult, RunError};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::describe::Description;
use crate::names::{self, operation};
use crate::outcome::error_type;

/// As the conventions have them.
const SECONDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// As the conventions have them: powers of 4.
const TOKENS: [f64; 14] = [
    1.,
    4.,
    16.,
    64.,
    256.,
    1_024.,
    4_096.,
    16_384.,
    65_536.,
    262_144.,
    1_048_576.,
    4_194_304.,
    16_777_216.,
    67_108_864.,
];

pub(crate) struct Metrics {
    duration: Histogram<f64>,
    first_chunk: Histogram<f64>,
    further_chunks: Histogram<f64>,
    tokens: Histogram<u64>,
}

/// What the metrics of a call are recorded with, as far as it is known at the start.
#[derive(Clone, Debug)]
pub(crate) struct Measured(Vec<KeyValue>);

impl Measured {
    /// Of calls of models and searches; the conventions have no metrics for anything else.
    pub(crate) fn by(description: &Description) -> Option<Self> {
        let measured = [
            operation::CHAT,
            operation::TEXT_COMPLETION,
            operation::RETRIEVAL,
        ];
        description.operation.filter(|it| measured.contains(it))?;
        let of_few = [
            names::GEN_AI_OPERATION_NAME,
            names::GEN_AI_PROVIDER_NAME,
            names::GEN_AI_REQUEST_MODEL,
            names::SERVER_ADDRESS,
            names::SERVER_PORT,
        ];
        let of_few = |pair: &&KeyValue| of_few.contains(&pair.key.as_str());
        let known = description.attributes.iter();
        let mut kept: Vec<_> = known.filter(of_few).cloned().collect();
        // Here it is required of a search, too.
        let provider = |pair: &KeyValue| pair.key.as_str() == names::GEN_AI_PROVIDER_NAME;
        if !kept.iter().any(provider) {
            kept.push(KeyValue::new(names::GEN_AI_PROVIDER_NAME, names::OTHER));
        }
        Some(Self(kept))
    }
}

/// A call that is over.
pub(crate) struct Call<'c> {
    pub(crate) duration: Duration,
    pub(crate) first_chunk: Option<Duration>,
    pub(crate) further_chunks: &'c [Duration],
    pub(crate) response: Option<&'c LlmResult>,
    pub(crate) error: Option<&'c RunError>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let seconds = |name, description| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            let histogram = histogram.with_description(description);
            histogram.with_boundaries(SECONDS.into()).build()
        };
        Self {
            duration: seconds(
                names::GEN_AI_CLIENT_OPERATION_DURATION,
                "GenAI operation duration.",
            ),
            first_chunk: seconds(
                names::GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK,
                "Time to receive the first chunk of a streamed answer.",
            ),
            further_chunks: seconds(
                names::GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK,
                "Time per further chunk of a streamed answer.",
            ),
            tokens: meter
                .u64_histogram(names::GEN_AI_CLIENT_TOKEN_USAGE)
                .with_unit("{token}")
                .with_description("Number of input and output tokens used.")
                .with_boundaries(TOKENS.into())
                .build(),
        }
    }

    pub(crate) fn record(&self, Measured(mut with): Measured, call: &Call<'_>) {
        let model = call
            .response
            .and_then(|it| it.llm_output.model_name.clone());
        with.extend(model.map(|name| KeyValue::new(names::GEN_AI_RESPONSE_MODEL, name)));
        if let Some(time) = call.first_chunk {
            self.first_chunk.record(time.as_secs_f64(), &with);
        }
        for time in call.further_chunks {
            self.further_chunks.record(time.as_secs_f64(), &with);
        }
        let usage = call.response.map(LlmResult::usage);
        for (count, kind) in [
            (usage.and_then(|usage| usage.input_tokens), "input"),
            (usage.and_then(|usage| usage.output_tokens), "output"),
        ] {
            if let Some(count) = count {
                with.push(KeyValue::new(names::GEN_AI_TOKEN_TYPE, kind));
                self.tokens.record(count, &with);
                with.pop();
            }
        }
        let error = call.error.map(error_type);
        with.extend(error.map(|kind| KeyValue::new(names::ERROR_TYPE, kind)));
        self.duration.record(call.duration.as_secs_f64(), &with);
    }
}
