use callbacks::callback_handler;
use std::fmt::Display;

struct Printer<T>(T);

#[callback_handler]
impl<T: Send + Sync> Printer<T> {
    fn on_llm_new_token(&self, token: &str)
    where
        T: Display,
    {
        print!("{}{token}", self.0);
    }
}

fn main() {}
