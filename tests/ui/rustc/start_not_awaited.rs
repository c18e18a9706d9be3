#![deny(unused_must_use)]

use callbacks::{Callbacks, Serialized};

const MODEL: Serialized = Serialized::new("MyModel");

async fn complete(callbacks: &Callbacks) {
    callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
}

fn main() {
    let _ = complete(&Callbacks::new());
}
