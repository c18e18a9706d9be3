//! The lines on the terminal: one for each run tree that is heard of.

use std::collections::{BTreeMap, HashMap};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::console::harmless;
use super::super::drawing::duration;
use super::super::open_runs::OpenRuns;
use super::pace::Pace;
use crate::Run;
use crate::payload::RunError;

/// The last is for lines that are over, which is never seen.
const SPINNER: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ";

pub(super) struct Lines {
    screen: MultiProgress,
    keep: bool,
    /// Whether a thread turns the spinners.
    pub(super) is_animated: bool,
    /// By the number of the outermost run.
    trees: HashMap<u64, Tree>,
    /// Where the open runs are.
    open: OpenRuns<Place>,
    /// How many runs were heard to start.
    started: u64,
}

struct Place {
    /// The number of the outermost run.
    tree: u64,
    number: u64,
    is_model: bool,
}

struct Tree {
    line: ProgressBar,
    name: String,
    pace: Pace,
    /// How many models are open.
    models: usize,
    /// The runs that are open inside, by when they started.
    inside: BTreeMap<u64, String>,
}

impl Lines {
    pub(super) fn new(target: ProgressDrawTarget) -> Self {
        Self {
            screen: MultiProgress::with_draw_target(target),
            keep: true,
            is_animated: false,
            trees: HashMap::new(),
            open: OpenRuns::default(),
            started: 0,
        }
    }

    pub(super) fn keep(&mut self, keep: bool) {
        self.keep = keep;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Takes the lines off the terminal, until something is drawn.
    pub(super) fn clear(&self) {
        // A terminal that is gone is clear.
        let _ = self.screen.clear();
    }

    pub(super) fn draw(&self) {
        for tree in self.trees.values() {
            tree.line.tick();
        }
    }

    pub(super) fn start(&mut self, run: &Run<'_>, is_model: bool) {
        self.started += 1;
        let (tokens, number, name) = (Pace::new(run), self.started, one_line(run.name()));
        let run = run.info();
        let around = self.open.around(run).map(|place| place.tree);
        let tree = around.unwrap_or(number);
        let place = Place {
            tree,
            number,
            is_model,
        };
        for unheard in self.open.start(run, place) {
            self.take(&unheard);
        }
        if around.is_none() {
            let line = self.screen.add(ProgressBar::new_spinner());
            line.set_style(style());
            self.trees.insert(tree, Tree::new(line, name, tokens));
        } else if let Some(tree) = self.trees.get_mut(&tree) {
            tree.inside.insert(number, name);
        }
        if let Some(tree) = self.trees.get_mut(&tree) {
            tree.models += usize::from(is_model);
            tree.show();
        }
    }

    pub(super) fn token(&mut self, run: &Run<'_>) {
        let place = self.open.get(run.info());
        if let Some(tree) = place.and_then(|place| self.trees.get_mut(&place.tree)) {
            tree.pace.token(run);
            tree.show();
        }
    }

    pub(super) fn end(&mut self, run: &Run<'_>, error: Option<&RunError>) {
        let mut over = None;
        for place in self.open.end(run.info()) {
            over = over.or(self.take(&place));
        }
        if let Some(tree) = over.filter(|_| self.keep) {
            // A line that stays is text like any other, above those that are drawn over: `indicatif` would draw
            // it over, too, as long as one above it is open, and clear it for whoever writes. A terminal that is
            // gone shows nothing.
            let _ = self.screen.println(tree.result(run, error));
        }
    }

    /// Takes a run that is over off its line, and the line off the terminal with the outermost one.
    fn take(&mut self, place: &Place) -> Option<Tree> {
        if place.tree != place.number {
            let tree = self.trees.get_mut(&place.tree)?;
            tree.end(place);
            tree.show();
            return None;
        }
        let tree = self.trees.remove(&place.tree)?;
        tree.line.finish_and_clear();
        // Otherwise it is kept as long as one above it is open.
        self.screen.remove(&tree.line);
        Some(tree)
    }
}

impl Tree {
    fn new(line: ProgressBar, name: String, pace: Pace) -> Self {
        Self {
            line,
            name,
            pace,
            models: 0,
            inside: BTreeMap::new(),
        }
    }

    /// A run inside is over.
    fn end(&mut self, run: &Place) {
        self.inside.remove(&run.number);
        if run.is_model {
            self.models = self.models.saturating_sub(1);
            if self.models == 0 {
                self.pace.pause();
            }
        }
    }

    /// The outermost run, what started last of what runs in it, and what is known of its tokens.
    fn show(&self) {
        let inside = self.inside.last_key_value();
        let inside = inside.map_or(String::new(), |(_, inside)| format!(" › {inside}"));
        let facts = self.pace.facts();
        let colon = if facts.is_empty() { "" } else { ": " };
        let message = format!("{}{inside}{colon}{}", self.name, facts.join(", "));
        self.line.set_message(message);
    }

    /// What there is to say when it is over.
    fn result(&self, run: &Run<'_>, error: Option<&RunError>) -> String {
        let mut facts = vec![duration(self.pace.elapsed(run))];
        facts.extend(self.pace.facts());
        let mark = if let Some(error) = error {
            facts.push(format!("{}: {}", error.kind, one_line(&error.message)));
            '✗'
        } else {
            '✓'
        };
        format!("{mark} {}: {}", self.name, facts.join(", "))
    }
}

/// What does not fit into the line is cut off.
fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.tick_chars(SPINNER)
}

/// The first line of it, without what a terminal would obey.
fn one_line(text: &str) -> String {
    harmless(text.lines().next().unwrap_or_default())
}
