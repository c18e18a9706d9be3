use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn new() -> Self {
        Printer
    }

    fn text(&self) {}
}

fn main() {
    Printer::new().text();
}
