use callbacks::{Callbacks, Serialized};

const MODEL: Serialized = Serialized::new("MyModel");

async fn complete(callbacks: &Callbacks) {
    let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    run.new_token("Because").await;
}

fn main() {
    let _ = complete(&Callbacks::new());
}
