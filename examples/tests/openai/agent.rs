//! A small agent around the model, for what happens to both.

use callbacks::{BoxError, Callbacks, Message, RunKind, Serialized};
use callbacks_examples::ChatOpenAi;
use callbacks_loopback::{Answer, Reply};
use serde_json::{Value, json};

use crate::because;

static AGENT: Serialized = Serialized::new("Agent");
static DIVIDE: Serialized = Serialized::new("divide");

/// The model has two tools called at once, and then answers.
pub(crate) fn script(by: &str) -> [Reply; 2] {
    let args = |by: &str| [r#"{"by":"#.to_owned(), format!("{by}}}")];
    let asks = Answer::new(["I", " divide."])
        .tool_call("call_1", "divide", args("2"))
        .tool_call("call_2", "divide", args(by));
    [asks.into(), because().into()]
}

pub(crate) async fn agent(chat: &ChatOpenAi, callbacks: &Callbacks) -> Result<String, BoxError> {
    let start = callbacks.chain_start(&AGENT, || json!("Why?"));
    let run = start.kind(RunKind::Agent).await?;
    let answer = converse(
        &chat.clone().callbacks(run.callbacks().clone()),
        run.callbacks(),
    )
    .await;
    let output = answer.as_ref().map(|answer| move || json!(answer));
    run.finish(output).await?;
    answer
}

async fn converse(chat: &ChatOpenAi, callbacks: &Callbacks) -> Result<String, BoxError> {
    let mut messages = vec![Message::human("Why?")];
    loop {
        let result = chat.generate(&[messages.clone()]).await?;
        let choice = result.generations.into_iter().flatten().next();
        let message = choice.and_then(|choice| choice.message).ok_or("nothing")?;
        if message.tool_calls.is_empty() {
            return Ok(message.text().into_owned());
        }
        let calls = message.tool_calls.clone();
        messages.push(message);
        for call in calls {
            let id = call.id.unwrap_or_default();
            let output = divide(&call.args, &id, callbacks).await?;
            messages.push(Message::tool(output.to_string(), id));
        }
    }
}

/// Panics by 0.
async fn divide(args: &Value, id: &str, callbacks: &Callbacks) -> Result<Value, BoxError> {
    let input = args.to_string();
    let start = callbacks.tool_start(&DIVIDE, &input);
    let run = start.inputs(args).tool_call_id(id).await?;
    let output = json!(84 / args["by"].as_u64().unwrap_or(1));
    run.end(&output).await?;
    Ok(output)
}
