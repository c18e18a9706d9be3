use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_chat_model_end(&self) {}
    fn on_chat_model_error(&self) {}
    fn on_chat_model_request(&self) {}
    fn on_chat_model_stream(&self) {}
    fn on_chat_start(&self) {}
    fn on_model_start(&self) {}
    fn on_tool_result(&self) {}
    fn on_agent_start(&self) {}
    fn on_agent_end(&self) {}
    fn on_agent_error(&self) {}
}

struct Guard;

// There is no such question, and to ask another one would be worse.
#[callback_handler]
impl Guard {
    fn on_chain_request(&self) {}
}

fn main() {}
