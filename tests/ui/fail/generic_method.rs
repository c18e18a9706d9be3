use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token<T: AsRef<str>>(&self, token: T) {
        print!("{}", token.as_ref());
    }
}

fn main() {}
