use callbacks::{Callbacks, Serialized};

static MODEL: Serialized = Serialized::new("Model");

fn main() {
    let callbacks = Callbacks::new();
    let _ = callbacks.llm_start(&MODEL, &["Why?"]);
    let _ = callbacks.chain_start(&MODEL, "Why?");
    let _ = callbacks.chat_model_start(&MODEL, "Why?");
}
