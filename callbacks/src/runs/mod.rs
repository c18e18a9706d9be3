//! Runs: their tree, their guards, their starts, their one terminal event each.

mod closing;
mod failing;
mod guard;
mod kinds;
mod openings;
mod start;
mod tree;

pub use failing::Failing;
pub use guard::{ChainRun, LlmRun, RetrieverRun, RunGuard, ToolRun};
pub use kinds::{Chain, Kind, Llm, Retriever, Tool};
pub use openings::{Inputs, Messages, Opening, Prompts, Query, ToolInput};
pub use start::{Start, Starting};

pub(crate) use tree::Node;
