use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn new() -> Self {
        Printer
    }

    fn llm_end(&self) {}
}

fn main() {
    Printer::new().llm_end();
}
