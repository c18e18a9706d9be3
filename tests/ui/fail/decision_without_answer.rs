use callbacks::callback_handler;

struct Approver;

#[callback_handler]
impl Approver {
    fn on_tool_request(&self, input: &str) {
        let _ = input;
    }

    async fn on_llm_request(&self) {}
}

fn main() {}
