use callbacks::{Message, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_chat_model_start(&self, [messages]: [Vec<Message>; 1]) {
        drop(messages);
    }
}

fn main() {}
