use callbacks::callback_handler;

#[callback_handler]
fn on_llm_new_token(token: &str) {
    print!("{token}");
}

fn main() {}
