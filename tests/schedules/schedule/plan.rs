//! What is to happen, drawn from a seed: run trees, the handlers that hear of them, and where all of it runs.

use std::sync::Arc;

use fastrand::Rng;

/// All of it. The same seed gives the same plan; how its parts come to overlap is up to the machine.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) surroundings: Surroundings,
    /// Some trees grow by plain calls, or all.
    pub(crate) blocks: bool,
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
    /// Plain calls, for code that waits with its thread: where there is no runtime, on that of a current-thread
    /// runtime, and on a worker of another.
    Blocking,
    BlockingInCurrentThread,
    BlockingInMultiThread,
}

impl Surroundings {
    /// Whether the task of a background handler stands still, for the runtime's own thread blocks: it makes no
    /// room, and answers nothing.
    fn stand_still(self, is_async: bool) -> bool {
        is_async && self == Self::BlockingInCurrentThread
    }

    /// Whether all trees grow by plain calls.
    pub(crate) fn block(self) -> bool {
        matches!(
            self,
            Self::Blocking | Self::BlockingInCurrentThread | Self::BlockingInMultiThread
        )
    }
}

#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is drawn without the others"
)]
pub(crate) struct HandlerPlan {
    pub(crate) way: Way,
    pub(crate) wants: Wants,
    pub(crate) raises: bool,
    /// Hears of the outermost runs alone.
    pub(crate) is_local: bool,
    /// Is asked before tools and models start.
    pub(crate) answers: bool,
    /// Hears of sales, too, which are another set of events.
    pub(crate) hears_sales: bool,
    pub(crate) has_timeout: bool,
    /// How often of a hundred calls it is what.
    pub(crate) moods: [(Mood, u8); 5],
}

impl HandlerPlan {
    /// Whether its methods are async.
    pub(crate) fn is_async(&self) -> bool {
        matches!(
            self.way,
            Way::Async | Way::Background { is_async: true, .. }
        )
    }

    /// Whether an emission may give a call up that goes on, or has not begun.
    pub(crate) fn may_be_late(&self) -> bool {
        self.has_timeout && self.way != Way::Async
    }

    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.way, Way::Background { .. })
    }
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

/// What a handler answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoesOn,
    Rewrites,
    Answers,
    Stops,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// The framework honours what handlers decide.
    pub(crate) asks: bool,
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

impl Kind {
    /// The methods of its start, of what is emitted in it, of its end and of its error.
    pub(crate) fn methods(self) -> [&'static str; 4] {
        match self {
            Self::Llm => [
                "on_llm_start",
                "on_llm_new_token",
                "on_llm_end",
                "on_llm_error",
            ],
            Self::Chain => [
                "on_chain_start",
                "on_custom_event",
                "on_chain_end",
                "on_chain_error",
            ],
            Self::Tool => ["on_tool_start", "on_text", "on_tool_end", "on_tool_error"],
            Self::Retriever => [
                "on_retriever_start",
                "on_text",
                "on_retriever_end",
                "on_retriever_error",
            ],
        }
    }
}

#[derive(Debug)]
pub(crate) enum Step {
    Emit(Patience),
    /// An event of another set.
    Sells(Patience),
    Inside(Arc<Node>),
    AtOnce(Vec<Arc<Node>>),
    /// In a task or thread of its own, that nobody waits for.
    Apart(Arc<Node>, Apart),
    /// Keeps its guard until the run around it is over.
    Late(Kind),
    Yields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    Task,
    /// Aborted when it may have been polled so often.
    Aborted(u8),
    /// By plain calls, in a thread that may block.
    Blocking,
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
        let mut draw = Draw {
            rng: Rng::with_seed(seed),
            blocks_apart: false,
            way: None,
            raises: 0,
        };
        let surroundings = draw.one_of(&[
            Surroundings::CurrentThread,
            Surroundings::CurrentThread,
            Surroundings::Paused,
            Surroundings::Paused,
            Surroundings::MultiThread,
            Surroundings::MultiThread,
            Surroundings::NoRuntime,
            Surroundings::Blocking,
            Surroundings::BlockingInCurrentThread,
            Surroundings::BlockingInMultiThread,
        ]);
        // The timeouts of code that blocks are real time.
        draw.blocks_apart = surroundings != Surroundings::Paused && draw.chance(30);
        draw.way = draw.chance(25).then(|| draw.way(surroundings));
        draw.raises = draw.one_of(&[0, 15, 60]);
        let handlers = (0..draw.rng.usize(1..=5)).map(|_| draw.handler(surroundings));
        let handlers: Vec<_> = handlers.collect();
        let blocks = surroundings.block() || draw.blocks_apart;
        let trees = (0..draw.rng.usize(1..=3)).map(|_| draw.node(0, handlers.len()));
        Self {
            seed,
            surroundings,
            blocks,
            trees: trees.collect(),
            handlers,
        }
    }
}

