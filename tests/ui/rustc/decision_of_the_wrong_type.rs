use callbacks::{Decision, LlmResult, callback_handler};

struct Approver;

#[callback_handler]
impl Approver {
    fn on_tool_request(&self) -> Decision<String, LlmResult> {
        Decision::Continue
    }

    async fn on_llm_request(&self) -> Result<bool, std::io::Error> {
        Ok(true)
    }
}

fn main() {}
