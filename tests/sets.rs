//! Event sets and handlers across crates: a set of one's own, in another crate, under another name,
//! by hand.
#![allow(
    unreachable_pub,
    reason = "the events of a private set are as public as their module"
)]

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use callbacks::{
    BoxError, Callbacks, DecisionEvent, Event, EventSet, Interests, LlmResult, Run,
    callback_events, callback_handler,
};
use callbacks_tests::{Log, MODEL};
use shop::trade::{self, HTTPFailed, Printed, Refund, Sold, Tick};

/// Listens to two sets, one of them from another crate.
#[derive(Default)]
struct Clerk(Log);

#[callback_handler(events = shop::deep::sales)]
impl Clerk {
    fn on_sold(&self, orders: &[shop::Order], order: Option<&shop::Order>, item: &str, count: u32) {
        self.0
            .add(format_args!("{count} {item} {order:?} of {}", orders.len()));
    }

    async fn on_printed(&self, path: &Path) {
        self.0.add(path.display());
    }

    fn on_http_failed(&self, status: u16, run: &Run<'_>) {
        self.0.add(format_args!("{status} {}", run.id().is_nil()));
    }

    async fn on_tick(&self, event: &Tick) {
        self.0.add(format_args!("{event:?}"));
    }
}

#[callback_handler]
impl Clerk {
    async fn on_llm_end(&self, response: &LlmResult) {
        self.0.add(response.text());
    }
}

#[tokio::test]
async fn a_type_listens_to_a_foreign_set_and_the_built_in_one() {
    let clerk = Arc::new(Clerk::default());
    let callbacks = Callbacks::new()
        .with::<trade::Events, _>(clerk.clone())
        .with::<callbacks::events::Events, _>(clerk.clone());

    shop::sell_tea(&callbacks).await.unwrap();
    let path = Path::new("receipt");
    callbacks.emit(Printed { path }).await.unwrap();
    callbacks.emit(HTTPFailed { status: 503 }).await.unwrap();
    let run = callbacks.llm_start(&MODEL, Vec::new).await.unwrap();
    run.emit(HTTPFailed { status: 504 }).await.unwrap();
    run.end(&LlmResult::from_text("done")).await.unwrap();

    let order = "Some(Order { id: 1 })";
    let sold = format!("2 tea {order} of 2");
    assert_eq!(
        clerk.0.lines(),
        [&sold, "Tick", "receipt", "503 true", "504 false", "done"]
    );
}

#[test]
fn owned_twins_keep_every_field() {
    let orders = [shop::Order { id: 7 }];
    let sold = Sold {
        item: "tea",
        count: 2,
        order: None,
        orders: &orders,
    };
    let owned = trade::Events::own(&sold.view());
    let trade::owned::AnyEvent::Sold(twin) = &owned else {
        panic!("{owned:?}");
    };
    assert_eq!((&*twin.item, twin.count, &twin.order), ("tea", 2, &None));
    assert_eq!(twin.orders, orders);
    let again = trade::Events::view(&owned);
    assert_eq!(format!("{again:?}"), format!("{:?}", sold.view()));
    assert_eq!(trade::Events::index(&again), Sold::INDEX);
}

#[test]
fn events_say_what_they_are() {
    assert_eq!(Sold::NAME, "Sold");
    assert_eq!(HTTPFailed::INDEX, 2);
    let methods = [
        "on_sold",
        "on_printed",
        "on_http_failed",
        "on_tick",
        "on_refund",
    ];
    assert_eq!(trade::Events::METHODS, methods);
    let decisions = Interests::of(&[Refund::INDEX]);
    assert_eq!(trade::Events::DECISIONS, decisions);
    assert_eq!(callbacks::events::Events::DECISIONS, {
        use callbacks::events::{LlmRequest, ToolRequest};
        Interests::of(&[ToolRequest::INDEX, LlmRequest::INDEX])
    });
}

#[test]
fn an_event_is_found_in_any_event() {
    let failed = HTTPFailed { status: 503 };
    let any = failed.view();
    assert_eq!(HTTPFailed::of(&any).map(|event| event.status), Some(503));
    assert!(Tick::of(&any).is_none());
    let (item, cents) = ("tea", 7);
    let twin = Refund { item, cents }.to_twin();
    let mut any = trade::owned::AnyEvent::Refund(twin);
    Refund::twin(&mut any).unwrap().cents = 8;
    assert_eq!(Refund::into_twin(any).unwrap().cents, 8);
    // Without braces, as the event.
    let mut any = trade::owned::AnyEvent::Tick(trade::owned::Tick);
    assert!(Refund::twin(&mut any).is_none());
    assert!(Refund::into_twin(any).is_none());
    let reply = Refund::any_reply(shop::Verdict::Less(1)).unwrap();
    assert_eq!(format!("{reply:?}"), "Refund");
    assert_eq!(Refund::reply(reply), Some(shop::Verdict::Less(1)));
    assert!(Tick::any_reply(()).is_none());
}

