//! `assert_events!`: which events were recorded, told by patterns, so that what is misspelt does not
//! compile.

use super::{Recorded, Recorder};
use crate::EventSet;

/// Asserts which events were recorded, and in which order.
///
/// Takes a [`Recorder`](crate::testing::Recorder), or what was recorded as a `Vec` or slice of
/// [`Recorded`](crate::testing::Recorded), and a list with an entry for each event:
///
/// | entry | matches |
/// |---|---|
/// | `LlmStart` | an event of this name |
/// | `LlmNewToken { token: "Why", choice: 0 }` | .. whose fields match these patterns; the others do not matter, and `..` may say so |
/// | `LlmEnd { response } if response.text() == "Why"` | .. of which this holds |
/// | `ChainEnd \| ChainError` | one of these |
/// | `"planner" => ChainStart` | an event of the run of this name |
///
/// The names and fields are those of [`events`](crate::events), whatever is imported. For another
/// set, say which: `assert_events!(recorder, in path::to::shop, [Sold { item: "tea" }])`, of a
/// `Recorder::of::<shop::Events>()`. After the list, a message may follow, as with `assert!`.
///
/// ```
/// use callbacks::testing::{Recorder, assert_events};
/// use callbacks::{Callbacks, LlmResult, Serialized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static AGENT: Serialized = Serialized::new("Agent");
/// static MODEL: Serialized = Serialized::new("MyModel");
/// let recorder = Recorder::new();
/// let callbacks = Callbacks::new().with(recorder.clone());
///
/// let agent = callbacks.chain_start(&AGENT, serde_json::Value::Null).name("planner").await?;
/// let model = agent.callbacks().llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// model.new_token("Be").await?;
/// model.new_token("cause").await?;
/// model.end(|| LlmResult::from_text("Because")).await?;
/// agent.end(serde_json::Value::Null).await?;
///
/// assert_events!(
///     recorder,
///     [
///         "planner" => ChainStart,
///         LlmStart { prompts: [prompt] } if prompt == "Why?",
///         LlmNewToken { token: "Be" },
///         LlmNewToken { token: "cause" },
///         LlmEnd { response } if response.text() == "Because",
///         "planner" => ChainEnd,
///     ]
/// );
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// If the events are others. What it prints is a difference: expected events that did not come are
/// behind a `-`, events that were not expected behind a `+`, and all others are in between, with
/// their runs and their numbers there.
///
/// ```text
/// the events are not the expected ones (-: did not come, +: not expected)
///       "planner" => ChainStart                                // planner #1
///     - LlmStart { prompts: [prompt] } if prompt == "How?"
///     + LlmStart { serialized: Some(Serialized { name: "MyModel", kwargs: {}, extra: {} }), prompts: ["Why?"], params: None } // MyModel #2
///       LlmNewToken { token: "Be" }                            // MyModel #3
///     + LlmNewToken { token: "cause", chunk: None, choice: 0 } // MyModel #4
///       LlmEnd                                                 // MyModel #5
///       "planner" => ChainEnd                                  // planner #6
/// ```
///
/// Guards may be asked more often than once for each event.
#[macro_export]
#[doc(hidden)]
macro_rules! __assert_events {
    ($recorded:expr, [$($events:tt)*] $(, $($message:tt)*)?) => {
        $crate::testing::__private::__check_events! {
            ($recorded) [$crate::events] [$($events)*] ($($($message)*)?)
        }
    };
    ($recorded:expr, in $($set:ident)::+, [$($events:tt)*] $(, $($message:tt)*)?) => {
        $crate::testing::__private::__check_events! {
            ($recorded) [$($set)::+] [$($events)*] ($($($message)*)?)
        }
    };
    ($recorded:expr, in ::$($set:ident)::+, [$($events:tt)*] $(, $($message:tt)*)?) => {
        $crate::testing::__private::__check_events! {
            ($recorded) [::$($set)::+] [$($events)*] ($($($message)*)?)
        }
    };
}

