use callbacks::{Callbacks, handler};

struct Printer;

fn main() {
    let _callbacks = Callbacks::new().with(handler(Printer).inline());
}
