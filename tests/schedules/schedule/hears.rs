//! The handlers: they write down that they are called, and then do what they are in the mood for.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::thread;

use callbacks::{Answer, BoxError, BoxFuture, Deliver, DeliverMut, Interests, Outcome, Run};
use callbacks_tests::yields;
use fastrand::Rng;
use futures_util::FutureExt;

use super::heard::{Described, Heard};
use super::history::{Call, Entry, Known, Left, What};
use super::plan::{HandlerPlan, Mood, Verdict};
use super::world::{World, locked};

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
pub(crate) struct HearsAlone<const ANSWERS: bool>(pub(crate) Hears);

impl Hears {
    fn plan(&self) -> &HandlerPlan {
        &self.world.plan.handlers[self.number]
    }

    fn enter(&self, run: &Run<'_>, described: Described) -> Entered<'_> {
        let number = self.world.next_call();
        let worker = thread::current();
        let is_asked = described.what == What::Question;
        locked(&self.world.runs_heard).push(run.info().clone());
        self.world.history.add(Entry::Entered(Call {
            number,
            handler: self.number,
            emission: described.emission,
            rewritten_by: described.rewritten_by,
            what: described.what,
            method: described.method,
            kind: described.kind,
            run: Known {
                id: run.id(),
                parent: run.parent_id(),
                root: run.root_id(),
                tags: run.tags().to_vec(),
            },
            is_over: run.is_over(),
            seq: run.seq(),
            thread: worker.id(),
            on_a_worker: worker.name() == Some("callbacks-lane"),
            // An async method is entered in its first poll.
            is_nested: INSIDE.get() > u32::from(self.plan().is_async()),
        }));
        Entered {
            world: &self.world,
            number,
            is_asked,
            draw: self.draw(number),
            how: None,
        }
    }

    /// The same for the same call of the same plan.
    fn draw(&self, call: u64) -> Rng {
        let of_this = call.wrapping_mul(31).wrapping_add(self.number as u64);
        Rng::with_seed(self.world.plan.seed ^ of_this.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn mood(&self, call: &mut Entered<'_>) -> Option<Mood> {
        let drawn = call.draw.u8(..100);
        let mut below = 0;
        let moods = self.plan().moods;
        let mood = moods.into_iter().find(|(_, often)| {
            below += often;
            drawn < below
        });
        mood.map(|(mood, _)| mood)
    }

    /// What it answers, if it is asked.
    fn call(&self, run: &Run<'_>, described: Described) -> Result<Option<Verdict>, BoxError> {
        let mut entered = self.enter(run, described);
        let _inside = Inside::enter();
        match self.mood(&mut entered) {
            Some(Mood::Slow) => lets_others(),
            Some(Mood::Fails) => return entered.fails(),
            Some(Mood::Panics) => panics(),
            Some(Mood::Emits) => {
                let emitted = self.world.emit_inside(entered.number).now_or_never();
                assert!(emitted.is_some(), "it waited inside a callback");
                lets_others();
            }
            Some(Mood::Stalls) | None => {}
        }
        Ok(entered.is_done())
    }

    async fn call_async(
        &self,
        run: &Run<'_>,
        described: Described,
    ) -> Result<Option<Verdict>, BoxError> {
        let called = async {
            let mut entered = self.enter(run, described);
            match self.mood(&mut entered) {
                Some(Mood::Slow) => yields(entered.draw.usize(1..8)).await,
                Some(Mood::Fails) => return entered.fails(),
                Some(Mood::Panics) => panics(),
                Some(Mood::Emits) => self.world.emit_inside(entered.number).await,
                Some(Mood::Stalls) => std::future::pending().await,
                None => {}
            }
            Ok(entered.is_done())
        };
        let mut called = pin!(called);
        poll_fn(|cx| {
            let _inside = Inside::enter();
            called.as_mut().poll(cx)
        })
        .await
    }
}

fn lets_others() {
    (0..20).for_each(|_| thread::yield_now());
}

/// Without a word on standard error.
fn panics() -> ! {
    resume_unwind(Box::new("planned"))
}

/// A call, from its entry on. When it is left, that is written down.
struct Entered<'w> {
    world: &'w World,
    number: u64,
    is_asked: bool,
    draw: Rng,
    how: Option<Left>,
}

impl Entered<'_> {
    fn fails<T>(&mut self) -> Result<T, BoxError> {
        self.how = Some(Left::Failed);
        Err("planned".into())
    }

    fn is_done(&mut self) -> Option<Verdict> {
        let verdict = self.is_asked.then(|| match self.draw.u8(..100) {
            0..50 => Verdict::GoesOn,
            50..80 => Verdict::Rewrites,
            80..90 => Verdict::Answers,
            _ => Verdict::Stops,
        });
        self.how = Some(verdict.map_or(Left::Well, Left::Answered));
        verdict
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

const fn heard<S: Heard>(answers: bool) -> Interests {
    if answers {
        S::HEARD
    } else {
        S::HEARD.without(S::DECISIONS)
    }
}

impl<S: Heard> Deliver<S> for Hears {
    fn name(&self) -> &'static str {
        "Hears"
    }

    fn interests(&self) -> Interests {
        let plan = self.plan();
        if plan.is_async() {
            Interests::NONE
        } else {
            heard::<S>(plan.answers)
        }
    }

    fn async_interests(&self) -> Interests {
        let plan = self.plan();
        if plan.is_async() {
            heard::<S>(plan.answers)
        } else {
            Interests::NONE
        }
    }

    fn deliver(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome {
        Deliver::<S>::ask(self, run, event).map(drop)
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Outcome> {
        let asked = Deliver::<S>::ask_async(self, run, event);
        Box::pin(async move { asked.await.map(drop) })
    }

    fn ask(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Answer<S> {
        let verdict = self.call(run, S::described(event))?;
        Ok(verdict.and_then(|verdict| S::reply(event, verdict, self.number)))
    }

    fn ask_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Answer<S>> {
        Box::pin(async move {
            let verdict = self.call_async(run, S::described(event)).await?;
            Ok(verdict.and_then(|verdict| S::reply(event, verdict, self.number)))
        })
    }
}

impl<S: Heard, const ANSWERS: bool> DeliverMut<S> for HearsAlone<ANSWERS> {
    const INTERESTS: Interests = heard::<S>(ANSWERS);

    fn deliver_mut(&mut self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome {
        Deliver::<S>::deliver(&self.0, run, event)
    }

    fn ask_mut(&mut self, run: &Run<'_>, event: &S::Ref<'_>) -> Answer<S> {
        Deliver::<S>::ask(&self.0, run, event)
    }
}
