//! A terminal, or what is written to instead of one.

use std::env;
use std::ffi::OsString;
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
        // Until it is known that it did not, for it may panic.
        self.failed = true;
        self.to.write_all(text.as_bytes())?;
        self.to.flush()?;
        self.failed = false;
        Ok(())
    }
}

/// Whether standard output shows colours: if it is a terminal that can, and nobody asked for none
/// (<https://no-color.org>).
pub(super) fn shows_colours() -> bool {
    let is_terminal = io::stdout().is_terminal();
    is_terminal && colours_wanted(env::var_os("NO_COLOR"), env::var_os("TERM"))
}

fn colours_wanted(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_none_or(|term| term != "dumb")
}

/// Text in a style, if there are colours.
pub(super) fn styled(text: &str, style: Style, colours: bool) -> String {
    match style.code() {
        "" => text.to_owned(),
        _ if !colours => text.to_owned(),
        code => format!("{code}{text}\x1b[0m"),
    }
}

/// The text without what a terminal would obey, or what would have it read as something else: a model may
/// say anything.
pub(super) fn harmless(text: &str) -> String {
    escaped(text, |char| matches!(char, '\n' | '\t'))
}

/// The same, on one line: nobody is to make a line that looks like one of ours.
pub(super) fn in_line(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, kept: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        // The end of a line, as others write it.
        if char == '\r' && chars.peek() == Some(&'\n') {
            continue;
        }
        if (char.is_control() || reorders(char)) && !kept(char) {
            // To write into a string does not fail.
            let _ = write!(escaped, "{}", char.escape_unicode());
        } else {
            escaped.push(char);
        }
    }
    escaped
}

/// Whether it breaks lines, or has text shown in another order than it is in.
fn reorders(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_where_nobody_wants_them() {
        let is = |no_color: Option<&str>, term: Option<&str>| {
            colours_wanted(no_color.map(Into::into), term.map(Into::into))
        };
        assert!(is(None, None));
        assert!(is(Some(""), Some("xterm")));
        assert!(!is(Some("1"), Some("xterm")));
        assert!(!is(None, Some("dumb")));
    }

    #[test]
    fn nothing_makes_lines_or_turns_them_around() {
        assert_eq!(harmless("a\r\nb\tc\rd\u{202e}"), "a\nb\tc\\u{d}d\\u{202e}");
        assert_eq!(in_line("a\nb"), "a\\u{a}b");
    }
}
