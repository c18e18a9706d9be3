//! Events as a stream of records, for code that would rather read than be called.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use futures_core::Stream;
use tokio::sync::Semaphore;

use crate::delivery::{Receipt, Room, lock, wake};
use crate::events::Events;
use crate::handler::{Deliver, Outcome};
use crate::set::method;
use crate::{EventSet, Interests, Live, Run, RunInfo};

/// An event that was emitted, with its run. Made by [`Callbacks::record`](crate::Callbacks::record),
/// and by whoever [reads a recording](crate::handlers::JsonLines::read).
///
/// ```
/// use callbacks::Record;
/// use callbacks::events::AnyEvent;
///
/// fn line(record: &Record) -> String {
///     let name = record.run().name();
///     match record.event() {
///         AnyEvent::LlmNewToken(event) => format!("{name}: {}", event.token),
///         // Events may be added.
///         _ => format!("{name}: {}", record.method()),
///     }
/// }
/// # let _ = line;
/// ```
pub struct Record<S: EventSet = Events> {
    run: RunInfo,
    seq: u64,
    time: SystemTime,
    event: Arc<S::Owned>,
}

impl<S: EventSet> Record<S> {
    pub(crate) fn new(run: RunInfo, seq: u64, time: SystemTime, event: S::Owned) -> Self {
        let event = Arc::new(event);
        Self {
            run,
            seq,
            time,
            event,
        }
    }

    /// The run that it belongs to.
    #[must_use]
    pub fn run(&self) -> &RunInfo {
        &self.run
    }

    /// Its number in the run tree.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When it was written into the stream, or the recording: right after it was emitted, unless its
    /// emission waited for room or was put off. Where a recording is replayed, what that says.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The event, as handlers see it.
    #[must_use]
    pub fn event(&self) -> S::Ref<'_> {
        S::view(&self.event)
    }

    /// The event, to keep or to serialize.
    #[must_use]
    pub fn owned(&self) -> &Arc<S::Owned> {
        &self.event
    }

    pub(crate) fn into_owned(self) -> Arc<S::Owned> {
        self.event
    }

    /// The method that a handler would have for it, such as `on_llm_new_token`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        method::<S>(S::index(&self.event()))
    }
}

impl<S: EventSet> Clone for Record<S> {
    fn clone(&self) -> Self {
        Self {
            run: self.run.clone(),
            seq: self.seq,
            time: self.time,
            event: self.event.clone(),
        }
    }
}

impl<S: EventSet> fmt::Debug for Record<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("seq", &self.seq)
            .field("run", &self.run.name())
            .field("event", &self.event())
            .finish_non_exhaustive()
    }
}

/// Where records are written: the other end of a stream.
pub(crate) struct Sink<S: EventSet> {
    unread: Arc<Mutex<Unread<S>>>,
    pub(crate) places: Arc<Semaphore>,
}

/// What was written and not read yet.
struct Unread<S: EventSet> {
    records: VecDeque<Written<S>>,
    reader: Option<Waker>,
    /// Whether nothing more is written, or read.
    over: bool,
}

struct Written<S: EventSet> {
    record: Record<S>,
    _live: Live,
    receipt: Receipt,
    /// Its place in the queue is free when it is read.
    _room: Room,
}

impl<S: EventSet> Sink<S> {
    /// A sink, and the stream of what is written there.
    pub(crate) fn new(places: Arc<Semaphore>) -> (Self, Records<S>) {
        let unread = Arc::new(Mutex::new(Unread {
            records: VecDeque::new(),
            reader: None,
            over: false,
        }));
        let records = Records {
            unread: unread.clone(),
            places: places.clone(),
        };
        (Self { unread, places }, records)
    }

    /// Makes what writes a record, given its number and its receipt. That gives back what is to be
    /// dropped when no lock is held.
    pub(crate) fn write(
        &self,
        run: Live,
        recorded_at: Option<SystemTime>,
        event: Arc<S::Owned>,
        room: Room,
    ) -> impl FnOnce(u64, Receipt) -> Box<dyn Any + Send> + Send + use<S> {
        let time = recorded_at.unwrap_or_else(SystemTime::now);
        let unread = self.unread.clone();
        move |seq, receipt| {
            let record = Record {
                run: RunInfo::clone(&run),
                seq,
                time,
                event,
            };
            let written = Written {
                record,
                _live: run,
                receipt,
                _room: room,
            };
            let mut unread = lock(&unread);
            if unread.over {
                return Box::new(written);
            }
            unread.records.push_back(written);
            Box::new(Wakes(unread.reader.take()))
        }
    }
}

impl<S: EventSet> Drop for Sink<S> {
    fn drop(&mut self) {
        let reader = {
            let mut unread = lock(&self.unread);
            unread.over = true;
            unread.reader.take()
        };
        drop(Wakes(reader));
    }
}

/// Wakes when it is dropped.
struct Wakes(Option<Waker>);

impl Drop for Wakes {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(wake);
    }
}

/// The stream of records.
pub(crate) struct Records<S: EventSet> {
    unread: Arc<Mutex<Unread<S>>>,
    places: Arc<Semaphore>,
}

impl<S: EventSet> Stream for Records<S> {
    type Item = Record<S>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Record<S>>> {
        let waker = cx.waker().clone();
        let mut unread = lock(&self.unread);
        let Some(written) = unread.records.pop_front() else {
            let before = unread.reader.replace(waker);
            let over = unread.over;
            drop(unread);
            drop(before);
            return if over {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        drop(unread);
        written.receipt.delivered();
        Poll::Ready(Some(written.record))
    }
}

impl<S: EventSet> Drop for Records<S> {
    fn drop(&mut self) {
        // Nobody is to wait for room that nobody makes.
        self.places.close();
        let mut unread = lock(&self.unread);
        unread.over = true;
        let lost = (std::mem::take(&mut unread.records), unread.reader.take());
        drop(unread);
        drop(lost);
    }
}

/// What is registered for a stream. It hears everything, and is never called.
pub(crate) struct RecordHandler;

impl<S: EventSet> Deliver<S> for RecordHandler {
    fn name(&self) -> &'static str {
        "record"
    }

    fn interests(&self) -> Interests {
        // A stream cannot answer.
        Interests::ALL.without(S::DECISIONS)
    }

    fn deliver(&self, _: &Run<'_>, _: &S::Ref<'_>) -> Outcome {
        Ok(())
    }
}
