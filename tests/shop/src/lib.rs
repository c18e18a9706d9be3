//! A framework with events of its own. It knows the runtime as `cb`, and its users need not know it
//! at all.

use std::ops::ControlFlow;

/// What is in here, for users.
pub use cb::{Callbacks, EmitError, LlmResult, callback_handler};

/// The built-in events, under another name.
pub use cb::events as happenings;

/// What one order is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub id: u32,
}

/// Whether money is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it.
    Yes,
    /// So much.
    Less(u64),
    /// None, for this reason.
    No(String),
}

impl cb::Reply<trade::owned::Refund> for Verdict {
    fn go_on() -> Self {
        Self::Yes
    }

    fn stop(reason: &str) -> Self {
        Self::No(reason.to_owned())
    }

    fn settle(self, event: &mut trade::owned::Refund) -> ControlFlow<Self> {
        match self {
            Self::Yes => ControlFlow::Continue(()),
            Self::Less(cents) => {
                event.cents = cents;
                ControlFlow::Continue(())
            }
            no @ Self::No(_) => ControlFlow::Break(no),
        }
    }
}

/// Two levels down.
pub mod deep {
    /// What happens in a shop.
    #[cb::callback_events(crate = cb)]
    pub mod sales {
        use std::path::Path;

        /// Something was sold.
        pub struct Sold<'a> {
            /// What.
            pub item: &'a str,
            /// How many.
            pub count: u32,
            /// In which order, if in any.
            pub order: Option<&'a crate::Order>,
            /// Named relative to the module.
            pub orders: &'a [super::super::Order],
        }

        /// A receipt was printed.
        pub struct Printed<'a> {
            /// Where to.
            pub path: &'a Path,
        }

        /// The carrier could not be reached.
        pub struct HTTPFailed {
            /// What it answered.
            pub status: u16,
        }

        /// A minute went by.
        pub struct Tick;

        /// May this money be given back?
        #[event(reply = crate::Verdict)]
        pub struct Refund<'a> {
            /// For what.
            pub item: &'a str,
            /// How much.
            pub cents: u64,
        }
    }

    /// Listens in the crate of the set.
    #[derive(Debug)]
    pub struct Clock;

    #[cb::callback_handler(events = sales)]
    impl Clock {
        fn on_tick(&self) {}
    }

    #[cb::callback_handler(events = cb::events)]
    impl Clock {
        async fn on_llm_end(&self) {}
    }
}

/// The set under another name.
pub use deep::sales as trade;

/// Answers, and says so.
///
/// # Errors
///
/// None: nothing raises.
pub async fn answer(callbacks: &Callbacks) -> Result<(), EmitError> {
    let model = cb::Serialized::new("Oracle");
    let run = callbacks
        .llm_start(&model, || vec!["Why?".to_owned()])
        .await?;
    run.end(|| LlmResult::from_text("Because")).await
}

/// Sells tea, and says so.
///
/// # Errors
///
/// None: nothing raises.
pub async fn sell_tea(callbacks: &Callbacks) -> Result<(), EmitError> {
    let orders = [Order { id: 1 }, Order { id: 2 }];
    let sold = trade::Sold {
        item: "tea",
        count: 2,
        order: orders.first(),
        orders: &orders,
    };
    callbacks.emit(sold).await?;
    callbacks.emit(trade::Tick).await
}

/// Asks how much is given back.
///
/// # Errors
///
/// None: it is asked outside any run.
pub async fn refund(
    callbacks: &Callbacks,
    item: &str,
    cents: u64,
) -> Result<(Verdict, u64), EmitError> {
    let asked = callbacks.ask_to_rewrite(trade::Refund { item, cents });
    let (verdict, refund) = asked.await?;
    Ok((verdict, refund.cents))
}
