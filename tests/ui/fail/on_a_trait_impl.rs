use callbacks::callback_handler;
use callbacks::events::CallbackHandler;

struct Printer;

#[callback_handler]
impl CallbackHandler for Printer {}

fn main() {}
