//! A chat model over HTTP: one that is busy at first, then wants a tool, then answers.
//!
//! Without `OPENAI_BASE_URL` it talks to a server on loopback; with that, and `OPENAI_API_KEY`, to a real one,
//! with the model that is named.
//!
//! ```sh
//! cargo run --example openai --features openai
//! cargo run --example openai --features openai -- gpt-4o-mini
//! ```

use callbacks::handlers::StdoutHandler;
use callbacks::{BoxError, Callbacks, Message, Serialized};
use callbacks_examples::ChatOpenAi;
use callbacks_loopback::{Answer, Reply, Server};
use serde_json::json;

static AGENT: Serialized = Serialized::new("Forecast");
static WEATHER: Serialized = Serialized::new("weather");

const QUESTION: &str = "What is the weather in Rome?";

/// What is said if there is nobody else.
fn script() -> [Reply; 3] {
    let usage = |input, output| json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    [
        Reply::error(429, "slow down").header("retry-after-ms", "20"),
        Answer::new(Vec::<String>::new())
            .tool_call("call_1", "weather", ["{\"city\":", "\"Rome\"}"])
            .usage(usage(61, 12))
            .into(),
        Answer::new(["It", " is", " sunny", " ☀"])
            .usage(usage(88, 5))
            .into(),
    ]
}

async fn answer(chat: ChatOpenAi, callbacks: &Callbacks) -> Result<String, BoxError> {
    let run = callbacks.chain_start(&AGENT, || json!(QUESTION)).await?;
    let answer = converse(chat, run.callbacks()).await;
    let output = answer.as_ref().map(|answer| move || json!(answer));
    run.finish(output).await?;
    answer
}

async fn converse(chat: ChatOpenAi, callbacks: &Callbacks) -> Result<String, BoxError> {
    let chat = chat.callbacks(callbacks.clone());
    let mut messages = vec![Message::human(QUESTION)];
    loop {
        let result = chat.generate(&[messages.clone()]).await?;
        let choice = result.generations.into_iter().flatten().next();
        let message = choice.and_then(|choice| choice.message);
        let message = message.ok_or("the model said nothing")?;
        if message.tool_calls.is_empty() {
            return Ok(message.text().into_owned());
        }
        let calls = message.tool_calls.clone();
        messages.push(message);
        for call in calls {
            let id = call.id.unwrap_or_default();
            let input = call.args.to_string();
            let tool = callbacks.tool_start(&WEATHER, &input);
            let run = tool.inputs(&call.args).tool_call_id(&id).await?;
            let output = format!("sunny in {}", call.args["city"]);
            run.end(|| json!(output)).await?;
            messages.push(Message::tool(output, id));
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let tool = json!({
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": { "city": { "type": "string" } },
                "required": ["city"],
            },
        },
    });
    let model = std::env::args().nth(1);
    let chat = ChatOpenAi::new().streaming(true).tools([tool]);
    let chat = chat.model(model.as_deref().unwrap_or("gpt-4o-mini"));
    let server = Server::start(script())?;
    let chat = if std::env::var_os("OPENAI_BASE_URL").is_some() {
        chat
    } else {
        chat.endpoint(&server.base_url(), "none")?
    };
    let callbacks = Callbacks::new().with(StdoutHandler::new());
    println!("{}", answer(chat, &callbacks).await?);
    Ok(())
}
