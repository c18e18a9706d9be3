//! Asking the handlers of a decision event, one after another.
//!
//! Each is called like for any other event, as the one handler of a route: on its lane, within its
//! time, and whatever it does is caught. Only that its answer is kept, and that a failure is a stop.

use std::error::Error;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::call::quietly;
use super::callback::inside;
use super::delivering::{Prepared, deliver};
use super::dispatcher::{Entry, Route};
use super::emission::Place;
use super::lock;
use crate::handler::{Answer, Outcome};
use crate::{BoxFuture, DecisionEvent, Deliver, EmitError, EventSet, Interests, Reply, Run};

/// What came out of asking.
pub(crate) struct Asked<E: DecisionEvent> {
    /// The answer that settled it, if one did.
    settled: Option<E::Reply>,
    /// The event as the answers left it, if there were any.
    event: Option<<E::Set as EventSet>::Owned>,
}

impl<E: DecisionEvent> Asked<E> {
    /// Where nobody was asked.
    pub(crate) fn nobody() -> Self {
        Self {
            settled: None,
            event: None,
        }
    }

    /// The answer that settled it, and the event as the answers left it.
    pub(crate) fn apart(self) -> (Option<E::Reply>, Option<E::Owned>) {
        (self.settled, self.event.and_then(E::into_twin))
    }

    /// The answer, whoever gave it.
    pub(crate) fn reply(self) -> E::Reply {
        self.settled.unwrap_or_else(E::Reply::go_on)
    }

    /// The answer, and the event as it is now: of one that nobody looked at, a copy.
    pub(crate) fn reply_and_event(self, event: &E) -> (E::Reply, E::Owned) {
        let (settled, twin) = self.apart();
        let twin = twin.unwrap_or_else(|| event.to_twin());
        (settled.unwrap_or_else(E::Reply::go_on), twin)
    }
}

/// Asks all handlers of a decision event, in registration order, until one settles it.
pub(crate) async fn ask<E: DecisionEvent>(
    place: &Place<'_>,
    event: E,
) -> Result<Asked<E>, EmitError> {
    let mut asked = Asked::<E>::nobody();
    if inside() {
        let reason = "a decision cannot be waited for inside a callback";
        asked.settled = Some(E::Reply::stop(reason));
        return Ok(asked);
    }
    for (entry, sort) in place.registry.asked::<E::Set>(E::INDEX) {
        place.sequencer.turn().await;
        let question = Arc::new(Question {
            handler: entry.delivery.clone(),
            reply: Mutex::default(),
        });
        let route = Route::to(&entry.asking(question.clone()), sort);
        let delivered = {
            let given = event.view();
            let view = asked.event.as_ref().map_or(given, E::Set::view);
            deliver(&route, place, &view, Prepared::default()).await
        };
        let reply = match delivered.and_then(|aftermath| aftermath.raise(&route.order)) {
            Ok(()) => lock(&question.reply).take().and_then(E::reply),
            Err(error) => match *error {
                EmitError::RunClosed => return Err(EmitError::RunClosed),
                error => Some(E::Reply::stop(&reason(error))),
            },
        };
        let Some(reply) = reply else { continue };
        let owned = asked
            .event
            .get_or_insert_with(|| E::Set::own(&event.view()));
        let Some(twin) = E::twin(owned) else { continue };
        if let ControlFlow::Break(reply) = reply.settle(twin) {
            asked.settled = Some(reply);
            break;
        }
    }
    Ok(asked)
}

/// A failure, as the reason of a stop. To show what a handler failed with is code of users.
fn reason(error: EmitError) -> String {
    let show = || match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let shown = catch_unwind(AssertUnwindSafe(show)).unwrap_or_else(|panic| {
        quietly(|| drop(panic));
        "a callback handler failed with an error that cannot be shown".to_owned()
    });
    quietly(|| drop(error));
    shown
}

/// A handler that is asked, as one that is told.
struct Question<S: EventSet> {
    handler: Arc<dyn Deliver<S> + Send + Sync>,
    reply: Mutex<Option<S::Reply>>,
}

impl<S: EventSet> Question<S> {
    fn keep(&self, answer: Answer<S>) -> Outcome {
        let reply = answer?;
        let before = std::mem::replace(&mut *lock(&self.reply), reply);
        drop(before);
        Ok(())
    }
}

impl<S: EventSet> Deliver<S> for Question<S> {
    fn name(&self) -> &'static str {
        self.handler.name()
    }

    fn method(&self, event: u32) -> &'static str {
        self.handler.method(event)
    }

    fn interests(&self) -> Interests {
        self.handler.interests()
    }

    fn async_interests(&self) -> Interests {
        self.handler.async_interests()
    }

    fn deliver(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome {
        self.keep(self.handler.ask(run, event))
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.keep(self.handler.ask_async(run, event).await) })
    }
}

impl<S: EventSet> Entry<S> {
    /// The same handler, to be asked: on the same lane and within the same time, with its failures for
    /// whoever asks.
    fn asking(&self, question: Arc<Question<S>>) -> Arc<Self> {
        let mut entry = self.again(question);
        entry.options.raise_errors = true;
        Arc::new(entry)
    }
}
