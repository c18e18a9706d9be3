//! How the events that came and those that were expected differ, as `assert_events!` says it.

use std::sync::mpsc;
use std::thread;

use callbacks::Callbacks;
use callbacks::testing::{Recorder, assert_events};
use expect_test::expect;

use super::{ask, check_panic, panic_of, shop};

#[tokio::test]
async fn a_difference_is_readable() {
    let recorder = Recorder::new();
    ask(&Callbacks::new().with(recorder.clone())).await.unwrap();
    check_panic(
        || {
            assert_events!(
                recorder,
                [
                    "planner" => ChainStart,
                    LlmStart { prompts: [prompt] } if prompt == "How?",
                    LlmNewToken { token: "Be" },
                    LlmEnd,
                    "planner" => ChainEnd,
                ]
            );
        },
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                  "planner" => ChainStart                                // planner #1
                - LlmStart { prompts: [prompt] } if prompt == "How?"
                + LlmStart { serialized: Some(Serialized { name: "Model", kwargs: {}, extra: {} }), prompts: ["Why?"], params: None } // Model #2
                  LlmNewToken { token: "Be" }                            // Model #3
                + LlmNewToken { token: "cause", chunk: None, choice: 0 } // Model #4
                  LlmEnd                                                 // Model #5
                  "planner" => ChainEnd                                  // planner #6"#]],
    );
    // too few, too many, none at all, of another run, in another order
    let none = Recorder::new();
    check_panic(
        || assert_events!(recorder.events()[..2], [ChainStart, LlmStart, LlmEnd]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                  ChainStart // planner #1
                  LlmStart   // Model #2
                - LlmEnd"#]],
    );
    check_panic(
        || assert_events!(recorder.events()[..2], []),
        &expect![[r#"
        the events are not the expected ones (-: did not come, +: not expected)
            + ChainStart { serialized: Some(Serialized { name: "Chain", kwargs: {}, extra: {} }), inputs: String("Why?") } // planner #1
            + LlmStart { serialized: Some(Serialized { name: "Model", kwargs: {}, extra: {} }), prompts: ["Why?"], params: None } // Model #2"#]],
    );
    check_panic(
        || assert_events!(none, [LlmEnd { .. } | LlmError { response: None }]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - LlmEnd { .. } | LlmError { response: None }"#]],
    );
    check_panic(
        || assert_events!(recorder.events()[..1], ["chain" => ChainStart]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - "chain" => ChainStart
                + ChainStart { serialized: Some(Serialized { name: "Chain", kwargs: {}, extra: {} }), inputs: String("Why?") } // planner #1"#]],
    );
    check_panic(
        || assert_events!(recorder.events()[4..], [ChainEnd, LlmEnd]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - ChainEnd
                  LlmEnd                     // Model #5
                + ChainEnd { outputs: Null } // planner #6"#]],
    );
    let attempt = 3;
    check_panic(
        || assert_events!(recorder.events()[5..], [LlmEnd], "attempt {attempt}"),
        &expect![[r#"
            attempt 3: the events are not the expected ones (-: did not come, +: not expected)
                - LlmEnd
                + ChainEnd { outputs: Null } // planner #6"#]],
    );
}

#[tokio::test]
async fn a_difference_is_as_small_as_it_can_be() {
    let recorder = Recorder::of::<shop::Events>();
    let callbacks = Callbacks::new().with(recorder.clone());
    for item in ["a", "b", "c", "a", "b", "b", "a"] {
        callbacks.emit(shop::Sold { item, count: 1 }).await.unwrap();
    }
    callbacks.emit(shop::Closed).await.unwrap();
    check_panic(
        || {
            assert_events!(
                recorder,
                in shop,
                [
                    Sold { item: "c" },
                    Sold { item: "b" },
                    Sold { item: "a" },
                    Sold { item: "b" },
                    Sold { item: "a" },
                    Sold { item: "c" },
                    Closed
                ]
            );
        },
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - Sold { item: "c" }
                + Sold { item: "a", count: 1 } // outside any run #1
                  Sold { item: "b" }           // outside any run #2
                + Sold { item: "c", count: 1 } // outside any run #3
                  Sold { item: "a" }           // outside any run #4
                  Sold { item: "b" }           // outside any run #5
                + Sold { item: "b", count: 1 } // outside any run #6
                  Sold { item: "a" }           // outside any run #7
                - Sold { item: "c" }
                  Closed                       // outside any run #8"#]],
    );
}

#[tokio::test]
async fn a_difference_is_no_longer_than_one_can_read() {
    let recorder = Recorder::of::<shop::Events>();
    let callbacks = Callbacks::new().with(recorder.clone());
    let item = "näh ".repeat(100);
    for count in 0..2 {
        let item = &item[count as usize..];
        callbacks.emit(shop::Sold { item, count }).await.unwrap();
    }
    callbacks.emit(shop::Closed).await.unwrap();
    for count in 0..30 {
        let item = "tea";
        callbacks.emit(shop::Sold { item, count }).await.unwrap();
    }
    callbacks.emit(shop::Closed).await.unwrap();
    check_panic(
        || assert_events!(recorder, in shop, [Closed, Closed]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                + Sold { item: "näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh nä .. // outside any run #1
                + Sold { item: "äh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh .. // outside any run #2
                  Closed                          // outside any run #3
                + Sold { item: "tea", count: 0 }  // outside any run #4
                + Sold { item: "tea", count: 1 }  // outside any run #5
                + Sold { item: "tea", count: 2 }  // outside any run #6
                + Sold { item: "tea", count: 3 }  // outside any run #7
                + Sold { item: "tea", count: 4 }  // outside any run #8
                + Sold { item: "tea", count: 5 }  // outside any run #9
                + Sold { item: "tea", count: 6 }  // outside any run #10
                + Sold { item: "tea", count: 7 }  // outside any run #11
                + Sold { item: "tea", count: 8 }  // outside any run #12
                + Sold { item: "tea", count: 9 }  // outside any run #13
                + Sold { item: "tea", count: 10 } // outside any run #14
                + Sold { item: "tea", count: 11 } // outside any run #15
                + Sold { item: "tea", count: 12 } // outside any run #16
                + Sold { item: "tea", count: 13 } // outside any run #17
                + Sold { item: "tea", count: 14 } // outside any run #18
                + Sold { item: "tea", count: 15 } // outside any run #19
                + Sold { item: "tea", count: 16 } // outside any run #20
                + Sold { item: "tea", count: 17 } // outside any run #21
                + Sold { item: "tea", count: 18 } // outside any run #22
                + Sold { item: "tea", count: 19 } // outside any run #23
                + .. and 10 more
                  Closed                          // outside any run #34"#]],
    );
}

/// It points at the assertion, not into the kit.
#[test]
fn it_fails_where_it_stands() {
    let here = thread::current().id();
    let (told, heard) = mpsc::channel();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == here {
            let place = info
                .location()
                .map(|place| (place.file().to_owned(), place.line()));
            told.send(place).unwrap();
        }
        before(info);
    }));
    let recorder = Recorder::new();
    let line = line!() + 1;
    panic_of(|| assert_events!(recorder, [LlmStart]));
    assert_eq!(heard.try_recv(), Ok(Some((file!().to_owned(), line))));
}
