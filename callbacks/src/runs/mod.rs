//! Runs: their tree, their guards, their starts, their one terminal event each.

mod asked;
mod blocking;
mod closing;
mod core;
mod draft;
mod failing;
mod flavour;
mod guard;
mod iter;
mod kinds;
mod model_input;
mod opener;
mod openings;
mod part;
mod replaying;
mod start;
mod stream;
mod stream_error;
mod streamed_run;
mod tap;
mod tree;

/// So many closings poll one another: each waits for that of a run inside its own.
const DEEP: usize = 16;

pub use asked::{Asked, Asking};
pub use failing::Failing;
pub use flavour::{Async, Blocking, Flavour};
pub use guard::{ChainRun, LlmRun, RetrieverRun, RunGuard, ToolRun};
pub use iter::LlmIter;
pub use kinds::{Chain, Kind, Llm, Retriever, Tool};
pub use openings::{Deciding, Inputs, Messages, Opening, Prompts, Query, ToolInput};
pub use start::{Start, Starting};
pub use stream::LlmStream;
pub use stream_error::StreamError;
pub use tap::IntoChunk;

#[cfg(feature = "testing")]
pub(crate) use part::Part;
pub(crate) use part::ends_run;
pub(crate) use replaying::Replaying;
pub(crate) use tree::Node;
