//! What happens, on the terminal.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::sync::Mutex;

use serde_json::Value;

use super::console::{Console, Style, harmless, in_line, shows_colours, styled};
use super::drawing::{draw, facts};
use super::run_tree::Growing;
use super::wording::retry;
use crate::delivery::lock;
use crate::payload::{
    AgentAction, AgentFinish, Document, LlmResult, Message, RetryState, RunError, buffer_string,
};
use crate::{Run, callback_handler};

/// So many characters are shown of a payload.
const SHOWN: usize = 1_000;

/// Writes what happens to standard output, indented as the runs are nested; and when an outermost run
/// is over, the tree of its runs, with how long each took, the tokens it used and its error.
///
/// There are colours if standard output is a terminal, unless `NO_COLOR` is set to something, or `TERM` to
/// `dumb`. What prompts, answers and names hold of control characters is escaped. Where standard output is
/// gone, that is an error once; then it is silent, and what is not shown is not counted. What is shown of a run
/// at the end is kept until its outermost run is over.
///
/// ```
/// use callbacks::handlers::StdoutHandler;
/// use callbacks::{Callbacks, Serialized};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static SEARCH: Serialized = Serialized::new("Search");
///
/// let callbacks = Callbacks::new().with(StdoutHandler::new());
/// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
/// tool.end(&json!("3 kinds of tea")).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// writes
///
/// ```text
/// > Search (tool)
///     tea
/// < Search 12 ms
///     3 kinds of tea
///
/// Search (tool) 12 ms
/// ```
pub struct StdoutHandler {
    console: Mutex<Console>,
    growing: Mutex<Growing>,
    colours: bool,
    shown: usize,
}

impl StdoutHandler {
    /// To standard output.
    #[must_use]
    pub fn new() -> Self {
        Self {
            colours: shows_colours(),
            ..Self::to(io::stdout())
        }
    }

    /// To somewhere else, without colours.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self {
            console: Mutex::new(Console::new(writer)),
            growing: Mutex::default(),
            colours: false,
            shown: SHOWN,
        }
    }

    /// With colours, or without.
    #[must_use]
    pub fn colours(mut self, colours: bool) -> Self {
        self.colours = colours;
        self
    }

    /// Shows so many characters of each payload; by default, 1,000.
    #[must_use]
    pub fn shown(mut self, characters: usize) -> Self {
        self.shown = characters;
        self
    }

    fn start(&self, run: &Run<'_>, shown: &str) -> io::Result<()> {
        let depth = {
            let mut growing = lock(&self.growing);
            // Payloads are shown, and not kept.
            growing.start(run, Value::Null);
            growing.run(run).map_or(0, |run| run.depth)
        };
        let name = styled(&in_line(run.name()), Style::Name, self.colours);
        let mut text = Indented::new(depth);
        text.line(&format!("> {name} ({})", run.kind()));
        self.write(text, shown, Style::Plain)
    }

    fn end(&self, run: &Run<'_>, shown: &str) -> io::Result<()> {
        self.over(run, None, shown)
    }

    fn fail(&self, run: &Run<'_>, error: &RunError) -> io::Result<()> {
        let shown = format!("{}: {}", error.kind, error.message);
        self.over(run, Some(error), &shown)
    }

    fn over(&self, run: &Run<'_>, error: Option<&RunError>, shown: &str) -> io::Result<()> {
        let (ended, over) = {
            let mut growing = lock(&self.growing);
            let time = run.time();
            let ended = growing.run(run).map(|run| {
                run.ended_at = Some(time);
                (run.depth, facts(run).join(", "))
            });
            (ended, growing.end(run, Value::Null, error))
        };
        let (depth, facts) = ended.unwrap_or_default();
        let name = styled(&in_line(run.name()), Style::Name, self.colours);
        let facts = styled(&facts, Style::Faint, self.colours);
        let (mark, style) = match error {
            Some(_) => ("!", Style::Error),
            None => ("<", Style::Plain),
        };
        let mut text = Indented::new(depth);
        text.line(format!("{mark} {name} {facts}").trim_end());
        let mut text = self.with_payload(text, shown, style);
        if let Some(tree) = over {
            let drawing = draw(&tree, self.colours);
            let _ = write!(text, "\n{drawing}\n");
        }
        lock(&self.console).write(&text)
    }

    fn note(&self, run: &Run<'_>, what: impl Display) -> io::Result<()> {
        let depth = lock(&self.growing).run(run).map_or(0, |run| run.depth);
        self.write(Indented::new(depth), &what.to_string(), Style::Faint)
    }

    fn write(&self, text: Indented, payload: &str, style: Style) -> io::Result<()> {
        let text = self.with_payload(text, payload, style);
        lock(&self.console).write(&text)
    }

    /// The text, and a payload below it.
    fn with_payload(&self, mut text: Indented, payload: &str, style: Style) -> String {
        let end = payload.char_indices().nth(self.shown).map(|(end, _)| end);
        let (shown, rest) = payload.split_at(end.unwrap_or(payload.len()));
        text.depth += 2;
        for line in harmless(shown).lines() {
            text.line(&styled(line, style, self.colours));
        }
        if !rest.is_empty() {
            let more = format!("… and {} more characters", rest.chars().count());
            text.line(&styled(&more, Style::Faint, self.colours));
        }
        text.text
    }
}

