//! What holds a reply up until the test lets it go on.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds a reply up, until the test has seen to it that something is so.
///
/// Clones are the same gate. Once open, it stays open.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use callbacks_loopback::Gate;
///
/// let gate = Gate::new();
/// gate.open();
/// gate.opened().await;
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct State {
    reached: bool,
    open: bool,
}

impl Gate {
    /// A gate that is shut.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State {
            reached: false,
            open: false,
        })))
    }

    /// Lets what is held up go on, and whatever comes later.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Waits until it is open.
    pub async fn opened(&self) {
        self.wait(|state| state.open).await;
    }

    /// Waits until a reply is held up, or was.
    pub async fn reached(&self) {
        self.wait(|state| state.reached).await;
    }

    /// Holds up whoever calls it.
    pub(crate) async fn pass(&self) {
        self.0.send_modify(|state| state.reached = true);
        self.opened().await;
    }

    async fn wait(&self, until: impl Fn(&State) -> bool) {
        // The sender is in `self`, so it is there for as long as this waits.
        let _ = self.0.subscribe().wait_for(until).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
