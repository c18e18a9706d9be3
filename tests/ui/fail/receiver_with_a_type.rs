use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(self: &Self, token: &str) {
        print!("{token}");
    }
}

struct Counter(usize);

#[callback_handler]
impl Counter {
    fn on_llm_new_token(self: &mut Self) {
        self.0 += 1;
    }

    fn on_llm_end(self: std::sync::Arc<Self>) {}
}

struct Awaited(usize);

#[callback_handler]
impl Awaited {
    async fn on_llm_new_token(self: &mut Self) {
        self.0 += 1;
    }
}

fn main() {}
