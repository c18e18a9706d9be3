//! A cost counter: counts while the program runs, and is read back at the end.
//!
//! ```sh
//! cargo run --example cost
//! ```

use std::collections::BTreeMap;

use callbacks::{Callbacks, Exclusive, LlmResult, TokenUsage, callback_handler};
use callbacks_examples::ChatOpenAi;

/// What a million tokens cost, in cents: read, written.
const PRICES: [(&str, u64, u64); 2] = [("gpt-3.5-turbo", 50, 150), ("gpt-4o-mini", 15, 60)];

/// Its methods take `&mut self`, so it needs no lock.
#[derive(Debug, Default)]
struct Costs {
    by_model: BTreeMap<String, TokenUsage>,
}

#[callback_handler]
impl Costs {
    fn on_llm_end(&mut self, response: &LlmResult) {
        let model = response.llm_output.model_name.clone().unwrap_or_default();
        *self.by_model.entry(model).or_default() += response.usage();
    }
}

/// What they cost, in millionths of a cent, if that is known.
fn cost(model: &str, usage: &TokenUsage) -> Option<u64> {
    let (_, read, written) = PRICES.iter().find(|(name, ..)| *name == model)?;
    Some(usage.input_tokens.unwrap_or(0) * read + usage.output_tokens.unwrap_or(0) * written)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let costs = Exclusive::new(Costs::default());
    let chat = ChatOpenAi::new().callbacks(Callbacks::new().with(costs.clone()));

    for prompt in ["Tell me a joke", "给我讲个笑话"] {
        chat.invoke(prompt).await?;
    }

    costs.with(|costs| {
        for (model, usage) in &costs.by_model {
            println!("{model}: {} tokens", usage.output_tokens.unwrap_or(0));
            match cost(model, usage) {
                Some(cost) => println!("{cost} millionths of a cent"),
                None => println!("nobody knows what they cost"),
            }
        }
    });
    Ok(())
}
