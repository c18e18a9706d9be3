//! Asking the handlers of a decision event, one after another.
//!
//! Each is called like for any other event, as the one handler of a route: on its lane, within its
//! time, and whatever it does is caught. Only that its answer is kept, and that a failure is a stop.

use std::mem;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::aftermath::Aftermath;
use super::call::{Called, quietly, shown};
use super::callback::{self, During, inside};
use super::delivering::{Prepared, deliver};
use super::dispatcher::{Entry, Route, Way};
use super::emission::Place;
use super::ledger::Trouble;
use super::lock;
use crate::handler::{Answer, Outcome};
use crate::payload::RunError;
use crate::{BoxFuture, DecisionEvent, Deliver, EmitError, EventSet, Interests, Reply, Run};

/// What came out of asking.
pub(crate) struct Replied<E: DecisionEvent> {
    /// The answer that settled it, if one did.
    settled: Option<E::Reply>,
    /// The event as the answers left it, if there were any.
    event: Option<<E::Set as EventSet>::Owned>,
}

impl<E: DecisionEvent> Replied<E> {
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
) -> Result<Replied<E>, EmitError> {
    let mut asked = Replied::<E>::nobody();
    if inside() {
        let reason = "a decision cannot be waited for inside a callback";
        asked.settled = Some(E::Reply::stop(reason));
        return Ok(asked);
    }
    for (entry, way) in place.registry.asked::<E::Set>(E::INDEX) {
        place.sequencer.turn().await;
        let reply = match ask_one(place, &event, &mut asked.event, entry, way).await {
            Ok(ControlFlow::Continue(())) => continue,
            Ok(ControlFlow::Break(reply)) => reply,
            Err(error) => match *error {
                EmitError::RunClosed => return Err(EmitError::RunClosed),
                error => E::Reply::stop(&reason(error)),
            },
        };
        asked.settled = Some(reply);
        break;
    }
    Ok(asked)
}

/// Asks one handler about the event as it is now. An error is a failure of this handler.
async fn ask_one<E: DecisionEvent>(
    place: &Place<'_>,
    event: &E,
    now: &mut Option<<E::Set as EventSet>::Owned>,
    entry: &Arc<Entry<E::Set>>,
    way: Way,
) -> Result<ControlFlow<E::Reply>, Box<EmitError>> {
    let question = Arc::new(Question {
        handler: entry.delivery.clone(),
        before: Mutex::new(entry.drained_before(place, way)),
        state: Mutex::new(State::Open),
    });
    let entry = entry.asking(question.clone());
    let route = Route::to(&entry, way);
    let delivered = {
        let given = event.view();
        let view = now.as_ref().map_or(given, E::Set::view);
        deliver(&route, place, &view, Prepared::default()).await
    };
    delivered?.raise(&route.order)?;
    let fail = |why: &'static str| {
        let (mut aftermath, run) = (Aftermath::default(), place.run(0));
        let called = Called::new(&entry, &run, E::INDEX);
        called.fail(why.into(), Trouble::Failed, &mut aftermath);
        let raised = aftermath.raise(&route.order);
        raised.map(|()| ControlFlow::Break(E::Reply::stop(why)))
    };
    let state = mem::replace(&mut *lock(&question.state), State::Open);
    let State::Answered(answer) = state else {
        return fail("the handler could not be asked");
    };
    let Some(reply) = answer.and_then(E::reply) else {
        return Ok(ControlFlow::Continue(()));
    };
    let owned = now.get_or_insert_with(|| E::Set::own(&event.view()));
    let Some(twin) = E::twin(owned) else {
        return Ok(ControlFlow::Continue(()));
    };
    // What is put off there is handed on.
    let settled = callback::call(During::Waiting, || reply.settle(twin), drop);
    settled.or_else(|panic| {
        quietly(|| drop(panic));
        fail("the answer panicked where it was to settle the matter")
    })
}

/// A failure, as the reason of a stop.
fn reason(error: EmitError) -> String {
    let RunError {
        message, sources, ..
    } = shown(&error);
    quietly(|| drop(error));
    [vec![message], sources].concat().join(": ")
}

/// A handler that is asked, as one that is told.
struct Question<S: EventSet> {
    handler: Arc<dyn Deliver<S> + Send + Sync>,
    /// What has to be done before, if it is not in the same lane.
    before: Mutex<Option<oneshot::Receiver<()>>>,
    state: Mutex<State<S::Reply>>,
}

enum State<R> {
    Open,
    Answered(Option<R>),
}

impl<S: EventSet> Question<S> {
    fn keep(&self, answer: Answer<S>) -> Outcome {
        let answered = State::Answered(answer?);
        let before = mem::replace(&mut *lock(&self.state), answered);
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
        Box::pin(async move {
            let before = lock(&self.before).take();
            if let Some(before) = before {
                // What cannot be done any more does not come later either.
                let _ = before.await;
            }
            self.keep(self.handler.ask_async(run, event).await)
        })
    }
}

impl<S: EventSet> Entry<S> {
    /// What is queued for it, if the call does not go through its lane.
    fn drained_before(&self, place: &Place<'_>, way: Way) -> Option<oneshot::Receiver<()>> {
        let passes = way == Way::Future && self.options.background.is_some();
        passes.then(|| place.sequencer.drained(self)).flatten()
    }

    /// The same handler, to be asked: on the same lane and within the same time, with its failures for
    /// whoever asks.
    fn asking(&self, question: Arc<Question<S>>) -> Arc<Self> {
        let mut entry = self.again(question);
        entry.options.raise_errors = true;
        entry.asks = true;
        Arc::new(entry)
    }
}
