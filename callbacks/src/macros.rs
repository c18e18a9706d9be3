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
/// handler has no async methods. With `#[cfg]`, it can be exclusive in one build and not in another.
///
/// Parameters are taken by name, in any order, and only those that are wanted:
///
/// | parameter | is |
/// |---|---|
/// | a field of the event, such as `token: &str` | that field, with its type |
/// | `run: &Run<'_>` | the [run](crate::Run) that the event belongs to |
/// | `event: &LlmEnd<'_>` | the whole event |
///
/// What the event borrows is lent to the method; its lifetimes may have names. It has no type parameters, and no
/// bounds but those of the impl block.
///
/// A method returns nothing, or `Result<(), E>` where `E` is an error. An error, like a panic, is
/// logged through `tracing`; the run goes on, unless the handler was registered with
/// [`raise_errors`](crate::Configured::raise_errors).
///
/// A method for a decision event, such as [`ToolRequest`](crate::events::ToolRequest), returns its
/// reply, or a `Result` of that: an error or a panic there is a stop. See
/// [`Decision`](crate::Decision).
///
/// A method may emit events, start runs and end them, in its own run tree and in others: through a
/// [`Callbacks`](crate::Callbacks) that the handler was given, or
/// [`Callbacks::current`](crate::Callbacks::current) where the framework runs its code in the scope of the run. (A
/// [`Run`](crate::Run) only says which it is.)
///
/// ```
/// use callbacks::{Callbacks, EmitError, LlmResult, callback_handler};
/// use serde_json::json;
///
/// struct Judge;
///
/// #[callback_handler]
/// impl Judge {
///     async fn on_llm_end(&self, response: &LlmResult) -> Result<(), EmitError> {
///         let Some(callbacks) = Callbacks::current() else {
///             return Ok(());
///         };
///         let words = response.text().split_whitespace().count();
///         callbacks.custom_event("judged", || json!({ "words": words })).await
///     }
/// }
/// ```
///
/// Inside a method nothing waits, so that nothing waits for itself: an emission is put off, and gives `Ok` at once; a
/// start gives the run at once, an end has been set off. All that is put off in a run tree is
/// delivered in order, once the event that the method was called for has reached all its handlers,
/// and before anything that is emitted there later. A handler is never called in the middle of one of
/// its own methods.
///
/// # Arguments
///
/// | argument | means |
/// |---|---|
/// | none | the built-in events, [`callbacks::events`](crate::events), of the dependency that is named `callbacks` |
/// | `events = path::to::set` | the events of another set, in this crate or another |
///
/// Several blocks on one type, for several sets, work. (Where two sets have an event of the same
/// name, the methods would have the same name too: use two types.) A set of one's own with the name
/// of a crate among the dependencies is `events = self::name`. Where this crate comes from a framework that gives
/// it out, or has another name, the built-in events are `events = framework::callbacks::events`.
///
/// `clippy::pedantic` takes methods that need no `&self`, or no `async`, for mistakes: a block may
/// `#[allow(clippy::unused_self, clippy::unused_async)]`.
///
/// # What it expands to
///
/// The block itself, unchanged, and beside it what a person would write: `impl CallbackHandler` of the
/// set with the plain methods, `impl AsyncCallbackHandler` with the async ones, and the registration as
/// a [`Handler`](crate::Handler). (For an exclusive handler, `impl ExclusiveCallbackHandler`.) Of
///
/// ```
/// # mod shop {
/// #     #[callbacks::callback_events]
/// #     pub mod events { pub struct Sold<'a> { pub item: &'a str } }
/// # }
/// # use shop::events as shop_events;
/// # use callbacks::callback_handler;
/// # struct Printer;
/// #[callback_handler(events = shop_events)]
/// impl Printer {
///     fn on_sold(&self, item: &str) {
///         print!("{item}");
///     }
/// }
/// ```
///
/// it makes, with paths shortened,
///
/// ```text
/// impl CallbackHandler for Printer {
///     fn interests(&self) -> Interests {
///         const { Interests::of(&[Sold::INDEX]) }
///     }
///
///     fn on_sold(&self, event: &Sold<'_>, _run: &Run<'_>) -> Result<(), BoxError> {
///         let item = event.item;
///         let item: &str = item;
///         Self::on_sold(self, item);
///         Ok(())
///     }
/// }
///
/// impl AsyncCallbackHandler for Printer {
///     fn interests(&self) -> Interests {
///         Interests::NONE
///     }
/// }
///
/// impl Deliver<Events> for Printer { .. } // from an event of the set to its method
/// impl Handler<Events> for Printer { .. } // what `Callbacks::with` takes
/// ```
///
/// Methods that a macro inside the block would make are not seen, and not called.
///
/// The set of events that have a method is a constant: the others are never delivered. All paths go
/// through the set, as it was written in the attribute, so a crate that has the set from another one,
/// such as an agent framework, needs no dependency on this one.
///
/// # Messages
///
/// A mistake in what the attribute reads is reported once, on what has to be changed, and all mistakes of
/// a block at once. What only the compiler can know, it says in its own words: about a parameter, where
/// its type is wrong; and more than once where more than one of the impls is concerned, such as for two
/// blocks of one set, or a type that is neither `Send` nor `Sync`.
///
/// | message | cure |
/// |---|---|
/// | `..` has no event handled by `on_..` | write the name of a handler method; the message has the nearest, or all of them |
/// | `..` is not called for any event; did you mean `on_..`? | the same; or, if it is a helper, give it a name that is less like one, or put it into a block of its own |
/// | event `..` has no field `..` | write the name of a field, or `run`, or `event` |
/// | leave an unused parameter out | a parameter that is not wanted need not be there |
/// | a handler parameter is the name of a field .. | a parameter has no pattern: take it apart in the body |
/// | a handler parameter cannot be configured out | write the method twice, with `#[cfg]` on each |
/// | `..` is a handler method but has no receiver | write `&self` |
/// | a handler method takes `&self` | write `&self`, or `&mut self` in a plain method |
/// | an async handler method may be called again before it is done | write `&self`, and keep what changes in an atomic or a `Mutex` |
/// | a handler with a method that takes `&mut self` has no async methods | write `&self` everywhere, or leave `async` out |
/// | a handler method takes `&self`: write it so, without a type | `&self` instead of `self: &Self` |
/// | a handler method cannot be generic | write the type of the event field |
/// | a handler method is called for every value of its handler | put the bound on the impl block, or leave it out |
/// | a handler method cannot be `const`, `unsafe`, `extern` | leave it out |
/// | `..` is asked for a decision, but returns nothing | return the reply that the message names |
/// | a handler method cannot return `impl Trait` | write the type; for a future, `async fn` |
/// | an error of a handler goes to other threads | write `Box<dyn Error + Send + Sync>` |
/// | this handler cannot return `..` | return nothing, the reply, or a `Result` of that |
/// | no handler methods | name a method after an event |
/// | `#[callback_handler]` goes on an impl block | write it on `impl MyHandler { .. }` |
/// | `#[callback_handler]` writes the trait impls itself | write it on the inherent block, and leave the trait to it |
/// | `events` is the module of the set, a path, or no text | write the path of the module: `events = shop` |
/// | `events` is one set | write a block for each |
/// | cannot find `__private` in `..` (the compiler's), and then: `..` is not a callback handler | `events` names a module that is no set: one under `#[callback_events]` is |
/// | unknown argument, or one that is there twice | see [arguments](#arguments) |
/// | future cannot be sent between threads safely | what is kept across an `.await` must be `Send`; the compiler points at it |
/// | `..` cannot be sent, or shared, between threads safely | a handler is `Send` and `Sync`: put what is not behind a `Mutex`, or take `&mut self`, for which `Send` is enough |
/// | the same of a type parameter, with a help that adds a bound behind the attribute | write `impl<T: Send + Sync> Log<T>` |
/// | conflicting implementations of trait | a type has one block for each set: put all methods into it |
/// | borrowed data escapes outside of method; lifetime may not live long enough | what an event lends does not outlive it: take out what is kept or sent, `text.to_owned()`, and return an error that owns what it holds |
/// | cannot find `callbacks` in the crate root | depend on `callbacks`, or write [`events`](#arguments) |
/// | duplicate definitions with name `on_..` | two sets have an event of one name: a type for each |
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
/// Arc<T>`. Events are `Clone`, `Copy` and `Debug`, so their fields are. A handler outside of the
/// module takes fields that it sees: write `pub` before them, as in any struct.
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
/// | `owned::Sold`, .. | each event as a value that owns its fields; with braces or without, as the event; as visible as the event and each of its fields. Attributes are not taken over: where its fields are seen, it can be written out, even if the event is `#[non_exhaustive]` |
/// | `AnyReply` | any answer to a decision event, if there is one in the set |
///
/// # Arguments
///
/// | argument | means |
/// |---|---|
/// | `crate = path` | where this crate is, if not at `::callbacks`: by a path that holds in every module, such as its name in `Cargo.toml`, `crate::..`, or, in a `macro_rules!`, `$crate::..` |
/// | `serde` | the owned events implement serde's `Serialize` and `Deserialize` |
/// | `adapt = function` | (by a path that holds inside the module) put around every handler of the set when it is registered: takes and returns `Arc<dyn Deliver<Events> + Send + Sync>`, and passes on every method, also those with a default |
///
/// # What it expands to
///
/// The module with its structs, `#[derive(Clone, Copy, Debug)]` on them, and what is listed
/// [above](#what-it-adds-to-the-module). Of `Sold<'a>` it makes, among others and with paths shortened,
///
/// ```text
/// pub trait CallbackHandler {
///     /// Something was sold.
///     fn on_sold(&self, event: &Sold<'_>, run: &Run<'_>) -> Result<(), BoxError> {
///         Ok(())
///     }
///     ..
/// }
///
/// pub mod owned {
///     /// The owned twin of [`Sold`](super::Sold).
///     pub struct Sold {
///         pub item: String,
///         pub count: u32,
///     }
///     ..
/// }
/// ```
///
/// # Testing handlers of a set
///
/// What users of a set read when they misspell something comes from the names in the set, so it can be
/// tested beside it, with [`trybuild`](https://docs.rs/trybuild) alone:
///
/// ```text
/// // tests/handlers.rs
/// #[test]
/// fn messages() {
///     let cases = trybuild::TestCases::new();
///     cases.pass("tests/ui/clerk.rs");
///     cases.compile_fail("tests/ui/misspelt.rs"); // beside it, `misspelt.stderr`
/// }
/// ```
///
/// The messages in the words below are the same for every version of the compiler; those about types are
/// the compiler's own. What the attribute writes is what `cargo expand` shows, and can be compared with a
/// file. (In the repository both are done for a crate with a set, `tests/shop`.)
///
/// # Messages
///
/// | message | cure |
/// |---|---|
/// | an event cannot be generic | one handler method must fit every value: write the type |
/// | an event has at most one lifetime | borrow all fields for the same one |
/// | the fields of an event must be named | handlers ask for them by name: write `struct Sold { .. }` |
/// | a field cannot be called `run`, `event` | handler parameters of these names are something else: choose another name |
/// | an event is copied for every handler, and a `String` cannot be | borrow it: `&'a str` |
/// | what an event borrows owns what it holds | `&'a [String]` instead of `&'a [&'a str]` |
/// | a trait object, or a `Mutex` and its like, cannot be copied into a queue | share it: `&'a Arc<dyn Tool>` |
/// | the trait bound `..: Clone` is not satisfied (the compiler's, several times) | what is borrowed is copied into queues: derive `Clone` for it, or share it: `&'a Arc<T>` |
/// | every event derives `Clone`, `Copy` and `Debug` | leave them out; other traits are kept |
/// | `..` cannot be handled outside of this module | write `pub`, or `pub(crate)` |
/// | `..` and `..` would both be handled by `on_..` | `HTTPFailed` and `HttpFailed` have one method: rename one |
/// | an event field is `&'a T`, `Option<&'a T>` or a small `Copy` value that borrows nothing | borrow the whole: `&'a T` |
/// | an event cannot hold another event of its set | put the type outside of the module |
/// | an event, or a field of one, cannot be configured out | put the event into a set of its own with `#[cfg]` on the module; make the field an `Option` |
/// | `..` is a name of the event set itself | choose another |
/// | a reply outlives the event that it answers | use a type that owns what it holds |
/// | `crate` is used inside the module and further down | write the path from the root: `crate::..` or `::..` |
/// | `#[event]` says nothing here, or is there already | write `#[event(reply = Type)]` once, or leave it out |
/// | an event set has at least one event, at most 64 | make two sets of it: a type can be a handler of both |
/// | `#[callback_events]` goes on a module of structs, and needs its body | write `mod name { .. }` here |
/// | with `serde`, an event is read back from its owned twin | borrow it: `&'a T` instead of `&'static T` |
#[doc(inline)]
pub use callbacks_macros::callback_events;
