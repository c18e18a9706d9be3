//! Handlers that people expect to find: for the terminal, for files, for what things cost.
//!
//! Each is an ordinary handler: `Callbacks::new().with(..)` takes it, and [`handler(..)`](crate::handler) gives
//! it options. They are written with [`#[callback_handler]`](crate::callback_handler). Only
//! [`JsonLines`], which writes down whatever there is, implements [`Deliver`](crate::Deliver) itself; that it logs
//! a failure once, and how [`replay`] opens and closes runs, is this crate's own. What needs a library of its own
//! is behind a feature.
//!
//! What keeps something of each open run, such as [`RunTrees`], lets go of it where the run, or one around it, is
//! heard to end. One that is narrowed with [`only`](crate::Configured::only) or
//! [`except`](crate::Configured::except), and does not hear how a run ends, lets go of it as others start; of an
//! outermost run there is no tree then, and no result. [`OpenRuns`] does that for handlers of your own, too.

mod console;
mod drawing;
pub mod json_lines;
mod open_runs;
mod prices;
#[cfg(feature = "progress")]
mod progress;
mod run_tree;
mod run_trees;
#[cfg(feature = "spans")]
mod spans;
mod stdout;
mod streaming_stdout;
mod timeline;
mod token_budget;
mod usage;
mod wording;

pub use json_lines::{JsonLines, replay};
pub use open_runs::OpenRuns;
pub use prices::{Costs, Price, Prices};
#[cfg(feature = "progress")]
pub use progress::Progress;
pub use run_tree::{Note, RunTree, TracedRun};
pub use run_trees::RunTrees;
#[cfg(feature = "spans")]
pub use spans::Spans;
pub use stdout::StdoutHandler;
pub use streaming_stdout::StreamingStdout;
pub use timeline::Timeline;
pub use token_budget::TokenBudget;
pub use usage::{ModelUsage, Usage};
