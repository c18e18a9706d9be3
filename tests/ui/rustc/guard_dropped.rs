#![deny(unused_must_use)]

use callbacks::{Callbacks, EmitError, Serialized};

const MODEL: Serialized = Serialized::new("MyModel");

async fn complete(callbacks: &Callbacks) -> Result<(), EmitError> {
    callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
    Ok(())
}

fn main() {
    let _ = complete(&Callbacks::new());
}
