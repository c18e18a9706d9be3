//! What callbacks cost per token, beside the client alone: the same answer over loopback, in turns.
//!
//! ```sh
//! cargo bench -p callbacks-examples --features openai --bench openai
//! ```
//!
//! With `-- --quick` there are a few rounds, for whether each handler hears every token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionResponseStream, CreateChatCompletionStreamResponse as Piece,
};
use callbacks::{BoxError, Callbacks, Chunk, Message, Serialized, callback_handler, handler};
use callbacks_loopback::{Answer, Server};
use futures_util::{Stream, StreamExt};
use serde_json::json;

static CHAT: Serialized = Serialized::new("ChatOpenAI");

/// Few, so that some rounds are not interrupted by whatever else the machine does.
const TOKENS: usize = 500;
/// Beside the tokens, there is an event for the role and one for the finish reason.
const EVENTS: usize = TOKENS + 2;

/// The tokens that were heard.
#[derive(Clone, Default)]
struct Heard(Arc<AtomicUsize>);

impl Heard {
    fn hear(&self, token: &str) {
        std::hint::black_box(token);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Plain(Heard);

#[callback_handler]
impl Plain {
    fn on_llm_new_token(&self, token: &str) {
        self.0.hear(token);
    }
}

struct Asynchronous(Heard);

#[callback_handler]
impl Asynchronous {
    async fn on_llm_new_token(&self, token: &str) {
        self.0.hear(token);
    }
}

/// What an event of the stream is to the handlers.
fn chunk(piece: &Piece) -> Option<Chunk> {
    let choice = piece.choices.first()?;
    let text = choice.delta.content.clone().unwrap_or_default();
    Some(Chunk::text(text).with_choice(choice.index as usize))
}

async fn read(
    stream: impl Stream<Item = Result<Piece, OpenAIError>>,
) -> Result<usize, OpenAIError> {
    let mut stream = std::pin::pin!(stream);
    let mut pieces = 0;
    while let Some(piece) = stream.next().await {
        piece?;
        pieces += 1;
    }
    Ok(pieces)
}

async fn ask(client: &Client<OpenAIConfig>) -> Result<ChatCompletionResponseStream, OpenAIError> {
    let request = json!({
        "model": "gpt-4o-mini",
        "messages": [{ "role": "user", "content": "Why?" }],
        "stream": true,
    });
    client.chat().create_stream_byot(request).await
}

/// The time per token from the request to the end of the stream.
async fn measure(
    client: &Client<OpenAIConfig>,
    callbacks: Option<&Callbacks>,
) -> Result<Duration, BoxError> {
    let begun = Instant::now();
    let pieces = match callbacks {
        None => read(ask(client).await?).await?,
        Some(callbacks) => {
            let messages = [Message::human("Why?")];
            let run = callbacks.chat_model_start(&CHAT, &messages).await?;
            read(run.stream(ask(client).await?, chunk)).await?
        }
    };
    let took = begun.elapsed();
    assert_eq!(pieces, EVENTS);
    Ok(took / u32::try_from(pieces)?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let answer = Answer::new(vec!["token "; TOKENS]);
    let server = Server::answering(move |_| answer.clone())?;
    let config = OpenAIConfig::new().with_api_base(server.base_url());
    let client = Client::with_config(config.with_api_key("none"));
    let rounds = if std::env::args().any(|arg| arg == "--quick") {
        3
    } else {
        501
    };
    let heard = [(); 3].map(|()| Heard::default());
    let [inline, asynchronous, plain] = heard.clone();
    let cases = [
        ("the client alone", None),
        ("nobody listens", Some(Callbacks::new())),
        (
            "an inline handler",
            Some(Callbacks::new().with(handler(Plain(inline)).inline())),
        ),
        (
            "an async handler",
            Some(Callbacks::new().with(Asynchronous(asynchronous))),
        ),
        ("a plain handler", Some(Callbacks::new().with(Plain(plain)))),
    ];
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..rounds {
        for ((_, callbacks), times) in cases.iter().zip(&mut times) {
            times.push(measure(&client, callbacks.as_ref()).await?);
        }
    }
    for Heard(heard) in heard {
        assert_eq!(heard.load(Ordering::Relaxed), rounds * EVENTS);
    }
    for times in &mut times {
        times.sort_unstable();
    }
    println!("{TOKENS} tokens, {rounds} rounds, time per token");
    println!(
        "{:<20} {:>9} {:>6} {:>9} {:>6}",
        "", "fastest", "ratio", "median", "ratio"
    );
    for ((name, _), of) in cases.iter().zip(&times) {
        let column = |at: usize| {
            let ratio = of[at].as_secs_f64() / times[0][at].as_secs_f64();
            format!("{:>9.2?} {ratio:>6.3}", of[at])
        };
        println!("{name:<20} {} {}", column(0), column(rounds / 2));
    }
    Ok(())
}
