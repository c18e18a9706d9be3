//! The attributes, with their docs: only here can their examples name this crate.

/// Makes a handler out of an inherent impl block.
///
/// A method that is named after an event is called for that event; `on_llm_new_token` for every
/// [`LlmNewToken`](crate::events::LlmNewToken). All else in the block is left alone.
///
/// ```
/// use callbacks::{Callbacks, LlmResult, Run, callback_handler};
///
/// struct Printer;
///
/// #[callback_handler]
/// impl Printer {
///     fn on_llm_new_token(&self, token: &str) {
///         print!("{token}");
///     }
///
///     async fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) -> std::io::Result<()> {
///         println!("\n{}: {} characters", run.name(), response.text().len());
///         Ok(())
///     }
/// }
///
/// let callbacks = Callbacks::new().with(Printer);
/// ```
///
/// # Methods
///
/// Plain and `async`, taking `&self`: a handler may be called from several threads at once, so what
/// changes is in an atomic or a `Mutex`, and the type is `Send` and `Sync`. A plain method is called
/// away from the event loop (see [`handler`](crate::handler) for how to say otherwise), an async
/// one on the task that emits the event.
///
/// If a plain method takes `&mut self`, the handler is [exclusive](crate::Exclusive): none of its
/// methods are called two at once, so it needs no `Mutex`, and its type need not be `Sync`. Such a
/// handler has no async methods.
///
/// Parameters are taken by name, in any order, and only those that are wanted:
///
/// | parameter | is |
/// |---|---|
/// | a field of the event, such as `token: &str` | that field, with its type |
/// | `run: &Run<'_>` | the [run](crate::Run) that the event belongs to |
/// | `event: &LlmEnd<'_>` | the whole event |
///
/// A method returns nothing, or `Result<(), E>` where `E` is an error. An error, like a panic, is
/// logged through `tracing`; the run goes on, unless the handler was registered with
/// [`raise_errors`](crate::Configured::raise_errors).
///
/// A method for a decision event, such as [`ToolRequest`](crate::events::ToolRequest), returns its
/// reply, or a `Result` of that: an error or a panic there is a stop. See
/// [`Decision`](crate::Decision).
///
/// A method may emit events, start runs and end them, in its own run tree and in others. Inside it
/// nothing waits, so that nothing waits for itself: an emission is put off, and gives `Ok` at once; a
/// start gives the run at once, an end has been set off. All that is put off in a run tree is
/// delivered in order, once the event that the method was called for has reached all its handlers,
/// and before anything that is emitted there later. A handler is never called in the middle of one of
/// its own methods.
///
/// # Arguments
///
/// | argument | means |
/// |---|---|
/// | none | the built-in events, [`callbacks::events`](crate::events) |
/// | `events = path::to::set` | the events of another set, in this crate or another |
///
/// Several blocks on one type, for several sets, work. (Where two sets have an event of the same
/// name, the methods would have the same name too: use two types.) A set of one's own with the name
/// of a crate among the dependencies is `events = self::name`.
///
/// # What it expands to
///
/// The block itself, unchanged, and beside it `impl CallbackHandler` of the set with the plain
/// methods, `impl AsyncCallbackHandler` with the async ones, and the registration as a
/// [`Handler`](crate::Handler). (For an exclusive handler, `impl ExclusiveCallbackHandler`.) The set of events that have a method is a constant: the others are
/// never delivered.
#[doc(inline)]
pub use callbacks_macros::callback_handler;

/// Makes an event set out of a module of structs.
///
/// ```
/// use callbacks::{Callbacks, callback_events, callback_handler};
///
/// #[callback_events]
/// pub mod shop {
///     /// Something was sold.
///     pub struct Sold<'a> {
///         pub item: &'a str,
///         pub count: u32,
///     }
///     /// The shop closed for the day.
///     pub struct Closed;
/// }
///
/// struct Ledger;
///
/// #[callback_handler(events = shop)]
/// impl Ledger {
///     fn on_sold(&self, item: &str, count: u32) {
///         println!("{count} {item}");
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let callbacks = Callbacks::new().with(Ledger);
/// callbacks.emit(shop::Sold { item: "tea", count: 2 }).await?;
/// assert!(!callbacks.wants::<shop::Closed>());
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Events
///
/// Every struct of the module is an event, at most 64 of them. Its fields are `&'a T` where `T:
/// ToOwned`, `Option<&'a T>`, or small `Copy` values; what cannot be cloned goes in as `&'a
/// Arc<T>`. Events are `Clone`, `Copy` and `Debug`, so their fields are.
///
/// # Decision events
///
/// An event under `#[event(reply = Type)]` asks something of its handlers: their methods return a
/// `Type`, which implements [`Reply`](crate::Reply) for the owned event and says what an answer means.
/// It is not emitted, but asked, with [`Callbacks::ask`](crate::Callbacks::ask).
///
/// # What it adds to the module
///
/// | item | is |
/// |---|---|
/// | `CallbackHandler`, `AsyncCallbackHandler`, `ExclusiveCallbackHandler` | the traits with a method for each event; `HTTPFailed` is handled by `on_http_failed` |
/// | `ByHand(T)` | registers a type that implements both traits without the attribute |
/// | `Events` | the set as a type, for `.with::<shop::Events, _>(..)` |
/// | `AnyEvent<'a>`, `owned::AnyEvent` | any event of the set, borrowed and owned |
/// | `owned::Sold`, .. | each event as a value that owns its fields |
/// | `AnyReply` | any answer to a decision event, if there is one in the set |
///
/// # Arguments
///
/// | argument | means |
/// |---|---|
/// | `crate = path` | where this crate is, if not at `::callbacks` |
/// | `serde` | the owned events implement serde's `Serialize` and `Deserialize` |
/// | `adapt = function` | put around every handler of the set when it is registered: takes and returns `Arc<dyn Deliver<Events> + Send + Sync>` |
#[doc(inline)]
pub use callbacks_macros::callback_events;
