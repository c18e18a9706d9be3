//! Decisions are replies among others: events of another crate have theirs.

use callbacks::events::owned;
use callbacks::testing::Faulty;
use callbacks::{
    Callbacks, Decision, ErrorKind, Reply, Run, RunId, ToolDecision, callback_handler,
};
use callbacks_tests::{CHAIN, Log};
use serde_json::Value;
use shop::trade::Refund;
use shop::{Verdict, refund};

pub(super) struct Clerk(pub(super) Log);

#[callback_handler(events = shop::trade)]
impl Clerk {
    async fn on_refund(&self, item: &str, cents: u64, run: &Run<'_>) -> Verdict {
        self.0
            .add(format_args!("{} {item} {cents}", run.id().is_nil()));
        match cents {
            0..100 => Verdict::Yes,
            100..1000 => Verdict::Less(99),
            _ => Verdict::No("ask the boss".to_owned()),
        }
    }
}

/// The events, their reply and who asks are in a crate that this one only uses.
#[tokio::test]
async fn events_of_another_crate_are_asked() {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Clerk(log.clone()));
    assert_eq!(
        refund(&callbacks, "tea", 1).await.unwrap(),
        (Verdict::Yes, 1)
    );
    assert_eq!(
        refund(&callbacks, "tea", 500).await.unwrap(),
        (Verdict::Yes, 99)
    );
    let no = Verdict::No("ask the boss".to_owned());
    assert_eq!(refund(&callbacks, "tea", 5000).await.unwrap(), (no, 5000));
    assert_eq!(log.take(), ["true tea 1", "true tea 500", "true tea 5000"]);
    // In a run, and by one that nobody hears.
    let item = "cup";
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    assert_eq!(
        chain.ask(Refund { item, cents: 7 }).await.unwrap(),
        Verdict::Yes
    );
    assert_eq!(log.take(), ["false cup 7"]);
    let unheard = Callbacks::new();
    let chain = unheard.chain_start(&CHAIN, Value::Null).await.unwrap();
    let verdict = chain.ask(Refund { item, cents: 5000 }).await.unwrap();
    assert_eq!(verdict, Verdict::go_on());
    let (verdict, event) = chain
        .ask_to_rewrite(Refund { item, cents: 5000 })
        .await
        .unwrap();
    assert_eq!((verdict, event.cents), (Verdict::Yes, 5000));
}

/// Two who rewrite, and one who fails closed.
#[tokio::test]
async fn rewrites_of_any_reply_compose() {
    let log = Log::new();
    let (one, two) = (Clerk(log.clone()), Clerk(log.clone()));
    let callbacks = Callbacks::new().with(one).with(two);
    assert_eq!(
        refund(&callbacks, "tea", 500).await.unwrap(),
        (Verdict::Yes, 99)
    );
    assert_eq!(log.take(), ["true tea 500", "true tea 99"]);
    let fails = Faulty::panic("a bug").of::<shop::trade::Events>();
    let callbacks = callbacks.with(fails.on::<Refund<'_>>());
    let (verdict, cents) = refund(&callbacks, "tea", 500).await.unwrap();
    assert!(matches!(verdict, Verdict::No(_)), "{verdict:?}");
    assert_eq!(cents, 99);
}

#[test]
fn decisions_are_replies() {
    type Tool = owned::ToolRequest;
    let go_on = <ToolDecision as Reply<Tool>>::go_on();
    assert_eq!(go_on, Decision::default());
    let stop = <ToolDecision as Reply<Tool>>::stop("no");
    assert_eq!(stop, Decision::Stop("no".to_owned()));
    assert_eq!(ErrorKind::Stopped.as_str(), "stopped");
    assert!(RunId::NIL.is_nil());
}
