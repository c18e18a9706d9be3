use callbacks::{Callbacks, EmitError, Message};

async fn chat(callbacks: &Callbacks) -> Result<(), EmitError> {
    let run = callbacks.chat_model_start("gpt", &[Message::human("Why?")]).await?;
    run.end(Default::default).await
}

fn main() {
    let _ = chat;
}
