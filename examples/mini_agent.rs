//! An agent as a framework would have it: turns of a model that streams, a search, tools at once, one that
//! is tried again, one that is an agent itself, one that a person has to approve. It emits every built-in
//! event, and one of its own. `docs/embedding.md` goes through it step by step.
//!
//! ```sh
//! cargo run --example mini_agent
//! ```

use callbacks::handlers::StdoutHandler;
use callbacks::{
    AgentAction, AgentFinish, Asked, BoxError, Callbacks, ChainRun, Chunk, Decision, Document,
    EmitError, Generation, LlmResult, LlmRun, Message, ModelParams, RetryState, RunError, RunKind,
    Serialized, ToolCall, ToolCallChunk, ToolDecision, ToolRun, callback_events, callback_handler,
};
use callbacks_examples::tea_house as world;
use futures_util::future::{BoxFuture, try_join_all};
use serde_json::{Value, json};

static AGENT: Serialized = Serialized::new("MiniAgent");
static CHAT: Serialized = Serialized::new("MiniChat");
static TITLES: Serialized = Serialized::new("MiniText");
static INDEX: Serialized = Serialized::new("MiniIndex");

const MOST_TURNS: u32 = 5;
const MOST_ATTEMPTS: u32 = 3;

/// What only this framework knows of. Its users write `#[callback_handler(events = turns)]`.
#[callback_events]
pub mod turns {
    /// The model is asked what to do next.
    pub struct Turn {
        /// From 1 on.
        pub number: u32,
        /// How many messages it is given.
        pub messages: usize,
    }
}

/// Every part has this shape: start the run, do the work in a function of its own, finish the run with what
/// came of it. So no `?` in the work leaves the run without its error. (Boxed, as a tool may be an agent.)
pub(crate) fn agent<'a>(
    name: &'static str,
    question: &'a str,
    callbacks: &'a Callbacks,
) -> BoxFuture<'a, Result<String, BoxError>> {
    Box::pin(async move {
        let start = callbacks.chain_start(&AGENT, || json!({ "question": question }));
        let run = start.name(name).kind(RunKind::Agent).await?;
        let answer = take_turns(question, &run).await;
        let output = answer.as_ref().map(|answer| move || json!(answer));
        run.finish(output).await?;
        answer
    })
}

async fn take_turns(question: &str, run: &ChainRun) -> Result<String, BoxError> {
    // What runs inside is started from these, and is a child of this run on whichever thread.
    let callbacks = run.callbacks();
    let found = search(question, callbacks).await?;
    let notes: Vec<_> = found.iter().map(|found| &*found.page_content).collect();
    let mut messages = vec![Message::system(notes.join("\n")), Message::human(question)];
    for number in 1..=MOST_TURNS {
        let turn = turns::Turn {
            number,
            messages: messages.len(),
        };
        run.emit(turn).await?;
        let reply = chat(&messages, callbacks).await?;
        let calls = &reply.tool_calls;
        if calls.is_empty() {
            let answer = format!("{}: {}", title(question, callbacks).await?, reply.text());
            run.agent_finish(|| AgentFinish::new(json!(answer))).await?;
            return Ok(answer);
        }
        for call in calls {
            run.agent_action(|| AgentAction::new(&*call.name, call.args.clone()))
                .await?;
        }
        run.text(&format!("{} tools at once", calls.len())).await?;
        let outputs = try_join_all(calls.iter().map(|call| tool(call, callbacks))).await?;
        messages.push(reply);
        messages.extend(outputs);
    }
    Err(format!("no answer after {MOST_TURNS} turns").into())
}

async fn search(query: &str, callbacks: &Callbacks) -> Result<Vec<Document>, BoxError> {
    let run = callbacks.retriever_start(&INDEX, query).await?;
    let found = world::find(query).map_err(BoxError::from);
    run.finish(found.as_ref()).await?;
    found
}

/// With `.ask()`, handlers may rewrite what goes to the model, or answer in its place.
async fn chat(messages: &[Message], callbacks: &Callbacks) -> Result<Message, BoxError> {
    let params = || ModelParams::new().with_model("mini-1").with_stream(true);
    let start = callbacks.chat_model_start(&CHAT, messages).params(params);
    let result = match start.ask().await? {
        Asked::Answered(answer) => answer,
        Asked::Go(run) => {
            let messages = run.messages().unwrap_or(messages).to_vec();
            let run = run.into_run();
            let result = stream(&messages, &run).await;
            run.finish(result.as_ref()).await?;
            result?
        }
    };
    let choice = result.generations.into_iter().flatten().next();
    let message = choice.and_then(|choice| choice.message);
    message.ok_or_else(|| "the model said nothing".into())
}

