//! The difference between the events that were expected and those that were recorded.

use std::fmt;

use super::Recorded;
use super::events::Recording;
use crate::EventSet;

/// An event that is expected.
pub struct Expected<'a, S: EventSet> {
    /// The name of its run, if that matters.
    run: Option<&'a str>,
    /// What it may be, as written.
    events: &'a [&'a str],
    /// What has to hold of it, as written.
    guard: Option<&'a str>,
    matches: &'a dyn for<'e> Fn(S::Ref<'e>) -> bool,
}

impl<'a, S: EventSet> Expected<'a, S> {
    /// An event that matches.
    pub fn new(
        run: &[&'a str],
        events: &'a [&'a str],
        guard: &[&'a str],
        matches: &'a dyn for<'e> Fn(S::Ref<'e>) -> bool,
    ) -> Self {
        let (run, guard) = (run.first().copied(), guard.first().copied());
        Self {
            run,
            events,
            guard,
            matches,
        }
    }

    fn matches(&self, recorded: &Recorded<S>) -> bool {
        let of_run = self.run.is_none_or(|run| recorded.run().name() == run);
        of_run && (self.matches)(recorded.event())
    }
}

/// It, as written.
impl<S: EventSet> fmt::Display for Expected<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(run) = self.run {
            write!(f, "{run:?} => ")?;
        }
        f.write_str(&self.events.join(" | "))?;
        match self.guard {
            Some(guard) => write!(f, " if {guard}"),
            None => Ok(()),
        }
    }
}

impl<S: EventSet> fmt::Debug for Expected<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expected({self})")
    }
}

/// Asserts that these events were recorded.
///
/// # Panics
///
/// If there were others.
#[track_caller]
pub fn check<S: EventSet>(
    expected: &[Expected<'_, S>],
    recorded: &(impl Recording<S> + ?Sized),
    message: fmt::Arguments<'_>,
) {
    let recorded = recorded.recorded();
    let same = expected.len() == recorded.len()
        && (expected.iter().zip(&recorded)).all(|(expected, recorded)| expected.matches(recorded));
    if !same {
        let colon = if message.as_str() == Some("") {
            ""
        } else {
            ": "
        };
        let listing = Listing(align(expected, &recorded));
        panic!(
            "{message}{colon}the events are not the expected ones \
             (-: did not come, +: not expected){listing}"
        );
    }
}

/// A line of the difference.
enum Line<'a, S: EventSet> {
    Both(&'a Expected<'a, S>, &'a Recorded<S>),
    Expected(&'a Expected<'a, S>),
    Recorded(&'a Recorded<S>),
}

/// As many expected events as possible beside recorded ones that they match, in the order of both: a
/// longest common subsequence.
fn align<'a, S: EventSet>(
    expected: &'a [Expected<'a, S>],
    recorded: &'a [Recorded<S>],
) -> Vec<Line<'a, S>> {
    let (rows, columns) = (expected.len(), recorded.len());
    let matches = expected
        .iter()
        .map(|expected| {
            recorded
                .iter()
                .map(|event| expected.matches(event))
                .collect()
        })
        .collect::<Vec<Vec<bool>>>();
    // How many can stand beside each other from this row and column on.
    let mut common = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = if matches[row][column] {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    while row < rows || column < columns {
        if row < rows && column < columns && matches[row][column] {
            lines.push(Line::Both(&expected[row], &recorded[column]));
            (row, column) = (row + 1, column + 1);
        } else if row < rows
            && (column == columns || common[row + 1][column] >= common[row][column + 1])
        {
            lines.push(Line::Expected(&expected[row]));
            row += 1;
        } else {
            lines.push(Line::Recorded(&recorded[column]));
            column += 1;
        }
    }
    lines
}

/// So many unexpected events in a row are shown.
const SHOWN: usize = 20;
/// So many characters of an event are shown.
const WIDTH: usize = 120;
/// So far to the right the runs stand, at most.
const COLUMN: usize = 60;

/// The lines, each on one of its own.
struct Listing<'a, S: EventSet>(Vec<Line<'a, S>>);

impl<S: EventSet> fmt::Display for Listing<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.0.iter().map(Line::text).collect::<Vec<_>>();
        let widths = texts.iter().map(|text| text.chars().count());
        let column = widths.filter(|width| *width <= COLUMN).max().unwrap_or(0);
        let mut in_a_row = 0;
        for (position, (line, text)) in self.0.iter().zip(texts).enumerate() {
            let (sign, recorded) = match line {
                Line::Both(_, recorded) => (' ', Some(recorded)),
                Line::Expected(_) => ('-', None),
                Line::Recorded(recorded) => ('+', Some(recorded)),
            };
            in_a_row = if sign == '+' { in_a_row + 1 } else { 0 };
            match recorded {
                Some(_) if in_a_row > SHOWN + 1 => {}
                Some(_) if in_a_row > SHOWN => {
                    let rest = self.0[position..].iter();
                    let rest = rest.take_while(|line| matches!(line, Line::Recorded(_)));
                    write!(f, "\n    + .. and {} more", rest.count())?;
                }
                Some(recorded) => {
                    write!(f, "\n    {sign} {text:<column$} // {}", place(recorded))?;
                }
                None => write!(f, "\n    {sign} {text}")?,
            }
        }
        Ok(())
    }
}

impl<S: EventSet> Line<'_, S> {
    fn text(&self) -> String {
        match self {
            Self::Both(expected, _) | Self::Expected(expected) => expected.to_string(),
            Self::Recorded(recorded) => shortened(bare(&format!("{:?}", recorded.event()))),
        }
    }
}

fn place<S: EventSet>(recorded: &Recorded<S>) -> String {
    let (run, seq) = (recorded.run(), recorded.seq());
    match run.name() {
        _ if run.id().is_nil() => format!("outside any run #{seq}"),
        name => format!("{name} #{seq}"),
    }
}

/// An event of a set shows itself as `Sold(Sold { .. })`: without the first name.
fn bare(event: &str) -> &str {
    let inner = event
        .split_once('(')
        .and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)));
    match inner {
        Some((name, inner)) if inner.starts_with(name) => inner,
        _ => event,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{} ..", &text[..end]),
        None => text.to_owned(),
    }
}
