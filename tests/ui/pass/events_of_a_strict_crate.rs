#![deny(missing_docs, missing_debug_implementations, unreachable_pub, unused, elided_lifetimes_in_paths)]

//! Strict.

/// A bazaar.
#[callbacks::callback_events]
pub mod bazaar {
    /// Sold.
    #[non_exhaustive]
    pub struct Sold<'a> {
        /// What.
        pub item: &'a str,
    }

    /// Not used any more.
    #[deprecated = "use `Sold`"]
    pub struct Bought;
}

#[callbacks::callback_events]
mod private {
    pub struct Tick;
}

/// Prints.
#[derive(Debug)]
pub struct Printer;

#[callbacks::callback_handler(events = bazaar)]
impl Printer {
    fn on_sold(&self, item: &str) {
        print!("{item}");
    }
}

#[callbacks::callback_handler(events = private)]
impl Printer {
    async fn on_tick(&self) {}
}

fn main() {
    let _ = private::Tick;
}
