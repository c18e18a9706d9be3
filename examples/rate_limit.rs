//! A rate limiter that stops the run: so many calls of models in so much time, whoever makes them.
//!
//! ```sh
//! cargo run --example rate_limit
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use callbacks::{Callbacks, Decision, EmitError, Exclusive, LlmDecision, callback_handler};
use callbacks_examples::{ChatError, ChatOpenAi};

struct RateLimit {
    most: usize,
    within: Duration,
    calls: VecDeque<Instant>,
}

#[callback_handler]
impl RateLimit {
    /// A model is not called before this has let it pass.
    fn on_llm_request(&mut self) -> LlmDecision {
        let now = Instant::now();
        self.calls.retain(|call| now - *call < self.within);
        if self.calls.len() < self.most {
            self.calls.push_back(now);
            return Decision::Continue;
        }
        let most = self.most;
        Decision::Stop(format!("more than {most} calls in {:?}", self.within))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ChatError> {
    let limit = Exclusive::new(RateLimit {
        most: 2,
        within: Duration::from_secs(60),
        calls: VecDeque::new(),
    });
    let chat = ChatOpenAi::new().callbacks(Callbacks::new().with(limit));
    for call in 1..=3 {
        match chat.invoke("Tell me a joke").await {
            Ok(result) => println!("call {call}: {} characters", result.text().len()),
            Err(ChatError::Callback(EmitError::Stopped { reason })) => {
                println!("call {call} was stopped: {reason}");
            }
            Err(other) => return Err(other),
        }
    }
    Ok(())
}
