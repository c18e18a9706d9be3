//! Opening a run: the handlers are asked, then it is open, then its start is told.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::poll;

use super::closing::close_unwaited;
use super::core::Core;
use super::draft::{Draft, Plan};
use super::kinds::{Family, Kind};
use super::tree::Node;
use crate::delivery::{
    Place, Prepared, PutOff, Replied, Site, ask, deliver, inside, owe, quietly, shown,
};
use crate::events::Events;
use crate::events::owned::AnyEvent;
use crate::{DecisionEvent, EmitError, Event, EventSet};

/// Opens the run of a draft.
pub struct Opener {
    draft: Draft,
    /// The run that the handlers were asked about.
    asked: Option<Plan>,
}

impl Opener {
    pub(super) fn new(draft: Draft) -> Self {
        Self { draft, asked: None }
    }

    pub(super) fn wants<E: Event<Set = Events>>(&self) -> bool {
        self.draft.origin.wants::<E>()
    }

    /// Asks about the run, which is not open yet.
    pub(super) async fn ask<E: DecisionEvent<Set = Events>>(
        &mut self,
        event: E,
    ) -> Result<Replied<E>, EmitError> {
        let plan = self.asked.get_or_insert_with(|| self.draft.plan());
        let parent = self.draft.origin.run();
        let place = Place {
            registry: &self.draft.origin.registry(),
            info: &plan.info,
            sequencer: &plan.tree.sequencer,
            closed: parent.and_then(|parent| parent.place().closed),
        };
        ask(&place, event).await
    }

    /// Opens the run, then emits its start, if anybody listens to that.
    pub(super) async fn open<K: Kind, E: Event<Set = Events>>(
        self,
        family: Family,
        event: Option<E>,
    ) -> Result<Core<K>, EmitError> {
        let Self { draft, asked } = self;
        let plan = match asked {
            Some(plan) => {
                plan.info.decided();
                plan
            }
            None => draft.plan(),
        };
        if inside() {
            let event = event.map(|event| Events::own(&event.view()));
            return draft.open_inside(plan, family, event);
        }
        if let Some(run) = draft.origin.run() {
            run.tree.sequencer.turn().await;
        }
        let node = draft.open(plan, family, |_| {});
        let node = node.map_err(|_| EmitError::RunClosed)?;
        // From here on, whatever happens closes the run.
        let mut guard = Core::heard(node.clone(), draft.blocking);
        let begins = Begins(node.clone());
        let Some(event) = event else {
            return Ok(guard);
        };
        match deliver_start(begins, &event.view(), None).await {
            Ok(()) => Ok(guard),
            Err(error) => {
                // Those who saw the start see the end.
                guard.fail(shown(&error), None).await;
                Err(*error)
            }
        }
    }
}

/// Delivers the start of a run, if anybody listens to that; of which there may be a copy.
pub(super) async fn deliver_start(
    begins: Begins,
    event: &<Events as EventSet>::Ref<'_>,
    owned: Option<Arc<AnyEvent>>,
) -> Result<(), Box<EmitError>> {
    let node = begins.0.clone();
    let Some(route) = node.registry.route::<Events>(Events::index(event)) else {
        return Ok(());
    };
    // The run is open, so it has a start, even if it is closed this very moment.
    let place = Place {
        closed: None,
        ..node.place()
    };
    let prepared = Prepared {
        owned,
        passes: true,
        ..Prepared::default()
    };
    let mut emission = pin!(deliver(route, &place, event, prepared));
    // The first poll reaches every handler, so a terminal event may follow.
    let reached = poll!(emission.as_mut());
    drop(begins);
    let started = match reached {
        Poll::Ready(started) => started,
        Poll::Pending => emission.await,
    };
    started?.raise(&route.order)
}

impl Draft {
    /// Opens the run inside a callback: its start is put off. That is queued before the run can be
    /// closed, for whatever closes it waits for its start.
    fn open_inside<K: Kind>(
        self,
        plan: Plan,
        family: Family,
        event: Option<AnyEvent>,
    ) -> Result<Core<K>, EmitError> {
        let mut start = event.map(PutOff::<Events>::new);
        let index = |start: &PutOff<Events>| Events::index(&Events::view(start.event()));
        let index = start.as_ref().map(index);
        let mut turn = None;
        let node = self.open(plan, family, |node| {
            let begins = Begins(node.clone());
            let place = Place {
                closed: None,
                ..node.place()
            };
            let route = index.and_then(|index| node.registry.route::<Events>(index));
            if let (Some(start), Some(route)) = (start.take(), route) {
                turn = start.queue(route, &place, |raised| begins.and_then(raised));
            }
        });
        turn.into_iter().for_each(owe);
        node.map(|node| Core::heard(node, self.blocking))
            .map_err(|_| EmitError::RunClosed)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opener").field(&self.draft).finish()
    }
}

/// Whatever happens to a start, the terminal event that waits for it is let go.
pub(super) struct Begins(pub(super) Arc<Node>);

impl Begins {
    /// A start that was put off has reached all handlers. There is nobody to raise its error to, but
    /// the run closes with it.
    fn and_then(self, raised: Result<(), Box<EmitError>>) {
        let node = self.0.clone();
        drop(self);
        if let Err(error) = raised {
            close_unwaited(&node, node.error(shown(&error)), false);
            quietly(|| drop(error));
        }
    }
}

impl Drop for Begins {
    fn drop(&mut self) {
        self.0.begin();
    }
}
