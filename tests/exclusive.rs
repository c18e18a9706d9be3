//! Exclusive handlers: methods with `&mut self` are never called two at once, wherever the events
//! come from, and the state comes back.

use std::sync::mpsc;
use std::thread;

use callbacks::events::Events;
use callbacks::{
    Callbacks, Exclusive, LlmResult, Queue, callback_events, callback_handler, handler,
};
use callbacks_tests::{LONG, Log, start};
use futures_util::FutureExt;

/// Counts without any synchronisation of its own, so that a count is lost if calls overlap.
#[derive(Default)]
struct Counter {
    starts: u32,
    tokens: u32,
    ends: u32,
    inside: bool,
}

impl Counter {
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        assert!(!std::mem::replace(&mut self.inside, true));
        thread::yield_now();
        change(self);
        self.inside = false;
    }
}

#[callback_handler]
impl Counter {
    fn on_llm_start(&mut self) {
        self.change(|counter| counter.starts += 1);
    }

    fn on_llm_new_token(&mut self) {
        self.change(|counter| counter.tokens += 1);
    }

    fn on_llm_end(&mut self) {
        self.change(|counter| counter.ends += 1);
    }
}

async fn from_everywhere(callbacks: Callbacks) {
    let tasks = (0..8).map(|_| {
        let callbacks = callbacks.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                let run = start(&callbacks).await;
                for _ in 0..5 {
                    run.new_token("token").await.unwrap();
                }
                run.end(LlmResult::default()).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_never_overlap() {
    let lane = Exclusive::new(Counter::default());
    let inline = Exclusive::new(Counter::default());
    let background = Exclusive::new(Counter::default());
    let queue = Queue::bounded(4);
    let callbacks = Callbacks::new()
        .with(lane.clone())
        .with(handler(inline.clone()).inline())
        .with(handler(background.clone()).background(queue));
    from_everywhere(callbacks.clone()).await;
    assert!(callbacks.flush(LONG).await.is_complete());
    for counter in [lane, inline, background] {
        let counts = counter.with(|counter| (counter.starts, counter.tokens, counter.ends));
        assert_eq!(counts, (160, 800, 160));
    }
}

/// Two registrations, inline and on its lane, in values that were made apart: one handler still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_never_overlap_however_it_is_registered() {
    let counter = Exclusive::new(Counter::default());
    let inline = Callbacks::new().with(handler(counter.clone()).inline());
    let lane = Callbacks::new().with(counter.clone());
    tokio::join!(from_everywhere(inline), from_everywhere(lane));
    assert_eq!(counter.with(|counter| counter.tokens), 1600);
}

#[tokio::test]
async fn it_wraps_by_itself() {
    struct Last(Log);

    #[callback_handler]
    impl Last {
        fn on_llm_new_token(&mut self, token: &str) {
            self.0.add(token);
        }
    }

    let log = Log::new();
    let run = start(&Callbacks::new().with(Last(log.clone()))).await;
    run.new_token("token").await.unwrap();
    assert_eq!(log.lines(), ["token"]);
}

/// It has one lane for everything, so what is emitted first is first, whatever the run tree.
#[tokio::test]
async fn it_is_the_one_handler_by_which_run_trees_wait_for_each_other() {
    struct Gated {
        gate: mpsc::Receiver<()>,
        tokens: Vec<String>,
    }

    #[callback_handler]
    impl Gated {
        fn on_llm_new_token(&mut self, token: &str) {
            self.gate.recv().unwrap();
            self.tokens.push(token.to_owned());
        }
    }

    let (open, gate) = mpsc::channel();
    let tokens = Vec::new();
    let gated = Exclusive::new(Gated { gate, tokens });
    let callbacks = Callbacks::new().with(gated.clone());
    let (one, other) = (start(&callbacks).await, start(&callbacks).await);
    let mut first = Box::pin(one.new_token("one"));
    let mut second = Box::pin(other.new_token("other"));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    open.send(()).unwrap();
    first.await.unwrap();
    open.send(()).unwrap();
    second.await.unwrap();
    assert_eq!(gated.with(|gated| gated.tokens.clone()), ["one", "other"]);
}

#[callback_events]
mod store {
    pub(crate) struct Sold {
        pub(crate) count: u32,
    }
}

#[derive(Default)]
struct Both {
    tokens: u32,
    sold: u32,
}

#[callback_handler]
impl Both {
    fn on_llm_new_token(&mut self) {
        self.tokens += 1;
    }
}

#[callback_handler(events = store)]
impl Both {
    fn on_sold(&mut self, count: u32) {
        self.sold += count;
    }
}

#[tokio::test]
async fn several_sets_share_the_state() {
    let both = Exclusive::<Both>::default();
    let callbacks = Callbacks::new()
        .with::<Events, _>(both.clone())
        .with::<store::Events, _>(both.clone());
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap();
    run.emit(store::Sold { count: 2 }).await.unwrap();
    assert_eq!(both.with(|both| (both.tokens, both.sold)), (1, 2));
}

#[tokio::test]
async fn a_panic_poisons_nothing() {
    #[derive(Default)]
    struct Panics(u32);

    #[callback_handler]
    impl Panics {
        fn on_llm_new_token(&mut self, token: &str) {
            self.0 += 1;
            assert_eq!(token, "good");
        }
    }

    let panics = Exclusive::<Panics>::default();
    let callbacks = Callbacks::new().with(handler(panics.clone()).raise_errors());
    let run = start(&callbacks).await;
    run.new_token("bad").await.unwrap_err();
    run.new_token("good").await.unwrap();
    assert_eq!(panics.with(|panics| panics.0), 2);
}

/// To look at a handler from inside of it would wait for ever.
#[tokio::test]
async fn it_is_not_looked_at_from_inside() {
    #[derive(Default)]
    struct Looks(Option<Exclusive<Looks>>);

    #[callback_handler]
    impl Looks {
        fn on_llm_new_token(&mut self) {
            self.0.as_ref().unwrap().with(|_| ());
        }
    }

    let looks = Exclusive::<Looks>::default();
    looks.with(|inner| inner.0 = Some(looks.clone()));
    let callbacks = Callbacks::new().with(handler(looks.clone()).raise_errors());
    let run = start(&callbacks).await;
    let error = run.new_token("token").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("is in use"), "{source}");
    assert!(looks.with(|inner| inner.0.take()).is_some());
}

#[test]
fn it_can_be_shown() {
    let shown = Exclusive::new(7);
    assert_eq!(format!("{shown:?}"), "Exclusive(7)");
    let shown = shown.with(|_| format!("{shown:?}"));
    assert_eq!(shown, "Exclusive(in use)");
}
