use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    async fn on_coffee(&self) {}
}

fn main() {}
