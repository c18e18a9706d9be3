//! What the models cost: counted while the program runs, and read back at the end.
//!
//! ```sh
//! cargo run --example cost
//! ```

use callbacks::handlers::{Price, Prices, Usage};
use callbacks::{Callbacks, handler};
use callbacks_examples::ChatOpenAi;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(handler(usage.clone()).inline());
    let chat = ChatOpenAi::new().callbacks(callbacks);

    for prompt in ["Tell me a joke", "给我讲个笑话"] {
        chat.invoke(prompt).await?;
    }

    // Cents for a million tokens: read, written.
    let prices = Prices::new()
        .with("gpt-3.5-turbo", Price::new(50, 150))
        .with("gpt-4o-mini", Price::new(15, 60));
    for (model, usage) in usage.by_model() {
        println!(
            "{model}: {} tokens",
            usage.tokens.output_tokens.unwrap_or(0)
        );
    }
    let costs = usage.costs(&prices);
    println!("{} millionths of a cent", costs.total());
    for model in costs.unpriced.keys() {
        println!("nobody knows what {model} costs");
    }
    if costs.unreported > 0 {
        println!("{} calls did not say all that they took", costs.unreported);
    }
    Ok(())
}
