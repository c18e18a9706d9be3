//! The metrics: how long calls took, and how many tokens. Of every call, whatever is sampled.

use std::time::Duration;

use callbacks::RunError;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::{KeyValue, Value};

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
        let known = &description.attributes;
        let operation = known.iter().find_map(|pair| match &pair.value {
            Value::String(name) if pair.key.as_str() == names::GEN_AI_OPERATION_NAME => Some(name),
            _ => None,
        })?;
        let measured = [
            operation::CHAT,
            operation::TEXT_COMPLETION,
            operation::RETRIEVAL,
        ];
        if !measured.contains(&operation.as_str()) {
            return None;
        }
        let of_few = [
            names::GEN_AI_OPERATION_NAME,
            names::GEN_AI_PROVIDER_NAME,
            names::GEN_AI_REQUEST_MODEL,
            names::SERVER_ADDRESS,
            names::SERVER_PORT,
        ];
        let of_few = |pair: &&KeyValue| of_few.contains(&pair.key.as_str());
        let mut kept: Vec<_> = known.iter().filter(of_few).cloned().collect();
        // Here it is required of a search, too.
        let provider = |pair: &KeyValue| pair.key.as_str() == names::GEN_AI_PROVIDER_NAME;
        if !kept.iter().any(provider) {
            kept.push(KeyValue::new(names::GEN_AI_PROVIDER_NAME, names::OTHER));
        }
        Some(Self(kept))
    }
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
                "Time to receive each further chunk of a streamed answer.",
            ),
            tokens: meter
                .u64_histogram(names::GEN_AI_CLIENT_TOKEN_USAGE)
                .with_unit("{token}")
                .with_description("Number of input and output tokens used.")
                .with_boundaries(TOKENS.into())
                .build(),
        }
    }

    /// A call is over, which its span says with these attributes, after chunks that took so long, in
    /// seconds.
    pub(crate) fn record(
        &self,
        Measured(mut with): Measured,
        duration: Duration,
        chunks: &[f64],
        attributes: &[KeyValue],
        error: Option<&RunError>,
    ) {
        let find = |name| attributes.iter().find(|pair| pair.key.as_str() == name);
        with.extend(find(names::GEN_AI_RESPONSE_MODEL).cloned());
        let first_chunk = find(names::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK);
        if let Some(&Value::F64(seconds)) = first_chunk.map(|pair| &pair.value) {
            self.first_chunk.record(seconds, &with);
        }
        for &seconds in chunks {
            self.further_chunks.record(seconds, &with);
        }
        for (name, kind) in [
            (names::GEN_AI_USAGE_INPUT_TOKENS, "input"),
            (names::GEN_AI_USAGE_OUTPUT_TOKENS, "output"),
        ] {
            if let Some(&Value::I64(count)) = find(name).map(|pair| &pair.value) {
                with.push(KeyValue::new(names::GEN_AI_TOKEN_TYPE, kind));
                self.tokens.record(count.unsigned_abs(), &with);
                with.pop();
            }
        }
        let error = error.map(|error| KeyValue::new(names::ERROR_TYPE, error_type(error)));
        with.extend(error);
        self.duration.record(duration.as_secs_f64(), &with);
    }
}
