//! Whatever is imported, defined or missing where the assertion stands.
#![deny(warnings)]
#![no_implicit_prelude]

use ::callbacks::testing::{Recorded, Recorder, assert_events};

#[allow(dead_code)]
struct LlmEnd;
#[allow(dead_code)]
struct AnyEvent;
#[allow(dead_code)]
enum Option {
    None,
}
#[allow(dead_code)]
mod events {}
#[allow(dead_code)]
mod core {}
#[allow(unused_macros)]
macro_rules! stringify {
    () => {};
}

mod sets {
    #[::callbacks::callback_events]
    pub mod shop {
        pub struct Sold<'a> {
            pub item: &'a str,
        }
    }

    /// A set with one event, an event without fields.
    #[::callbacks::callback_events]
    pub mod clock {
        pub struct Tick;
    }
}

/// An assertion can be made by a macro.
macro_rules! assert_sold {
    ($recorder:expr, $item:literal) => {
        assert_events!($recorder, in $crate::sets::shop, [Sold { item: $item, .. }])
    };
}

fn all(
    recorder: &Recorder,
    shop: Recorder<sets::shop::Events>,
    clock: &[Recorded<sets::clock::Events>],
) {
    let event = "Because";
    assert_events!(recorder, []);
    assert_events!(recorder, [LlmStart, LlmNewToken { token, choice: 0 | 1 } if token == event],);
    assert_events!(
        &recorder,
        [
            "a" => LlmEnd { response: answer, .. } | LlmError { response: ::core::option::Option::Some(answer) }
                if answer.text() == event,
            ChainStart {} | Text { .. },
        ],
        "{event} {}",
        1,
    );
    assert_sold!(shop, "tea");
    assert_events!(shop, in sets::shop, [Sold { item: "tea" | "milk" }, Sold { item: _ }, Sold]);
    assert_events!(shop, in self::sets::shop, [Sold { item, } if item == event]);
    assert_events!(clock, in sets::clock, [Tick, Tick {}, Tick { .. }, "" => Tick]);
    assert_events!(recorder, in ::callbacks::events, [LlmStart], "again");
}

fn main() {
    let _ = all;
}
