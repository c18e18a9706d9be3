use std::error::Error;

use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_text(&self, text: &str) -> Result<(), Box<dyn Error>> {
        text.parse::<u32>()?;
        Ok(())
    }
}

fn main() {}
