use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_new_token(&self, token: &str) {
        print!("{token}");
    }
}

fn main() {}
