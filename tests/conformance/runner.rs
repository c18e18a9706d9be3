//! Plays a scenario, and holds what was written against the recording.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use callbacks::{EmitError, RunError, RunId, RunInfo};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::compare::{compare, shown};
use crate::difference::{Difference, apply};
use crate::observer::Boom;
use crate::recording::Recording;
use crate::scene::{Line, Scene};
use crate::{failures, normal, payload, rules};

/// What the program of a scenario returns.
pub(crate) type Outcome = Result<Value, Fault>;

/// Why it fails.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A callback handler's error came out of an emission.
    Emission(EmitError),
    /// What it runs failed.
    Own(RunError),
}

impl From<EmitError> for Fault {
    fn from(error: EmitError) -> Self {
        Self::Emission(error)
    }
}

impl From<RunError> for Fault {
    fn from(error: RunError) -> Self {
        Self::Own(error)
    }
}

impl Fault {
    /// The exception that LangChain's program got: its class and its message.
    pub(crate) fn exception(&self) -> Value {
        match self {
            Self::Own(error) => payload::raised(error),
            Self::Emission(EmitError::Raised { source, .. }) => match source.downcast_ref() {
                Some(Boom(class, message)) => json!([class, message]),
                None => json!(["Raised", source.to_string()]),
            },
            Self::Emission(error) => json!(["EmitError", error.to_string()]),
        }
    }
}

/// Plays the scenario of this name by its description, and compares.
pub(crate) fn play<F>(file: &str, name: &str, description: impl FnOnce(Scene) -> F)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    failures::listen();
    let recording = Recording::of(file, name);
    let (written, differences) = perform(&recording, description);
    let expected = normal::recorded(apply(&recording, &differences));
    for (at, difference) in differences.iter().enumerate() {
        let others = [&differences[..at], &differences[at + 1..]].concat();
        let without = normal::recorded(apply(&recording, &others));
        let differs = !compare(&expected, &without).is_empty();
        assert!(differs, "this makes no difference: {difference:?}");
    }
    let broken = rules::broken(&written.lines);
    let lines = shown(&written.lines);
    assert!(broken.is_empty(), "{broken:?} in {lines:#?}");
    let written = normal::written(written, &expected, recording.is_blocking());
    let differs = compare(&expected, &written);
    let reasons: BTreeSet<_> = differences.iter().map(|one| one.why).collect();
    let doc = &recording.doc;
    assert!(
        differs.is_empty(),
        "{file}, {name}: {doc}\ndeclared differences: {reasons:#?}\n{differs}"
    );
}

/// What is written when the description is played, and the differences that it declares.
fn perform<F>(
    recording: &Recording,
    description: impl FnOnce(Scene) -> F,
) -> (Recording, Vec<Difference>)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    // One thread, so that the order of tasks is no chance; a pool for blocking code that is full
    // with one call; a clock that jumps.
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime
        .max_blocking_threads(1)
        .enable_all()
        .start_paused(true);
    let runtime = runtime.build().expect("a runtime");
    runtime.block_on(async {
        let scene = Scene::new(recording.is_blocking());
        let played = tokio::spawn(description(scene.clone())).await;
        let outcome = played.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        settled(&scene).await;
        let lines = scene.lines();
        let (differences, mut obs) = scene.said();
        let log = logged(&lines);
        if !log.is_empty() {
            obs["log"] = log.into();
        }
        let written = Recording {
            result: outcome.unwrap_or_else(|fault| json!({ "raised": fault.exception() })),
            obs,
            lines: labelled(lines),
            ..recording.clone()
        };
        (written, differences)
    })
}

/// Waits until nothing more is on its way. (It takes no time; if it does, something hangs.)
async fn settled(scene: &Scene) {
    let begin = Instant::now();
    while !scene.is_over() {
        let waited = begin.elapsed() < Duration::from_secs(20);
        assert!(
            waited,
            "still on its way after {:#?}",
            shown(&labelled(scene.lines()))
        );
        tokio::task::yield_now().await;
        thread::yield_now();
    }
}

/// Runs are r0, r1, .. by first appearance.
fn labelled(lines: Vec<Line>) -> Vec<Value> {
    let mut known: Vec<RunId> = Vec::new();
    let mut label = |run: Option<&RunInfo>| -> Value {
        let Some(run) = run else { return Value::Null };
        let number = known.iter().position(|id| *id == run.id());
        let number = number.unwrap_or_else(|| {
            known.push(run.id());
            known.len() - 1
        });
        format!("r{number}").into()
    };
    let lines = lines.into_iter().map(|line| {
        let mut columns = line.columns;
        columns["run"] = label(line.run.as_ref());
        columns["parent"] = label(line.run.as_ref().and_then(RunInfo::parent));
        columns
    });
    lines.collect()
}

/// The failures that were logged of these runs.
fn logged(lines: &[Line]) -> Vec<String> {
    let runs = lines.iter().filter_map(|line| line.run.as_ref());
    let mut runs: Vec<_> = runs.map(|run| run.id().to_string()).collect();
    runs.sort();
    runs.dedup();
    runs.iter().flat_map(|run| failures::of(run)).collect()
}
