//! An agent of rig's with a tool, and what it does on the terminal, with a handler that has the last word on
//! tools. It is asked twice, the second time for a stream.
//!
//! ```sh
//! cargo run --example weather
//! ```
//!
//! A server on loopback plays the model. With `OPENAI_BASE_URL`, and `OPENAI_API_KEY`, another does.

use callbacks::handlers::StdoutHandler;
use callbacks::{BoxError, Callbacks, Decision, ModelParams, ToolDecision, callback_handler};
use callbacks_loopback::{Answer, Request, Server};
use callbacks_rig::Observe;
use futures_util::StreamExt;
use rig_agent::AgentBuilder;
use rig_agent::agent::MultiTurnStreamItem;
use rig_agent::tool::{DynamicTool, ToolOutput};
use rig_core::message::ToolName;
use rig_core::providers::openai::OpenAIConfig;
use serde_json::json;

const MODEL: &str = "gpt-4o-mini";

/// Nobody asks for the weather in Atlantis.
struct Atlas;

#[callback_handler]
impl Atlas {
    fn on_tool_request(&self, input: &str) -> ToolDecision {
        if input.contains("Atlantis") {
            return Decision::Stop("there is no such city".to_owned());
        }
        Decision::Continue
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), BoxError> {
    let server = Server::answering(play)?;
    let mut config = OpenAIConfig::new(std::env::var("OPENAI_API_KEY").unwrap_or_default());
    config.base_url = std::env::var("OPENAI_BASE_URL").unwrap_or_else(|_| server.base_url());

    let parameters = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
    });
    let name = ToolName::new("weather")?;
    let weather = DynamicTool::new(name, "The weather in a city", parameters, |args| {
        let city = args["city"].as_str().unwrap_or("nowhere").to_owned();
        Box::pin(async move { Ok(ToolOutput::text(format!("It is sunny in {city}."))) })
    });
    let agent = AgentBuilder::new(config.client().chat(MODEL))
        .name("host")
        .default_max_turns(3)
        .dynamic_tool(weather)
        .build();

    let callbacks = Callbacks::new().with(StdoutHandler::new()).with(Atlas);
    let params = ModelParams::new().with_provider("openai").with_model(MODEL);

    let response = agent
        .prompt("How is the weather in Rome?")
        .observed(&callbacks);
    println!("{}", response.params(params.clone()).await?.output());

    let stream = agent.prompt("And in Atlantis?").observed(&callbacks);
    let mut stream = stream.params(params).stream();
    while let Some(item) = stream.next().await {
        if let MultiTurnStreamItem::FinalResponse(response) = item? {
            println!("{}", response.output());
        }
    }
    Ok(())
}

/// What a model would say.
fn play(request: &Request) -> Answer {
    let messages = request.body["messages"].as_array();
    let last = messages.and_then(|messages| messages.last());
    let usage = json!({ "prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26 });
    let answer = match last {
        Some(last) if last["role"] == "tool" => {
            let told = last["content"].as_str().unwrap_or_default();
            Answer::new(["I hear: ", told])
        }
        _ => {
            let city = if request.prompt().contains("Rome") {
                "Rome"
            } else {
                "Atlantis"
            };
            let args = json!({ "city": city }).to_string();
            Answer::new([""; 0]).tool_call("call_1", "weather", [args])
        }
    };
    answer.usage(usage)
}
