//! A framework in miniature: what LangChain's runnables are in the scenarios, with the names, the
//! tags and the contents that LangChain gives them.

use std::sync::Arc;

use callbacks::{
    Callbacks, ChainRun, Chunk, EmitError, Generation, LlmResult, LlmRun, Message, ModelParams,
    RunError, RunKind, Serialized,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::runner::Outcome;
use crate::scene::Scene;

/// What the model of most scenarios answers, in tokens.
pub(crate) const HELLO: [&str; 3] = ["Hello", " ", "world"];

/// An exception of Python's.
pub(crate) fn value_error(message: &str) -> RunError {
    RunError::new(message).with_type_name("ValueError")
}

/// A message as it is recorded where it is the input or output of a chain.
pub(crate) fn ai(text: &str) -> Value {
    json!({ "type": "ai", "content": text })
}

pub(crate) fn generation(text: &str) -> Generation {
    Generation::from_message(Message::ai(text))
}

/// What a chat model answers.
pub(crate) fn reply(text: &str) -> LlmResult {
    LlmResult::new(vec![vec![generation(text)]])
}

/// How a model is called: in a batch of this size.
pub(crate) fn batch(size: u64) -> ModelParams {
    ModelParams::new().with_extra("batch_size", size)
}

/// Starts a chat model that is not serializable, in a batch of one.
pub(crate) async fn chat_with(
    callbacks: &Callbacks,
    messages: &[Message],
) -> Result<LlmRun, EmitError> {
    let model = unserializable("TokModel");
    let start = callbacks.chat_model_start(&model, messages);
    start.params(batch(1)).await
}

/// The same, on a message.
pub(crate) async fn chat(callbacks: &Callbacks, text: &str) -> Result<LlmRun, EmitError> {
    chat_with(callbacks, &[Message::human(text)]).await
}

/// A whole call of it, without streaming.
pub(crate) async fn answer(callbacks: &Callbacks, messages: &[Message]) -> Outcome {
    let run = chat_with(callbacks, messages).await?;
    run.end(reply("Hello world")).await?;
    Ok(ai("Hello world"))
}

/// A whole call of it that streams.
pub(crate) async fn stream(callbacks: &Callbacks, text: &str) -> Outcome {
    let run = chat(callbacks, text).await?;
    for token in HELLO {
        run.new_chunk(Chunk::text(token)).await?;
    }
    run.end(reply("Hello world")).await?;
    Ok(ai("Hello world"))
}

/// Who runs, as LangChain says it of what it cannot serialize.
pub(crate) fn unserializable(name: &'static str) -> Serialized {
    Serialized::new(name).with_extra("type", "not_implemented")
}

/// Starts a chain of this name. LangChain says of most chains nothing but that.
pub(crate) async fn chain(
    callbacks: &Callbacks,
    name: &'static str,
    input: impl Into<Value>,
) -> Result<ChainRun, EmitError> {
    callbacks.chain_start(None, input.into()).name(name).await
}

/// A whole run of it.
pub(crate) async fn lambda(
    callbacks: &Callbacks,
    name: &'static str,
    input: impl Into<Value>,
    output: impl Into<Value>,
) -> Result<(), EmitError> {
    let run = chain(callbacks, name, input).await?;
    run.end(output.into()).await
}

/// What a step of a sequence is started from: its number is a tag for itself alone.
pub(crate) fn step(sequence: &ChainRun, number: usize) -> Callbacks {
    let tag = format!("seq:step:{number}");
    sequence.callbacks().local_tag(tag)
}

/// A prompt, from its template.
pub(crate) async fn prompt(callbacks: &Callbacks, x: &str) -> Result<Vec<Message>, EmitError> {
    let template = Serialized::new("ChatPromptTemplate").with_extra("type", "constructor");
    let start = callbacks.chain_start(&template, json!({ "x": x }));
    let run = start.kind(RunKind::Custom("prompt")).await?;
    let text = format!("Tell me about {x}");
    let message = json!({ "type": "human", "content": text });
    run.end(json!({ "messages": [message] })).await?;
    Ok(vec![Message::human(text)])
}

/// Starts the parser that makes text of a message.
pub(crate) async fn parser(callbacks: &Callbacks, input: Value) -> Result<ChainRun, EmitError> {
    let start = callbacks.chain_start(None, input).name("StrOutputParser");
    start.kind(RunKind::Custom("parser")).await
}

/// `prompt | model | parser`, in a run that was started.
pub(crate) async fn sequence(root: ChainRun, x: &str) -> Outcome {
    let messages = prompt(&step(&root, 1), x).await?;
    let message = answer(&step(&root, 2), &messages).await?;
    let parser = parser(&step(&root, 3), message).await?;
    parser.end(json!("Hello world")).await?;
    root.end(json!("Hello world")).await?;
    Ok(json!("Hello world"))
}

/// `prompt | model | parser`, streaming, up to the first token: the runs of the model and of the
/// parser.
pub(crate) async fn streaming(root: &ChainRun, x: &str) -> Result<(LlmRun, ChainRun), EmitError> {
    let messages = prompt(&step(root, 1), x).await?;
    let model = chat_with(&step(root, 2), &messages).await?;
    model.new_chunk(Chunk::text(HELLO[0])).await?;
    let parser = parser(&step(root, 3), json!({ "input": "" })).await?;
    Ok((model, parser))
}

/// Runs `work` until it waits at the point it is given, and cancels it there.
pub(crate) async fn cancelled<F>(work: impl FnOnce(Arc<Notify>) -> F)
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let here = Arc::new(Notify::new());
    let task = tokio::spawn(work(here.clone()));
    here.notified().await;
    task.abort();
    let over = task.await.expect_err("it was cancelled");
    assert!(over.is_cancelled(), "{over}");
}

/// What never comes to an end, to be cancelled in.
pub(crate) async fn nap(here: &Notify) -> Outcome {
    here.notify_one();
    std::future::pending().await
}

/// The user got a part of a stream.
pub(crate) fn got(scene: &Scene, text: &str) {
    scene.mark("user.got", json!({ "text": text }));
}
