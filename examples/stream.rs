//! A model whose answer is a stream, and a script that follows it with closures.
//!
//! ```sh
//! cargo run --example stream
//! ```

use callbacks::events::{LlmEnd, LlmNewToken};
use callbacks::{BoxError, Callbacks, Chunk, Serialized, TokenUsage, on};
use futures_util::{Stream, TryStreamExt, stream};

/// What a provider sends, piece by piece.
struct Delta {
    text: &'static str,
    tokens: Option<u64>,
}

/// A framework's model: its answer goes to whoever called it, and on the way to the handlers.
async fn complete(
    prompt: &str,
    callbacks: &Callbacks,
) -> Result<impl Stream<Item = Result<Delta, BoxError>> + use<>, BoxError> {
    static MODEL: Serialized = Serialized::new("MyModel");
    let run = callbacks
        .llm_start(&MODEL, || vec![prompt.to_owned()])
        .await?;
    let deltas = [("Be", None), ("cause", None), (".", Some(3))];
    let deltas = deltas.map(|(text, tokens)| Ok(Delta { text, tokens }));
    let deltas = run.stream(stream::iter(deltas), |delta| {
        let chunk = Chunk::text(delta.text);
        match delta.tokens {
            Some(tokens) => chunk.with_usage(TokenUsage::new().with_output_tokens(tokens)),
            None => chunk,
        }
    });
    // What a handler raises is the last item.
    Ok(deltas.raise())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let callbacks = Callbacks::new()
        .with(on(|event: &LlmNewToken<'_>| println!("| {}", event.token)))
        .with(on(|event: &LlmEnd<'_>| {
            let tokens = event.response.usage().output_tokens;
            println!("= {} {tokens:?}", event.response.text());
        }));
    let deltas = complete("Why?", &callbacks).await?;
    let words: Vec<_> = deltas.map_ok(|delta| delta.text).try_collect().await?;
    println!("{words:?}");
    Ok(())
}
