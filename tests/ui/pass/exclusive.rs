//! Handlers with `&mut self`: generic ones, with `&self` methods among them, that are not `Sync`,
//! with methods that are configured out, and for every event there is.

use std::cell::Cell;

use callbacks::{Callbacks, Exclusive, Run, callback_events, callback_handler, handler};

#[callback_events]
mod store {
    pub struct Sold<'a> {
        pub item: &'a str,
    }
    pub struct Tick;
}

struct Ledger<'l, T> {
    name: &'l str,
    items: Vec<T>,
    looked: Cell<u32>,
}

#[callback_handler(events = store)]
impl<T: From<String> + Send + 'static> Ledger<'static, T> {
    fn on_sold(&mut self, item: &str, run: &Run<'_>) -> Result<(), std::io::Error> {
        let _ = run;
        self.items.push(T::from(item.to_owned()));
        Ok(())
    }

    fn on_tick(&self) {
        self.looked.set(self.looked.get() + self.name.len() as u32);
    }

    #[cfg(any())]
    fn on_nothing(&mut self, nothing: u32) {}
}

#[callback_handler]
impl<T: From<String> + Send + 'static> Ledger<'static, T> {
    fn on_llm_new_token(&mut self, token: &str) {
        self.items.push(T::from(token.to_owned()));
    }
}

fn main() {
    let ledger = Exclusive::new(Ledger::<String> {
        name: "ledger",
        items: Vec::new(),
        looked: Cell::new(0),
    });
    let callbacks = Callbacks::new()
        .with::<store::Events, _>(ledger.clone())
        .with::<callbacks::events::Events, _>(handler(ledger.clone()).inline());
    let _ = callbacks;
    ledger.with(|ledger| ledger.items.clear());
}
