use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self, token: &str) -> bool {
        token.is_empty()
    }

    async fn on_llm_end(&self) -> Result<(), u8> {
        Ok(())
    }
}

fn main() {}
