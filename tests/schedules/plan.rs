//! What is to happen, drawn from a seed: run trees, the handlers that hear of them, and where all of it runs.

use std::sync::Arc;

use fastrand::Rng;

/// All of it. The same seed gives the same plan; how its parts come to overlap is up to the machine.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) surroundings: Surroundings,
    pub(crate) handlers: Vec<HandlerPlan>,
    /// Trees that grow at the same time.
    pub(crate) trees: Vec<Arc<Node>>,
}

/// Where the framework runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surroundings {
    CurrentThread,
    /// A current-thread runtime whose clock jumps when nothing is left to do: timeouts are reached there.
    Paused,
    MultiThread,
    NoRuntime,
    /// Plain calls, for code that waits with its thread.
    Blocking,
}

#[derive(Clone, Debug)]
pub(crate) struct HandlerPlan {
    pub(crate) way: Way,
    pub(crate) wants: Wants,
    pub(crate) raises: bool,
    /// Hears of the outermost runs alone.
    pub(crate) is_local: bool,
    pub(crate) has_timeout: bool,
    /// How often of a hundred calls it is what.
    pub(crate) moods: [(Mood, u8); 5],
}

/// How a handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Inline,
    Lane,
    Async,
    Exclusive,
    Background {
        is_async: bool,
        room: usize,
        drops: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    All,
    NoTools,
    NoModels,
    /// Starts and ends alone.
    Frame,
}

/// What a call of a handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Slow,
    Fails,
    Panics,
    /// Emits in the outermost run.
    Emits,
    /// Waits for ever, where a timeout ends that.
    Stalls,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
    /// Another handler, for what is inside.
    pub(crate) adds: Option<usize>,
    /// The start, and all of it, are dropped after so many polls.
    pub(crate) start: Patience,
    pub(crate) all: Patience,
}

/// After how many polls a future is dropped, if at all.
pub(crate) type Patience = Option<u8>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Llm,
    Chain,
    Tool,
    Retriever,
}

#[derive(Debug)]
pub(crate) enum Step {
    Emit(Patience),
    Inside(Arc<Node>),
    AtOnce(Vec<Arc<Node>>),
    /// In a task or thread of its own, that nobody waits for, and that may be aborted.
    Apart(Arc<Node>, bool),
    /// Keeps its guard until the run around it is over.
    Late(Kind),
    Yields,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Ok(Patience),
    Error(Patience),
    Dropped,
    Panics,
}

/// Runs below this are not drawn.
const DEEPEST: u32 = 4;

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut draw = Draw(Rng::with_seed(seed));
        let surroundings = draw.one_of(&[
            Surroundings::CurrentThread,
            Surroundings::CurrentThread,
            Surroundings::Paused,
            Surroundings::MultiThread,
            Surroundings::MultiThread,
            Surroundings::NoRuntime,
            Surroundings::Blocking,
        ]);
        let handlers = (0..draw.0.usize(1..=5)).map(|_| draw.handler(surroundings));
        let handlers: Vec<_> = handlers.collect();
        let trees = (0..draw.0.usize(1..=3)).map(|_| draw.node(0, handlers.len()));
        Self {
            seed,
            surroundings,
            trees: trees.collect(),
            handlers,
        }
    }
}

struct Draw(Rng);

impl Draw {
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.usize(..all.len())]
    }

    fn chance(&mut self, of_a_hundred: u8) -> bool {
        self.0.u8(..100) < of_a_hundred
    }

    fn handler(&mut self, surroundings: Surroundings) -> HandlerPlan {
        let background = Way::Background {
            is_async: self.0.bool(),
            room: self.one_of(&[1, 2, 16]),
            drops: self.0.bool(),
        };
        let way = self.one_of(&[
            Way::Inline,
            Way::Lane,
            Way::Lane,
            Way::Async,
            Way::Async,
            Way::Exclusive,
            background,
            background,
        ]);
        let is_async = matches!(way, Way::Async | Way::Background { is_async: true, .. });
        let has_timeout = is_async && surroundings == Surroundings::Paused;
        let mut often = |most: u8| if self.0.bool() { 0 } else { self.0.u8(..=most) };
        let moods = [
            (Mood::Slow, often(60)),
            (Mood::Fails, often(25)),
            (Mood::Panics, often(25)),
            (Mood::Emits, often(15)),
            (Mood::Stalls, if has_timeout { often(10) } else { 0 }),
        ];
        HandlerPlan {
            way,
            wants: self.one_of(&[
                Wants::All,
                Wants::All,
                Wants::All,
                Wants::NoTools,
                Wants::NoModels,
                Wants::Frame,
            ]),
            raises: self.chance(15),
            is_local: self.chance(15),
            has_timeout,
            moods,
        }
    }

    fn patience(&mut self) -> Patience {
        self.chance(8).then(|| self.0.u8(..12))
    }

    fn node(&mut self, depth: u32, handlers: usize) -> Arc<Node> {
        let steps = self.0.u32(..=6 - depth);
        Arc::new(Node {
            kind: self.kind(),
            steps: (0..steps).map(|_| self.step(depth, handlers)).collect(),
            end: match self.0.u8(..100) {
                0..60 => End::Ok(self.patience()),
                60..80 => End::Error(self.patience()),
                80..95 => End::Dropped,
                _ => End::Panics,
            },
            adds: self.chance(10).then(|| self.0.usize(..handlers)),
            start: self.patience(),
            all: self.patience().map(|polls| polls.saturating_mul(4)),
        })
    }

    fn kind(&mut self) -> Kind {
        self.one_of(&[Kind::Llm, Kind::Chain, Kind::Tool, Kind::Retriever])
    }

    fn step(&mut self, depth: u32, handlers: usize) -> Step {
        let inside = |draw: &mut Self| draw.node(depth + 1, handlers);
        match self.0.u8(..100) {
            60..75 if depth < DEEPEST => Step::Inside(inside(self)),
            75..83 if depth < DEEPEST => {
                Step::AtOnce((0..self.0.usize(2..=3)).map(|_| inside(self)).collect())
            }
            83..88 if depth < DEEPEST => Step::Apart(inside(self), self.0.bool()),
            88..93 => Step::Late(self.kind()),
            93..100 => Step::Yields,
            _ => Step::Emit(self.patience()),
        }
    }
}
