//! The tokens of models, on the terminal as they come.

use std::fmt;
use std::io::{self, Write};
use std::mem::take;
use std::sync::Mutex;

use super::console::{Console, harmless};
use crate::callback_handler;
use crate::delivery::lock;

/// Writes the tokens of streaming models to standard output as they come, and ends the line when the
/// model is done.
///
/// Tokens of models that run at the same time come as they come. Control characters are escaped. Where
/// standard output is gone, that is an error once; then it is silent.
///
/// ```
/// use callbacks::handlers::StreamingStdout;
/// use callbacks::{Callbacks, LlmResult, Serialized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
///
/// let callbacks = Callbacks::new().with(StreamingStdout::new());
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.new_token("Be").await?;
/// run.new_token("cause.").await?;
/// run.end(|| LlmResult::from_text("Because.")).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StreamingStdout(Mutex<Stream>);

struct Stream {
    console: Console,
    /// Whether the line has begun.
    in_line: bool,
    /// Whether the last token ended in `\r`, which is half of the end of a line, maybe.
    returned: bool,
}

impl StreamingStdout {
    /// To standard output.
    #[must_use]
    pub fn new() -> Self {
        Self::to(io::stdout())
    }

    /// To somewhere else.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Stream {
            console: Console::new(writer),
            in_line: false,
            returned: false,
        }))
    }

    fn end_line(&self) -> io::Result<()> {
        let mut stream = lock(&self.0);
        if take(&mut stream.returned) {
            stream.write("\r")?;
        }
        if take(&mut stream.in_line) {
            stream.console.write("\n")
        } else {
            Ok(())
        }
    }
}

impl Stream {
    fn write(&mut self, text: &str) -> io::Result<()> {
        let text = harmless(text);
        if let Some(last) = text.chars().next_back() {
            self.in_line = last != '\n';
        }
        self.console.write(&text)
    }
}

impl Default for StreamingStdout {
    fn default() -> Self {
        Self::new()
    }
}

#[callback_handler(events = crate::events)]
impl StreamingStdout {
    fn on_llm_new_token(&self, token: &str) -> io::Result<()> {
        let mut stream = lock(&self.0);
        let returned = if take(&mut stream.returned) { "\r" } else { "" };
        let text = format!("{returned}{token}");
        let whole = text.strip_suffix('\r');
        stream.returned = whole.is_some();
        stream.write(whole.unwrap_or(&text))
    }

    fn on_llm_end(&self) -> io::Result<()> {
        self.end_line()
    }

    fn on_llm_error(&self) -> io::Result<()> {
        self.end_line()
    }
}

impl fmt::Debug for StreamingStdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingStdout").finish_non_exhaustive()
    }
}
