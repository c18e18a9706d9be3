//! A handler that shows on the terminal what runs, while it runs.

mod lines;
mod pace;
mod terminal;

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use indicatif::ProgressDrawTarget;

use self::lines::Lines;
use crate::delivery::lock;
use crate::payload::RunError;
use crate::{Run, callback_handler};

/// Between two pictures of a spinner.
const TICK: Duration = Duration::from_millis(100);

/// Shows a line on standard error for each outermost run, while it runs: what runs in it right now, how many
/// tokens came, at which pace, and how long the first took.
///
/// ```text
/// ✓ ChatOpenAI: 1.23 s, 28 tokens, 33.1 tokens/s, first token after 250 ms
/// ✗ Shell: 185 µs, failed: exit status 127
/// ⠹ 3s planner › ChatOpenAI: 42 tokens, 31.5 tokens/s, first token after 420 ms
/// ```
///
/// **Where standard error is no terminal, it is silent**, and does nothing. What goes to the terminal by
/// other ways while lines are there is written into them: do that in [`suspend`](Self::suspend).
///
/// - A token is an [`LlmNewToken`](crate::events::LlmNewToken) with a text that is not empty. Providers may
///   send several tokens in one, so this is what can be seen of a stream, and no number for a bill:
///   [`Usage`](super::Usage) has that. A model that does not stream shows none.
/// - The pace is the mean over the time in which models of the run gave tokens; the time from the start of a
///   model to its first token is not in it. Models that give tokens at the same time add up.
/// - The first token is that of the outermost run, counted from the start of that.
/// - A run that fails, or is dropped, ends its line, too. Lines of runs that are over stay, above the others,
///   unless [`keep(false)`](Self::keep).
/// - Of a run tree of which it hears a part only, the outermost run of that has the line.
///
/// One of it can be registered with any number of requests, as an [`Arc`]: their lines stand one below the
/// other, as many as the terminal is high.
///
/// ```
/// use callbacks::handlers::Progress;
/// use callbacks::{Callbacks, LlmResult, Serialized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
///
/// let callbacks = Callbacks::new().with(Progress::new());
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.new_token("Be").await?;
/// run.new_token("cause.").await?;
/// run.end(|| LlmResult::from_text("Because.")).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Progress {
    /// `None` where nobody would see them. Whatever draws has the lock.
    lines: Option<Arc<Mutex<Lines>>>,
}

impl Progress {
    /// On standard error, if that is a terminal.
    #[must_use]
    pub fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    /// On a terminal that is somewhere else, of 80 columns and 24 lines. It is taken for one, whatever it
    /// is: what is written moves its cursor. One that is gone is no error.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self::on(terminal::target(writer))
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let lines = (!target.is_hidden()).then(|| Arc::new(Mutex::new(Lines::new(target))));
        Self { lines }
    }

    /// Whether a line stays when its run is over; by default, it does.
    #[must_use]
    pub fn keep(self, keep: bool) -> Self {
        if let Some(lines) = &self.lines {
            lock(lines).keep(keep);
        }
        self
    }

    /// Calls this without lines on the terminal, so that it can write there. They come back after it.
    ///
    /// All that would draw waits until it is done. So emit nothing inside that this handler hears, and do not
    /// suspend it inside of itself: that would wait for ever.
    ///
    /// ```
    /// use callbacks::handlers::Progress;
    ///
    /// let progress = Progress::new();
    /// progress.suspend(|| println!("Because."));
    /// ```
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        let Some(lines) = &self.lines else {
            return write();
        };
        let lines = lock(lines);
        lines.clear();
        let written = write();
        lines.draw();
        written
    }

    fn start(&self, run: &Run<'_>, is_model: bool) {
        if let Some(shared) = &self.lines {
            let mut lines = lock(shared);
            lines.start(run, is_model);
            if !lines.is_animated {
                // Where no thread is to be had, spinners turn when something happens.
                lines.is_animated = animate(Arc::downgrade(shared));
            }
        }
    }

    fn end(&self, run: &Run<'_>, error: Option<&RunError>) {
        if let Some(lines) = &self.lines {
            lock(lines).end(run, error);
        }
    }
}

/// Turns the spinners while there are any: one thread for all, where `indicatif` would have one for each.
fn animate(lines: Weak<Mutex<Lines>>) -> bool {
    let thread = thread::Builder::new().name("callbacks-progress".to_owned());
    let turn = move || {
        loop {
            thread::sleep(TICK);
            let Some(lines) = lines.upgrade() else {
                return;
            };
            let mut lines = lock(&lines);
            if lines.is_empty() {
                lines.is_animated = false;
                return;
            }
            lines.draw();
        }
    };
    thread.spawn(turn).is_ok()
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[callback_handler(events = crate::events)]
impl Progress {
    fn on_llm_start(&self, run: &Run<'_>) {
        self.start(run, true);
    }

    fn on_chat_model_start(&self, run: &Run<'_>) {
        self.start(run, true);
    }

    fn on_llm_new_token(&self, token: &str, run: &Run<'_>) {
        if let Some(lines) = &self.lines
            && !token.is_empty()
        {
            lock(lines).token(run);
        }
    }

    fn on_llm_end(&self, run: &Run<'_>) {
        self.end(run, None);
    }

    fn on_llm_error(&self, error: &RunError, run: &Run<'_>) {
        self.end(run, Some(error));
    }

    fn on_chain_start(&self, run: &Run<'_>) {
        self.start(run, false);
    }

    fn on_chain_end(&self, run: &Run<'_>) {
        self.end(run, None);
    }

    fn on_chain_error(&self, error: &RunError, run: &Run<'_>) {
        self.end(run, Some(error));
    }

    fn on_tool_start(&self, run: &Run<'_>) {
        self.start(run, false);
    }

    fn on_tool_end(&self, run: &Run<'_>) {
        self.end(run, None);
    }

    fn on_tool_error(&self, error: &RunError, run: &Run<'_>) {
        self.end(run, Some(error));
    }

    fn on_retriever_start(&self, run: &Run<'_>) {
        self.start(run, false);
    }

    fn on_retriever_end(&self, run: &Run<'_>) {
        self.end(run, None);
    }

    fn on_retriever_error(&self, error: &RunError, run: &Run<'_>) {
        self.end(run, Some(error));
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("is_silent", &self.lines.is_none())
            .finish_non_exhaustive()
    }
}
