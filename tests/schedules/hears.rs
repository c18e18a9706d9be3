//! The handlers: they write down that they are called, and then do what they are in the mood for.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::thread;

use callbacks::events::{AnyEvent, Events};
use callbacks::{BoxFuture, Deliver, DeliverMut, Handler, Interests, Outcome, Registered, Run};
use callbacks_tests::yields;
use fastrand::Rng;
use futures_util::FutureExt;

use crate::history::{Call, Emission, Entry, Left, What};
use crate::plan::{Mood, Way};
use crate::play::World;

thread_local! {
    /// How many calls this thread is in.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// The handler of this number, as a plain or async one.
#[derive(Debug)]
pub(crate) struct Hears {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
}

/// The same, for `Exclusive`.
pub(crate) struct HearsAlone(pub(crate) Hears);

impl Hears {
    fn is_async(&self) -> bool {
        let way = self.world.plan.handlers[self.number].way;
        matches!(way, Way::Async | Way::Background { is_async: true, .. })
    }

    fn enter(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Entered<'_> {
        let (what, method, emission) = described(event);
        let number = self.world.next_call();
        let worker = thread::current();
        self.world.history.add(Entry::Entered(Call {
            number,
            handler: self.number,
            emission,
            what,
            method,
            run: run.id(),
            parent: run.parent_id(),
            root: run.root_id(),
            seq: run.seq(),
            on_a_worker: worker.name() == Some("callbacks-lane"),
            // An async method is entered in its first poll.
            is_nested: INSIDE.get() > u32::from(self.is_async()),
        }));
        Entered {
            world: &self.world,
            number,
            how: None,
        }
    }

    /// The same for the same call of the same plan.
    fn mood(&self, call: &Entered<'_>) -> Option<Mood> {
        let plan = &self.world.plan;
        let of_this = call
            .number
            .wrapping_mul(31)
            .wrapping_add(self.number as u64);
        let mut draw = Rng::with_seed(plan.seed ^ of_this.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let drawn = draw.u8(..100);
        let mut below = 0;
        let moods = plan.handlers[self.number].moods;
        let mood = moods.into_iter().find(|(_, often)| {
            below += often;
            drawn < below
        });
        mood.map(|(mood, _)| mood)
    }

    fn call(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        let mut entered = self.enter(run, event);
        let _inside = Inside::enter();
        match self.mood(&entered) {
            Some(Mood::Slow) => (0..20).for_each(|_| thread::yield_now()),
            Some(Mood::Fails) => return entered.fails(),
            Some(Mood::Panics) => panics(),
            Some(Mood::Emits) => {
                let emitted = self.world.emit_inside(entered.number).now_or_never();
                assert!(emitted.is_some(), "it waited inside a callback");
            }
            Some(Mood::Stalls) | None => {}
        }
        entered.how = Some(Left::Well);
        Ok(())
    }

    async fn call_async(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        let mut entered = self.enter(run, event);
        match self.mood(&entered) {
            Some(Mood::Slow) => yields(3).await,
            Some(Mood::Fails) => return entered.fails(),
            Some(Mood::Panics) => panics(),
            Some(Mood::Emits) => self.world.emit_inside(entered.number).await,
            Some(Mood::Stalls) => std::future::pending().await,
            None => {}
        }
        entered.how = Some(Left::Well);
        Ok(())
    }
}

/// Without a word on standard error.
fn panics() -> ! {
    resume_unwind(Box::new("planned"))
}

/// A call, from its entry on. When it is left, that is written down.
struct Entered<'w> {
    world: &'w World,
    number: u64,
    how: Option<Left>,
}

impl Entered<'_> {
    fn fails(&mut self) -> Outcome {
        self.how = Some(Left::Failed);
        Err("planned".into())
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let lost = if thread::panicking() {
            Left::Failed
        } else {
            Left::Cut
        };
        self.world.history.add(Entry::Left {
            call: self.number,
            how: self.how.unwrap_or(lost),
        });
    }
}

/// Until it is dropped, this thread is in a call.
struct Inside;

impl Inside {
    fn enter() -> Self {
        INSIDE.set(INSIDE.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get() - 1);
    }
}

fn described(event: &AnyEvent<'_>) -> (What, &'static str, Option<Emission>) {
    use AnyEvent as E;
    use What::{Other, Start, Terminal};

    let (what, method, text) = match event {
        E::LlmStart(event) => (Start, "on_llm_start", event.prompts[0].clone()),
        E::ChainStart(event) => (Start, "on_chain_start", event.inputs.to_string()),
        E::ToolStart(event) => (Start, "on_tool_start", event.input.to_owned()),
        E::RetrieverStart(event) => (Start, "on_retriever_start", event.query.to_owned()),
        E::LlmEnd(event) => (Terminal, "on_llm_end", event.response.text().to_owned()),
        E::ChainEnd(event) => (Terminal, "on_chain_end", event.outputs.to_string()),
        E::ToolEnd(event) => (Terminal, "on_tool_end", event.output.to_string()),
        E::RetrieverEnd(event) => {
            let first = event.documents.first();
            let text = first.map_or(String::new(), |found| found.page_content.clone());
            (Terminal, "on_retriever_end", text)
        }
        E::LlmError(event) => (Terminal, "on_llm_error", event.error.message.clone()),
        E::ChainError(event) => (Terminal, "on_chain_error", event.error.message.clone()),
        E::ToolError(event) => (Terminal, "on_tool_error", event.error.message.clone()),
        E::RetrieverError(event) => (Terminal, "on_retriever_error", event.error.message.clone()),
        E::LlmNewToken(event) => (Other, "on_llm_new_token", event.token.to_owned()),
        E::Text(event) => (Other, "on_text", event.text.to_owned()),
        E::CustomEvent(event) => (Other, "on_custom_event", event.data.to_string()),
        other => panic!("nobody emits {other:?}"),
    };
    (what, method, text.parse().ok())
}

impl Handler<Events> for Hears {
    type Delivery = Self;

    fn register(self) -> Registered<Events, Self> {
        Registered::new(Arc::new(self))
    }
}

impl Deliver<Events> for Hears {
    fn name(&self) -> &'static str {
        "Hears"
    }

    fn interests(&self) -> Interests {
        if self.is_async() {
            Interests::NONE
        } else {
            EVENTS
        }
    }

    fn async_interests(&self) -> Interests {
        if self.is_async() {
            EVENTS
        } else {
            Interests::NONE
        }
    }

    fn deliver(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        self.call(run, event)
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a AnyEvent<'e>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let mut called = pin!(self.call_async(run, event));
            poll_fn(|cx| {
                let _inside = Inside::enter();
                called.as_mut().poll(cx)
            })
            .await
        })
    }
}

/// All but questions.
const EVENTS: Interests = Interests::ALL.without(<Events as callbacks::EventSet>::DECISIONS);

impl DeliverMut<Events> for HearsAlone {
    const INTERESTS: Interests = EVENTS;

    fn deliver_mut(&mut self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        self.0.call(run, event)
    }
}
