//! `tokio::sync::broadcast` of tokio 1.54: a task for each handler, which receives and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::broadcast::{self, Sender, error::RecvError};
use tokio::task::yield_now;

use crate::handlers::Calls;
use crate::rows::Row;
use crate::subject::{Emit, InBursts, Queued, Subject, TOKEN};

/// What a receiver may be behind; who is further behind loses events.
const CAPACITY: usize = 1024;

/// A receiver gets everything, so there is none that does not want it.
pub(crate) fn unheard(row: Row, _calls: &Calls) -> Option<Box<dyn Subject>> {
    match row {
        Row::Unheard => Some(Box::new(Unheard(Sender::new(CAPACITY)))),
        Row::Run => Some(Box::new(Runs(Sender::new(CAPACITY)))),
        Row::Unwanted(_) | Row::Plain(_) | Row::Async(_) => None,
    }
}

pub(crate) fn in_bursts(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    let Row::Plain(n) = row else { return None };
    Some(Box::new(InBursts(Channel::new(n, calls))))
}

/// As if an emission returned when its handlers were called.
pub(crate) fn waited_for(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    let Row::Plain(n) = row else { return None };
    Some(Box::new(WaitedFor(Channel::new(n, calls))))
}

/// Cloned for each receiver, so shared.
#[derive(Clone)]
enum Message {
    Start,
    Token(Arc<str>),
    End,
}

struct Channel {
    sender: Sender<Message>,
    sent: AtomicUsize,
    receivers: usize,
    calls: Calls,
}

impl Channel {
    fn new(receivers: usize, calls: &Calls) -> Self {
        let sender = Sender::new(CAPACITY);
        for _ in 0..receivers {
            tokio::spawn(receive(sender.subscribe(), calls.clone()));
        }
        Self {
            sender,
            sent: AtomicUsize::new(0),
            receivers,
            calls: calls.clone(),
        }
    }
}

/// Until the sender is gone.
async fn receive(mut receiver: broadcast::Receiver<Message>, calls: Calls) {
    loop {
        match receiver.recv().await {
            Ok(Message::Token(token)) => calls.count(&token),
            Ok(Message::Start | Message::End) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

impl Queued for Channel {
    async fn emit(&self) {
        // An error says that nobody listens, which is not one.
        let _ = self.sender.send(Message::Token(TOKEN.into()));
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    async fn delivered(&self) {
        let expected = self.sent.load(Ordering::Relaxed) * self.receivers;
        while self.calls.so_far() < expected {
            yield_now().await;
        }
    }
}

struct WaitedFor(Channel);

impl Emit for WaitedFor {
    async fn emit(&self) {
        self.0.emit().await;
        self.0.delivered().await;
    }
}

struct Unheard(Sender<Message>);

impl Emit for Unheard {
    async fn emit(&self) {
        let _ = self.0.send(Message::Token(TOKEN.into()));
    }
}

struct Runs(Sender<Message>);

impl Emit for Runs {
    async fn emit(&self) {
        let _ = self.0.send(Message::Start);
        let _ = self.0.send(Message::End);
    }
}
