//! A terminal that is not standard error, for `indicatif` to draw on.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::Mutex;

use indicatif::{ProgressDrawTarget, TermLike};

use super::super::console::Console;
use crate::delivery::lock;

/// What `indicatif` draws on standard error with.
const PICTURES_PER_SECOND: u8 = 20;

pub(super) fn target(writer: impl Write + Send + 'static) -> ProgressDrawTarget {
    let terminal = Terminal(Mutex::new(Picture {
        to: Console::new(writer),
        text: String::new(),
    }));
    ProgressDrawTarget::term_like_with_hz(Box::new(terminal), PICTURES_PER_SECOND)
}

struct Terminal(Mutex<Picture>);

struct Picture {
    to: Console,
    /// What is not written yet: a picture is written as a whole.
    text: String,
}

impl Terminal {
    fn put(&self, text: fmt::Arguments<'_>) -> io::Result<()> {
        let written = lock(&self.0).text.write_fmt(text);
        written.map_err(io::Error::other)
    }

    fn move_cursor(&self, by: usize, to: char) -> io::Result<()> {
        match by {
            // A terminal would take it for 1.
            0 => Ok(()),
            by => self.put(format_args!("\x1b[{by}{to}")),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        80
    }

    fn height(&self) -> u16 {
        24
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(format_args!("{text}\r\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(format_args!("{text}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let mut picture = lock(&self.0);
        let text = std::mem::take(&mut picture.text);
        picture.to.write(&text)
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}
