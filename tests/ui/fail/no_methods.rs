use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn new() -> Self {
        Printer
    }
}

fn main() {
    Printer::new();
}
