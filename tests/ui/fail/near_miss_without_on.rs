use callbacks::callback_handler;

pub struct Printer;

#[callback_handler]
impl Printer {
    pub fn llm_end(&self) {}

    pub fn llm_new_token(&self, _token: &str) {}

    pub fn handle_tool_end(&self) -> std::io::Result<()> {
        Ok(())
    }

    pub fn tool_request(&self) -> callbacks::ToolDecision {
        callbacks::Decision::Continue
    }

    fn on_llm_error(&self) {}
}

fn main() {}