/// The call of `check`, whatever the set.
#[macro_export]
#[doc(hidden)]
macro_rules! __check_events {
    ($recorded:tt $set:tt $events:tt ()) => {
        $crate::testing::__private::__check_events! { $recorded $set $events ("") }
    };
    (($recorded:expr) $set:tt [$(
        $($run:literal =>)?
        $($event:ident $({ $($fields:tt)* })?)|+
        $(if $guard:expr)?
    ),* $(,)?] ($($message:tt)+)) => {
        $crate::testing::__private::check(
            &[$($crate::testing::__private::__expected_event! {
                $set
                [$($run)?]
                [$($event { $($($fields)*)? })+]
                [$($guard)?]
                [$(::core::stringify!($event $({ $($fields)* })?)),+]
                [$(::core::stringify!($guard))?]
            }),*],
            &$recorded,
            ::core::format_args!($($message)+),
        )
    };
}

/// An entry of the list, with its alternatives and all they need. Fields are matched one by one, not
/// by the pattern of a struct: the error of a misspelt name is one, and on the user's token.
#[macro_export]
#[doc(hidden)]
macro_rules! __expected_event {
    (
        @expected [$($set:tt)+]
        $run:expr, $events:expr, $guard:expr, $any:ident, $matches:expr
    ) => {
        $crate::testing::__private::Expected::<$($set)+::Events>::new(
            $run,
            $events,
            $guard,
            &|$any: <$($set)+::Events as $crate::EventSet>::Ref<'_>| $matches,
        )
    };
    (
        @matches $any:ident $set:tt $event:ident
        { $($field:ident $(: $pattern:pat)?,)* .. }
        $guard:tt
    ) => {
        $crate::testing::__private::__expected_event!(
            @matches $any $set $event { $($field $(: $pattern)?,)* } $guard
        )
    };
    (
        @matches $any:ident [$($set:tt)+] $event:ident
        { $($field:ident $(: $pattern:pat)?),* $(,)? }
        [$($guard:expr)?]
    ) => {
        match $any {
            $($set)+::AnyEvent::$event(_event) => match ($(_event.$field,)*) {
                ($($crate::testing::__private::__expected_field!($field $(: $pattern)?),)*)
                    $(if $guard)? => true,
                #[allow(unreachable_patterns)]
                _ => false,
            },
            #[allow(unreachable_patterns)]
            _ => false,
        }
    };
    ($set:tt $run:tt [$($event:ident $fields:tt)+] $guard:tt $names:tt $guarded:tt) => {
        $crate::testing::__private::__expected_event!(
            @expected $set &$run, &$names, &$guarded, event,
            false $(|| $crate::testing::__private::__expected_event!(
                @matches event $set $event $fields $guard
            ))+
        )
    };
}

/// What a field is matched with.
#[macro_export]
#[doc(hidden)]
macro_rules! __expected_field {
    ($field:ident) => {
        $field
    };
    ($field:ident: $pattern:pat) => {
        $pattern
    };
}

/// What holds recorded events of `S`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no record of these events",
    label = "no record of these events",
    note = "`assert_events!` takes a `Recorder`, or a `Vec` or slice of `Recorded`",
    note = "for the events of another set: `assert_events!(recorder, in path::to::set, [..])`"
)]
pub trait Recording<S: EventSet> {
    /// The events.
    fn recorded(&self) -> Vec<Recorded<S>>;
}

impl<S: EventSet> Recording<S> for Recorder<S> {
    fn recorded(&self) -> Vec<Recorded<S>> {
        self.events()
    }
}

impl<S: EventSet> Recording<S> for [Recorded<S>] {
    fn recorded(&self) -> Vec<Recorded<S>> {
        self.to_vec()
    }
}

impl<S: EventSet, const N: usize> Recording<S> for [Recorded<S>; N] {
    fn recorded(&self) -> Vec<Recorded<S>> {
        self.to_vec()
    }
}

impl<S: EventSet> Recording<S> for Vec<Recorded<S>> {
    fn recorded(&self) -> Vec<Recorded<S>> {
        self.clone()
    }
}

impl<S: EventSet, R: Recording<S> + ?Sized> Recording<S> for &R {
    fn recorded(&self) -> Vec<Recorded<S>> {
        (**self).recorded()
    }
}
