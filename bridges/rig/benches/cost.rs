//! What a token of a streamed answer takes with callbacks, beside the same agent without.
//!
//! A server on loopback plays the model. The variants take turns, answer by answer.

use std::hint::black_box;
use std::time::{Duration, Instant};

use callbacks::{Callbacks, LlmResult, callback_handler, handler};
use callbacks_loopback::{Answer, Server};
use callbacks_rig::Observe;
use futures_util::{Stream, StreamExt};
use rig_agent::agent::{AgentHook, HookContext, ObservationAction, TextDelta};
use rig_agent::{Agent, AgentBuilder};
use rig_core::providers::openai::OpenAIConfig;

const TOKENS: usize = 2_000;
const WARM_UP: usize = 5;
const ANSWERS: usize = 100;

/// Looks at what it is told, and no more.
struct Look;

#[callback_handler]
impl Look {
    fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }

    fn on_llm_end(&self, response: &LlmResult) {
        black_box(response);
    }
}

/// Hears no token.
struct End;

#[callback_handler]
impl End {
    fn on_llm_end(&self, response: &LlmResult) {
        black_box(response);
    }
}

struct LookAsync;

#[callback_handler]
impl LookAsync {
    async fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }

    async fn on_llm_end(&self, response: &LlmResult) {
        black_box(response);
    }
}

/// Without this crate, a hook of rig's that looks.
struct Hook;

impl AgentHook for Hook {
    async fn on_text_delta(&self, _: &HookContext, event: TextDelta<'_>) -> ObservationAction {
        black_box(event.delta);
        ObservationAction::Continue
    }
}

enum Way {
    Alone,
    Hooked,
    Observed(Callbacks),
}

async fn read(mut stream: impl Stream<Item = Result<impl Sized, impl std::fmt::Debug>> + Unpin) {
    while let Some(item) = stream.next().await {
        black_box(item.expect("no answer fails"));
    }
}

async fn answer(agent: &Agent, way: &Way) -> Duration {
    let start = Instant::now();
    let run = agent.prompt("Why?");
    match way {
        Way::Alone => read(run.stream()).await,
        Way::Hooked => read(run.add_hook(Hook).stream()).await,
        Way::Observed(callbacks) => read(run.observed(callbacks).stream()).await,
    }
    start.elapsed()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let tokens = Answer::new((0..TOKENS).map(|index| format!(" token{index}")));
    let server = Server::answering(move |_| tokens.clone())?;
    let mut config = OpenAIConfig::new("key");
    config.base_url = server.base_url();
    let agent = AgentBuilder::new(config.client().chat("gpt-4o-mini")).build();
    let mut ways = [
        ("rig alone", Way::Alone),
        ("a hook of rig's", Way::Hooked),
        ("nobody listens", Way::Observed(Callbacks::new())),
        (
            "a handler of the end",
            Way::Observed(Callbacks::new().with(handler(End).inline())),
        ),
        (
            "an inline handler",
            Way::Observed(Callbacks::new().with(handler(Look).inline())),
        ),
        (
            "an async handler",
            Way::Observed(Callbacks::new().with(LookAsync)),
        ),
    ]
    .map(|(name, way)| (name, way, Vec::new()));
    for round in 0..WARM_UP + ANSWERS {
        for (_, way, took) in &mut ways {
            let time = answer(&agent, way).await;
            if round >= WARM_UP {
                took.push(time);
            }
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "it is small")]
    let per_token = |time: Duration| time.as_secs_f64() * 1e9 / TOKENS as f64;
    let mut alone = None;
    println!("ns a token{:26}p10     median   beyond rig alone (p10)", "");
    for (name, _, took) in &mut ways {
        took.sort_unstable();
        let (p10, median) = (per_token(took[ANSWERS / 10]), per_token(took[ANSWERS / 2]));
        let beyond = p10 - *alone.get_or_insert(p10);
        println!("{name:32}{p10:8.0}{median:11.0}{beyond:11.0}");
    }
    Ok(())
}
