use callbacks::callback_handler;

#[callback_handler]
struct Printer;

fn main() {}
