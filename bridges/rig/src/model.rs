//! A call of a model, while it is open.

use callbacks::{EmitError, Generation, LlmResult, LlmRun, Message, RunError};
use rig_core::completion::CompletionResponse;
use tokio::time::Instant;

use crate::answer;
use crate::arrived::{Arrived, Piece};

/// A model that is being called. Rig calls one at a time. Dropped, it ends with what had arrived.
pub(crate) struct Model {
    /// `None` once it ends.
    run: Option<LlmRun>,
    times: Times,
    arrived: Arrived,
    /// The answer, of a turn that rig tells no outcome of.
    said: Option<Message>,
}

/// When the model began to work, and when the first of its answer came.
#[derive(Clone, Copy)]
struct Times {
    begun: Instant,
    first: Option<Instant>,
}

impl Model {
    pub(crate) fn begin(run: LlmRun) -> Self {
        Self {
            run: Some(run),
            times: Times::begin(),
            arrived: Arrived::default(),
            said: None,
        }
    }

    /// A piece of the answer has come.
    pub(crate) async fn tell(&mut self, piece: Piece<'_>) -> Result<(), EmitError> {
        self.times.hear();
        let chunk = self.arrived.add(piece);
        match (&self.run, chunk, piece) {
            (None, ..) => Ok(()),
            (Some(run), None, Piece::Text(text)) => run.new_token(text).await,
            // Boxed, as it would make the future of each text four times as large.
            (Some(run), chunk, _) => Box::pin(run.new_chunk(|| chunk.unwrap_or_default())).await,
        }
    }

    /// All of the answer, though rig may tell no more of it.
    pub(crate) fn say(&mut self, said: Message) {
        self.said = Some(said);
    }

    /// The model has answered this; or what is known of it, where rig has not told that.
    pub(crate) async fn end(
        mut self: Box<Self>,
        response: Option<&CompletionResponse>,
    ) -> Result<(), EmitError> {
        let Some(run) = self.run.take() else {
            return Ok(());
        };
        run.end(|| match response {
            Some(response) => self.times.of(answer::result(response)),
            None => self.so_far(),
        })
        .await
    }

    pub(crate) async fn fail(
        mut self: Box<Self>,
        error: impl Into<RunError>,
    ) -> Result<(), EmitError> {
        let Some(run) = self.run.take() else {
            return Ok(());
        };
        let failing = run.error(error);
        if self.has_begun() {
            failing.partial(|| self.so_far()).await
        } else {
            failing.await
        }
    }

    /// Whether there is anything of an answer.
    fn has_begun(&self) -> bool {
        self.said.is_some() || !self.arrived.is_empty()
    }

    fn so_far(&mut self) -> LlmResult {
        let result = match self.said.take() {
            Some(said) => LlmResult::new(vec![vec![Generation::from_message(said)]]),
            None => self.arrived.result(),
        };
        self.times.of(result)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some(run) = self.run.take()
            && self.has_begun()
        {
            run.drop_with(|| self.so_far());
        }
    }
}

impl Times {
    fn begin() -> Self {
        let (begun, first) = (Instant::now(), None);
        Self { begun, first }
    }

    fn hear(&mut self) {
        self.first.get_or_insert_with(Instant::now);
    }

    fn of(self, mut result: LlmResult) -> LlmResult {
        result.llm_output.time_to_first_token = self.first.map(|first| first - self.begun);
        result
    }
}
