use callbacks::callback_handler;

struct Counter {
    tokens: u32,
}

#[callback_handler]
impl Counter {
    fn on_llm_new_token(&mut self) {
        self.tokens += 1;
    }

    async fn on_llm_start(&mut self) {
        self.tokens = 0;
    }

    async fn on_llm_end(&self) {}
}

struct AsyncCounter {
    tokens: u32,
}

#[callback_handler]
impl AsyncCounter {
    async fn on_llm_new_token(&mut self) {
        self.tokens += 1;
    }
}

fn main() {}
