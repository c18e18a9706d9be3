use std::sync::Arc;

use callbacks::{Callbacks, Exclusive, callback_handler};

struct Counter(u32);

#[callback_handler]
impl Counter {
    fn on_text(&mut self) {
        self.0 += 1;
    }
}

struct Printer;

#[callback_handler]
impl Printer {
    fn on_text(&self) {}
}

fn main() {
    let _ = Callbacks::new().with(Arc::new(Counter(0)));
    let _ = Callbacks::new().with(Exclusive::new(Printer));
}
