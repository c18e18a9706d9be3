//! A call of a model, while it is open.

use callbacks::{Generation, LlmResult, LlmRun, Message};
use tokio::time::Instant;

use crate::arrived::Arrived;

/// A model that is being called. Rig calls one at a time.
pub(crate) struct Model {
    pub(crate) run: LlmRun,
    pub(crate) times: Times,
    pub(crate) arrived: Arrived,
    /// The answer, of a turn that rig tells no outcome of.
    pub(crate) said: Option<Message>,
}

/// When the model began to work, and when the first of its answer came.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    begun: Instant,
    first: Option<Instant>,
}

impl Model {
    pub(crate) fn begin(run: LlmRun) -> Self {
        Self {
            run,
            times: Times::begin(),
            arrived: Arrived::default(),
            said: None,
        }
    }

    /// The answer as far as it is known.
    pub(crate) fn so_far(&mut self) -> LlmResult {
        let result = match self.said.take() {
            Some(said) => LlmResult::new(vec![vec![Generation::from_message(said)]]),
            None => self.arrived.result(),
        };
        self.times.of(result)
    }
}

impl Times {
    fn begin() -> Self {
        let (begun, first) = (Instant::now(), None);
        Self { begun, first }
    }

    /// Something of the answer has come.
    pub(crate) fn hear(&mut self) {
        self.first.get_or_insert_with(Instant::now);
    }

    pub(crate) fn of(self, mut result: LlmResult) -> LlmResult {
        result.llm_output.time_to_first_token = self.first.map(|first| first - self.begun);
        result
    }
}