impl Default for StdoutHandler {
    fn default() -> Self {
        Self::new()
    }
}

/// Lines that are indented as deep as their run is.
struct Indented {
    text: String,
    depth: usize,
}

impl Indented {
    /// Deeper than this, nobody counts.
    const DEEPEST: usize = 32;

    fn new(depth: usize) -> Self {
        let text = String::new();
        Self { text, depth }
    }

    fn line(&mut self, line: &str) {
        let indent = 2 * self.depth.min(Self::DEEPEST);
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A payload, for a person to read: text as it is, and the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[callback_handler(events = crate::events)]
impl StdoutHandler {
    fn on_llm_start(&self, prompts: &[String], run: &Run<'_>) -> io::Result<()> {
        self.start(run, &prompts.join("\n"))
    }

    fn on_chat_model_start(&self, messages: &[Vec<Message>], run: &Run<'_>) -> io::Result<()> {
        let conversations = messages.iter().map(|messages| buffer_string(messages));
        let conversations = conversations.collect::<Vec<_>>().join("\n\n");
        self.start(run, &conversations)
    }

    fn on_llm_new_token(&self, run: &Run<'_>) {
        let mut growing = lock(&self.growing);
        // The first is all that is shown.
        if growing.run(run).is_some_and(|run| run.tokens.is_empty()) {
            growing.token(run);
        }
    }

    fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) -> io::Result<()> {
        lock(&self.growing).respond(run, response);
        self.end(run, response.text())
    }

    fn on_llm_error(
        &self,
        error: &RunError,
        response: Option<&LlmResult>,
        run: &Run<'_>,
    ) -> io::Result<()> {
        if let Some(response) = response {
            lock(&self.growing).respond(run, response);
        }
        self.fail(run, error)
    }

    fn on_chain_start(&self, inputs: &Value, run: &Run<'_>) -> io::Result<()> {
        self.start(run, &shown(inputs))
    }

    fn on_chain_end(&self, outputs: &Value, run: &Run<'_>) -> io::Result<()> {
        self.end(run, &shown(outputs))
    }

    fn on_chain_error(&self, error: &RunError, run: &Run<'_>) -> io::Result<()> {
        self.fail(run, error)
    }

    fn on_tool_start(&self, input: &str, run: &Run<'_>) -> io::Result<()> {
        self.start(run, input)
    }

    fn on_tool_end(&self, output: &Value, run: &Run<'_>) -> io::Result<()> {
        self.end(run, &shown(output))
    }

    fn on_tool_error(&self, error: &RunError, run: &Run<'_>) -> io::Result<()> {
        self.fail(run, error)
    }

    fn on_retriever_start(&self, query: &str, run: &Run<'_>) -> io::Result<()> {
        self.start(run, query)
    }

    fn on_retriever_end(&self, documents: &[Document], run: &Run<'_>) -> io::Result<()> {
        let contents = documents.iter().map(|document| &*document.page_content);
        let contents = contents.collect::<Vec<_>>().join("\n");
        self.end(run, &contents)
    }

    fn on_retriever_error(&self, error: &RunError, run: &Run<'_>) -> io::Result<()> {
        self.fail(run, error)
    }

    fn on_agent_action(&self, action: &AgentAction, run: &Run<'_>) -> io::Result<()> {
        self.note(run, format_args!("{}: {}", action.tool, action.tool_input))
    }

    fn on_agent_finish(&self, finish: &AgentFinish, run: &Run<'_>) -> io::Result<()> {
        self.note(run, shown(&finish.return_values))
    }

    fn on_text(&self, text: &str, run: &Run<'_>) -> io::Result<()> {
        self.note(run, text)
    }

    fn on_retry(&self, retry_state: &RetryState, run: &Run<'_>) -> io::Result<()> {
        self.note(run, retry(retry_state))
    }

    fn on_custom_event(&self, name: &str, data: &Value, run: &Run<'_>) -> io::Result<()> {
        self.note(run, format_args!("{name}: {data}"))
    }
}

impl fmt::Debug for StdoutHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdoutHandler").finish_non_exhaustive()
    }
}
