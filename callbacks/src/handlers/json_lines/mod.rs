//! Every event in a file, one line of JSON each, and back: [`JsonLines`] writes it, [`JsonLines::read`]
//! reads it, and [`replay`] sends it through any handlers, with the times that it had.
//!
//! ```
//! use callbacks::handlers::{JsonLines, replay};
//! use callbacks::{Callbacks, LlmResult, Serialized, callback_handler};
//!
//! struct Printer;
//!
//! #[callback_handler]
//! impl Printer {
//!     fn on_llm_new_token(&self, token: &str) {
//!         print!("{token}");
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("run.jsonl");
//! static MODEL: Serialized = Serialized::new("MyModel");
//!
//! let callbacks = Callbacks::new().with(JsonLines::create(&path)?);
//! let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
//! run.new_token("Because.").await?;
//! run.end(|| LlmResult::from_text("Because.")).await?;
//!
//! let replayed = replay(&path, &Callbacks::new().with(Printer)).await?;
//! assert_eq!((replayed.events, replayed.open.len()), (3, 0));
//! # Ok::<(), callbacks::BoxError>(())
//! # })?;
//! # Ok::<(), callbacks::BoxError>(())
//! ```
//!
//! # The lines
//!
//! The first names the schema and its version. Each of the others is an event:
//!
//! ```json
//! {"schema":"callbacks.json_lines","version":1}
//! {"seq":1,"time":1769860800000123,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f","root_id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f","kind":"llm","name":"MyModel","tags":["prod"],"metadata":{"user":"42"},"started_at":1769860800000023},"event":{"LlmStart":{"serialized":{"name":"MyModel"},"prompts":["Why?"],"params":null}}}
//! {"seq":2,"time":1769860801000456,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f"},"event":{"LlmNewToken":{"token":"Because.","chunk":null,"choice":0}}}
//! ```
//!
//! * `seq` is [`Run::seq`](crate::Run::seq): the lines of a run tree are in its order, unless they were written
//!   [inline](crate::Configured::inline). Those of several trees stand between each other.
//! * `time` is [`Run::time`](crate::Run::time), when the line was written; both times are microseconds since
//!   1970, UTC.
//! * `run` says all about a run where it first appears, and its `id` from then on. What is said of it
//!   holds until its end, and until the file is opened again. `parent_id` and `metadata` and `tags` are
//!   there if there are any; a `kind` of the framework's own is `{"custom":"rerank"}`. Runs around it
//!   that have no event of their own before are in `parents`, the outermost first. Where several runs are
//!   given one id, all but the first have an `nth`, from 1; that of the parent is `parent_nth`.
//! * `event` is the [owned event](crate::events::owned::AnyEvent) as serde writes it.
//! * `{"lost":3}` stands where so many events could not be written.
//!
//! A line counts when its end is there, or all but that: what was torn off by a crash or a full disk is cut off when the
//! file is opened again, and passed over by whoever reads. So are blank lines, and the first line of
//! a recording that was appended to another. Fields that a reader does not know are passed over, so the
//! version grows only with what an older one would misread. An event that it does not know is an error.
//!
//! Whole numbers come back as they were, and so do others of up to 15 digits, unless they are very large or
//! very small. Some of those with 16 or 17 digits come back as their neighbours, unless your `Cargo.toml`
//! asks for the feature `float_roundtrip` of `serde_json`.

mod described;
mod error;
mod line;
mod reader;
mod recovery;
mod replay;
mod storage;
mod tape;
mod writer;

pub use error::{RecordingError, ReplayError};
pub use reader::Recording;
pub use replay::{Replayed, replay, replay_blocking};
pub use tape::SyncData;
pub use writer::JsonLines;