#[test]
fn interests_are_those_methods_that_are_there() {
    use trade::{AsyncCallbackHandler, CallbackHandler};

    let clerk = Clerk::default();
    let plain = Interests::of(&[Sold::INDEX, HTTPFailed::INDEX]);
    assert_eq!(CallbackHandler::interests(&clerk), plain);
    let futures = Interests::of(&[Printed::INDEX, Tick::INDEX]);
    assert_eq!(AsyncCallbackHandler::interests(&clerk), futures);

    let callbacks = Callbacks::new().with::<trade::Events, _>(shop::deep::Clock);
    assert!(callbacks.wants::<Tick>());
    assert!(!callbacks.wants::<Sold<'_>>());
    assert!(!callbacks.wants::<callbacks::events::LlmEnd<'_>>());
}

/// Implements the traits of a set by hand, as its docs say.
struct ByHand(Log);

impl trade::CallbackHandler for ByHand {
    fn interests(&self) -> Interests {
        Interests::of(&[Sold::INDEX])
    }

    fn on_sold(&self, event: &Sold<'_>, run: &Run<'_>) -> Result<(), BoxError> {
        self.0.add(format_args!("{} {:?}", event.item, run.tags()));
        Ok(())
    }

    fn on_tick(&self, _: &Tick, _: &Run<'_>) -> Result<(), BoxError> {
        self.0.add("it said that it is not interested");
        Ok(())
    }
}

#[async_trait]
impl trade::AsyncCallbackHandler for ByHand {
    async fn on_printed(&self, event: &Printed<'_>, run: &Run<'_>) -> Result<(), BoxError> {
        tokio::task::yield_now().await;
        self.0.add(format_args!(
            "{} {:?}",
            event.path.display(),
            run.metadata()
        ));
        Ok(())
    }

    async fn on_tick(&self, event: &Tick, _run: &Run<'_>) -> Result<(), BoxError> {
        tokio::task::yield_now().await;
        self.0.add(format_args!("{event:?}"));
        Ok(())
    }
}

#[tokio::test]
async fn traits_written_by_hand_are_called() {
    let log = Log::new();
    let callbacks = Callbacks::new()
        .tag("prod")
        .metadata("user", 42)
        .with(trade::ByHand(ByHand(log.clone())));
    shop::sell_tea(&callbacks).await.unwrap();
    let path = Path::new("receipt");
    callbacks.emit(Printed { path }).await.unwrap();
    let expected = [r#"tea ["prod"]"#, "Tick", r#"receipt {"user": Number(42)}"#];
    assert_eq!(log.lines(), expected);
}

/// Two sets of one name, with the same events.
mod first {
    #[callbacks::callback_events]
    pub mod clock {
        pub struct Tick;
    }
}
mod second {
    #[callbacks::callback_events]
    pub mod clock {
        pub struct Tick;
    }
}

struct First(Log);

#[callback_handler(events = first::clock)]
impl First {
    async fn on_tick(&self) {
        self.0.add("first");
    }
}

struct Second(Log);

#[callback_handler(events = crate::second::clock)]
impl Second {
    async fn on_tick(&self) {
        self.0.add("second");
    }
}

/// Used before it is defined, visible to this file only.
struct Early(Log);

#[callback_handler(events = late)]
impl Early {
    async fn on_rain(&self, litres: f64) {
        self.0.add(litres);
    }
}

#[callback_events]
mod late {
    pub struct Rain {
        pub litres: f64,
    }
}

#[tokio::test]
async fn private_sets_and_sets_of_one_name_are_apart() {
    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(First(log.clone()))
        .with(Second(log.clone()))
        .with(Early(log.clone()));
    callbacks.emit(second::clock::Tick).await.unwrap();
    callbacks.emit(first::clock::Tick).await.unwrap();
    callbacks.emit(late::Rain { litres: 2.5 }).await.unwrap();
    assert_eq!(log.lines(), ["second", "first", "2.5"]);
}
