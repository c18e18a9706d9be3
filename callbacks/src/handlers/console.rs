//! A terminal, or what is written to instead of one.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// How a piece of text looks, where there are colours.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Plain,
    Name,
    Faint,
    Error,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Name => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Error => "\x1b[31m",
        }
    }
}

/// What is written to. It fails once: whoever went away does not come back.
pub(super) struct Console {
    to: Box<dyn Write + Send>,
    failed: bool,
}

impl Console {
    pub(super) fn new(to: impl Write + Send + 'static) -> Self {
        Self {
            to: Box::new(to),
            failed: false,
        }
    }

    /// Writes all of it at once, so that nothing comes in between.
    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        if self.failed {
            return Ok(());
        }
        let written = self.to.write_all(text.as_bytes());
        let written = written.and_then(|()| self.to.flush());
        self.failed = written.is_err();
        written
    }
}

/// Whether standard output shows colours: if it is a terminal, and nobody asked for none
/// (<https://no-color.org>).
pub(super) fn shows_colours() -> bool {
    let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !no_colour && !dumb
}

/// Text in a style, if there are colours.
pub(super) fn styled(text: &str, style: Style, colours: bool) -> String {
    match style.code() {
        "" => text.to_owned(),
        _ if !colours => text.to_owned(),
        code => format!("{code}{text}\x1b[0m"),
    }
}

/// The text without what a terminal would obey: a model may say anything.
pub(super) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && !matches!(char, '\n' | '\t') {
            // To write into a string does not fail.
            let _ = write!(harmless, "{}", char.escape_default());
        } else {
            harmless.push(char);
        }
    }
    harmless
}
