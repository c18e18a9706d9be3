//! Runs: their tree, their guards, their starts, their one terminal event each.

mod asked;
mod blocking;
mod closing;
mod core;
mod failing;
mod flavour;
mod guard;
mod kinds;
mod openings;
mod start;
mod tree;

pub use asked::{Asked, Asking};
pub use failing::Failing;
pub use flavour::{Async, Blocking, Flavour};
pub use guard::{ChainRun, LlmRun, RetrieverRun, RunGuard, ToolRun};
pub use kinds::{Chain, Kind, Llm, Retriever, Tool};
pub use openings::{Deciding, Inputs, Messages, Opening, Prompts, Query, ToolInput};
pub use start::{Start, Starting};

pub(crate) use tree::Node;
