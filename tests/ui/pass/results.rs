#![deny(warnings)]

use std::fmt;
use std::io;

use callbacks::{BoxError, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self, token: &str) -> io::Result<()> {
        let _ = token;
        Ok(())
    }

    fn on_text(&self) -> Result<(), String> {
        Err("no".to_owned())
    }

    fn on_retry(&self) -> () {}

    async fn on_llm_end(&self) -> Result<(), BoxError> {
        Err(Box::new(fmt::Error))
    }
}

fn main() {}
