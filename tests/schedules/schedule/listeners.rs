//! How handlers are registered.

use std::sync::Arc;
use std::time::Duration;

use callbacks::events::{
    ChainEnd, ChainError, ChainStart, Events, LlmEnd, LlmError, LlmStart, RetrieverEnd,
    RetrieverError, RetrieverStart, ToolEnd, ToolError, ToolStart,
};
use callbacks::{Callbacks, Event, Exclusive, Handler, Interests, OnFull, Queue, handler};
use shop::deep::sales;

use super::hears::{Hears, HearsAlone};
use super::plan::{Wants, Way};
use super::world::{World, locked};

/// A handler that has a timeout has this one. Where it counts, the clock jumps.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) enum Listener {
    Shared(Arc<Hears>),
    Alone(Exclusive<HearsAlone<false>>),
    AskedAlone(Exclusive<HearsAlone<true>>),
}

impl World {
    pub(super) fn listener(self: &Arc<Self>, number: usize) -> Listener {
        let hears = Hears {
            world: self.clone(),
            number,
        };
        let plan = &self.plan.handlers[number];
        match plan.way {
            Way::Exclusive if plan.answers => {
                Listener::AskedAlone(Exclusive::new(HearsAlone(hears)))
            }
            Way::Exclusive => Listener::Alone(Exclusive::new(HearsAlone(hears))),
            _ => Listener::Shared(Arc::new(hears)),
        }
    }

    /// The value with this handler, too.
    pub(super) fn register(
        &self,
        callbacks: &Callbacks,
        number: usize,
        is_local: bool,
    ) -> Callbacks {
        let listener = locked(&self.registered)[number].clone();
        match listener {
            Listener::Shared(hears) => self.with(callbacks, &hears, number, is_local),
            Listener::AskedAlone(hears) => self.with(callbacks, &hears, number, is_local),
            Listener::Alone(hears) => self.with(callbacks, &hears, number, is_local),
        }
    }

    fn with<H>(&self, callbacks: &Callbacks, hears: &H, number: usize, is_local: bool) -> Callbacks
    where
        H: Handler<Events> + Handler<sales::Events> + Clone,
    {
        let plan = &self.plan.handlers[number];
        let mut listener = handler(hears.clone()).named(number.to_string());
        if plan.raises {
            listener = listener.raise_errors();
        }
        if plan.has_timeout {
            listener = listener.timeout(TIMEOUT);
        }
        listener = match plan.way {
            Way::Inline => listener.inline(),
            Way::Background { room, drops, .. } => {
                let on_full = if drops {
                    OnFull::DropNewest
                } else {
                    OnFull::Wait
                };
                listener.background(Queue::bounded(room).on_full(on_full))
            }
            Way::Lane | Way::Async | Way::Exclusive => listener,
        };
        let sales = plan.hears_sales.then(|| listener.clone());
        // But for questions: who can answer is asked.
        let unwanted = match plan.wants {
            Wants::All => Interests::NONE,
            Wants::NoTools => Interests::TOOL,
            Wants::NoModels => Interests::LLM,
            Wants::Frame => Interests::ALL.without(FRAME),
        };
        listener = listener.except(unwanted);
        let with = if is_local {
            callbacks.with_local::<Events, _>(listener)
        } else {
            callbacks.with::<Events, _>(listener)
        };
        match sales {
            Some(sales) if is_local => with.with_local::<sales::Events, _>(sales),
            Some(sales) => with.with::<sales::Events, _>(sales),
            None => with,
        }
    }
}

const FRAME: Interests = Interests::of(&[
    LlmStart::INDEX,
    LlmEnd::INDEX,
    LlmError::INDEX,
    ChainStart::INDEX,
    ChainEnd::INDEX,
    ChainError::INDEX,
    ToolStart::INDEX,
    ToolEnd::INDEX,
    ToolError::INDEX,
    RetrieverStart::INDEX,
    RetrieverEnd::INDEX,
    RetrieverError::INDEX,
]);