async fn stream(messages: &[Message], run: &LlmRun) -> Result<LlmResult, BoxError> {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for delta in world::reply(messages)? {
        match delta {
            world::Delta::Word(word) => {
                run.new_token(word).await?;
                text.push_str(word);
            }
            world::Delta::Call(call) => {
                run.new_chunk(|| Chunk::default().with_tool_calls([whole(&call)]))
                    .await?;
                calls.push(call);
            }
        }
    }
    let mut message = Message::ai(text);
    message.tool_calls = calls;
    let generation = Generation::from_message(message);
    Ok(LlmResult::new(vec![vec![generation]]))
}

/// As a chunk: other providers send calls in pieces.
fn whole(call: &ToolCall) -> ToolCallChunk {
    let mut chunk = ToolCallChunk::new().with_name(&*call.name);
    chunk.id.clone_from(&call.id);
    chunk.with_args(call.args.to_string())
}

/// What a tool does wrong is for the model to read. Only what handlers raise is an error here.
async fn tool(call: &ToolCall, callbacks: &Callbacks) -> Result<Message, EmitError> {
    let (id, input) = (
        call.id.as_deref().unwrap_or_default(),
        call.args.to_string(),
    );
    let serialized = Serialized::from(call.name.clone());
    let start = callbacks.tool_start(&serialized, &input);
    let start = start.inputs(&call.args).tool_call_id(id);
    let output = match start.ask().await {
        Ok(Asked::Answered(output)) => Ok(output),
        Ok(Asked::Go(run)) => {
            // The input as decided.
            let input = run.input().to_owned();
            let run = run.into_run();
            let output = perform(&call.name, &input, &run).await;
            run.finish(output.as_ref()).await?;
            output
        }
        Err(EmitError::Stopped { reason }) => Err(reason.into()),
        Err(raised) => return Err(raised),
    };
    let output = output.map_or_else(|error| format!("failed: {error}"), |it| it.to_string());
    Ok(Message::tool(output, id))
}

async fn perform(name: &str, input: &str, run: &ToolRun) -> Result<Value, BoxError> {
    let input: Value = serde_json::from_str(input)?;
    if name == "research" {
        let question = input["question"].as_str().unwrap_or_default();
        let answer = agent("researcher", question, run.callbacks()).await?;
        return Ok(json!(answer));
    }
    let mut attempt = 1;
    let output = loop {
        match world::call(name, &input, attempt) {
            Err(error) if attempt < MOST_ATTEMPTS => {
                let state = RetryState::new(attempt).with_max_attempts(MOST_ATTEMPTS);
                run.retry(|| state.with_error(RunError::new(error))).await?;
                attempt += 1;
            }
            output => break output,
        }
    };
    run.custom_event("attempts", || json!(attempt)).await?;
    Ok(output?)
}

/// A model that completes text. Handlers without a method for chat models hear those as text, too.
async fn title(question: &str, callbacks: &Callbacks) -> Result<String, BoxError> {
    let prompts = || vec![format!("A title for: {question}")];
    let run = callbacks.llm_start(&TITLES, prompts).await?;
    let title = question.trim_end_matches(['?', '.']);
    run.end(|| LlmResult::from_text(title)).await?;
    Ok(title.to_owned())
}

/// A handler of the framework's own event.
struct Turns;

#[callback_handler(events = turns)]
impl Turns {
    fn on_turn(&self, number: u32, messages: usize) {
        println!("turn {number}, with {messages} messages");
    }
}

/// A person, who is no friend of big orders.
struct Approver;

#[callback_handler]
impl Approver {
    fn on_tool_request(&self, serialized: Option<&Serialized>, input: &str) -> ToolDecision {
        match serialized.map(|tool| &*tool.name) {
            Some("order") if input.contains("1000") => {
                Decision::Rewrite(input.replace("1000", "2"))
            }
            Some("pay") => Decision::Stop("nobody pays".to_owned()),
            _ => Decision::Continue,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let callbacks = Callbacks::new()
        .with(StdoutHandler::new())
        .with(Turns)
        .with(Approver);
    for question in ["Get tea for two.", "What is in the vault?", "Be quick."] {
        match agent("host", question, &callbacks).await {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("no answer: {error}"),
        }
    }
}