struct Draw {
    rng: Rng,
    /// What runs apart may do so by plain calls.
    blocks_apart: bool,
    /// All handlers are called this way: what is between handlers of one way is rare among any.
    way: Option<Way>,
    /// How many handlers of a hundred raise.
    raises: u8,
}

impl Draw {
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(..all.len())]
    }

    fn chance(&mut self, of_a_hundred: u8) -> bool {
        self.rng.u8(..100) < of_a_hundred
    }

    fn way(&mut self, surroundings: Surroundings) -> Way {
        let is_async = self.rng.bool();
        let background = Way::Background {
            is_async,
            room: self.one_of(&[1, 2, 16]),
            drops: self.rng.bool() || surroundings.stand_still(is_async),
        };
        self.one_of(&[
            Way::Inline,
            Way::Lane,
            Way::Lane,
            Way::Async,
            Way::Async,
            Way::Exclusive,
            background,
            background,
        ])
    }

    fn handler(&mut self, surroundings: Surroundings) -> HandlerPlan {
        let way = self.way.unwrap_or_else(|| self.way(surroundings));
        let is_queued = matches!(way, Way::Background { .. });
        let is_async = matches!(way, Way::Async | Way::Background { is_async: true, .. });
        let has_timeout = surroundings == Surroundings::Paused
            && match way {
                // A plain method that is called at once is over before a timeout is looked at.
                Way::Inline => false,
                Way::Lane | Way::Exclusive => self.chance(25),
                Way::Async | Way::Background { .. } => true,
            };
        let mut often = |most: u8| {
            if self.rng.bool() {
                0
            } else {
                self.rng.u8(..=most)
            }
        };
        let stalls = if has_timeout && is_async {
            often(20)
        } else {
            0
        };
        let moods = [
            (Mood::Stalls, stalls),
            (Mood::Slow, often(if is_async { 95 } else { 60 })),
            (Mood::Fails, often(25)),
            (Mood::Panics, often(25)),
            (Mood::Emits, often(15)),
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
            raises: self.chance(self.raises),
            is_local: self.chance(15),
            answers: self.chance(30) && !(is_queued && surroundings.stand_still(is_async)),
            hears_sales: self.chance(40),
            has_timeout,
            moods,
        }
    }

    fn patience(&mut self) -> Patience {
        self.chance(20).then(|| self.rng.u8(..4))
    }

    fn node(&mut self, depth: u32, handlers: usize) -> Arc<Node> {
        let steps = self.rng.u32(..=6 - depth);
        Arc::new(Node {
            kind: self.kind(),
            asks: self.rng.bool(),
            steps: (0..steps).map(|_| self.step(depth, handlers)).collect(),
            end: match self.rng.u8(..100) {
                0..60 => End::Ok(self.patience()),
                60..80 => End::Error(self.patience()),
                80..95 => End::Dropped,
                _ => End::Panics,
            },
            adds: self.chance(10).then(|| self.rng.usize(..handlers)),
            start: self.patience(),
            all: self.patience().map(|polls| polls.saturating_mul(4)),
        })
    }

    fn kind(&mut self) -> Kind {
        self.one_of(&[Kind::Llm, Kind::Chain, Kind::Tool, Kind::Retriever])
    }

    fn step(&mut self, depth: u32, handlers: usize) -> Step {
        let inside = |draw: &mut Self| draw.node(depth + 1, handlers);
        match self.rng.u8(..100) {
            60..75 if depth < DEEPEST => Step::Inside(inside(self)),
            75..83 if depth < DEEPEST => {
                Step::AtOnce((0..self.rng.usize(2..=3)).map(|_| inside(self)).collect())
            }
            83..88 if depth < DEEPEST => {
                let apart = if self.blocks_apart {
                    Apart::Blocking
                } else {
                    let aborted = Apart::Aborted(self.rng.u8(..12));
                    self.one_of(&[Apart::Task, aborted])
                };
                Step::Apart(inside(self), apart)
            }
            88..93 => Step::Late(self.kind()),
            93..100 => Step::Yields,
            45..60 => Step::Sells(self.patience()),
            _ => Step::Emit(self.patience()),
        }
    }
}
