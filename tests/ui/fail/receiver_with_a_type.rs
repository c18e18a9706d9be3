use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(self: &Self, token: &str) {
        print!("{token}");
    }
}

fn main() {}
