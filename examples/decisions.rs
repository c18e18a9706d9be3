//! Handlers that decide: a person approves tools, an e-mail address is redacted before any log sees it,
//! a budget is kept, a cache answers.
//!
//! ```sh
//! cargo run --example decisions
//! ```

use std::collections::HashMap;
use std::io::{self, Write};

use callbacks::{
    Callbacks, Decision, LlmDecision, LlmResult, Message, Run, RunInfo, Serialized, TokenUsage,
    ToolDecision, callback_handler,
};
use callbacks_examples::{ChatOpenAi, Shell};

/// Asks on the terminal about all tools but those that are harmless. It is called away from the event
/// loop, so it may wait for a person. If nobody is there, its error is a stop.
struct Approver {
    harmless: &'static [&'static str],
}

#[callback_handler]
impl Approver {
    fn on_tool_request(
        &self,
        serialized: Option<&Serialized>,
        input: &str,
    ) -> io::Result<ToolDecision> {
        let name = serialized.map_or("a tool", |tool| &tool.name);
        if self.harmless.contains(&name) {
            return Ok(Decision::Continue);
        }
        print!("{name} wants to run `{input}`: [y]es, [n]o, or what instead? ");
        io::stdout().flush()?;
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        println!();
        Ok(match answer.trim() {
            "y" => Decision::Continue,
            "n" => Decision::Stop("the user said no".to_owned()),
            other => Decision::Rewrite(other.to_owned()),
        })
    }
}

/// Registered first, so that those after it, and every start, see what it made of the prompt.
struct Redact;

#[callback_handler]
impl Redact {
    fn on_llm_request(&self, messages: &[Message]) -> LlmDecision {
        let mut messages = messages.to_vec();
        for message in &mut messages {
            let words = message.text().into_owned();
            let words = words
                .split(' ')
                .map(|word| if word.contains('@') { "<mail>" } else { word });
            message.content = words.collect::<Vec<_>>().join(" ").into();
        }
        Decision::Rewrite(messages)
    }
}

/// Answers what was answered before.
#[derive(Default)]
struct Cache {
    /// By the run itself, for two may have the same id.
    asked: HashMap<RunInfo, String>,
    answers: HashMap<String, LlmResult>,
}

#[callback_handler]
impl Cache {
    fn on_llm_request(&mut self, messages: &[Message], run: &Run<'_>) -> LlmDecision {
        let prompt = callbacks::buffer_string(messages);
        if let Some(answer) = self.answers.get(&prompt) {
            return Decision::Answer(answer.clone());
        }
        self.asked.insert(run.info().clone(), prompt);
        Decision::Continue
    }

    fn on_llm_end(&mut self, response: &LlmResult, run: &Run<'_>) {
        if let Some(prompt) = self.asked.remove(run.info()) {
            let mut answer = response.clone();
            // Whoever counts tokens is told that it takes none the next time.
            answer.llm_output.token_usage = TokenUsage::new();
            self.answers.insert(prompt, answer);
        }
    }

    fn on_llm_error(&mut self, run: &Run<'_>) {
        self.asked.remove(run.info());
    }
}

/// Stops when so many tokens were used.
struct Budget {
    left: u64,
}

#[callback_handler]
impl Budget {
    fn on_llm_request(&self) -> LlmDecision {
        match self.left {
            0 => Decision::Stop("the budget is spent".to_owned()),
            _ => Decision::Continue,
        }
    }

    fn on_llm_end(&mut self, response: &LlmResult) {
        let used = response.usage().output_tokens.unwrap_or_default();
        self.left = self.left.saturating_sub(used);
    }
}

/// Sees what was decided.
struct Log;

#[callback_handler]
impl Log {
    fn on_llm_start(&self, prompts: &[String]) {
        println!("> {}", prompts.join(" "));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let callbacks = Callbacks::new()
        .with(Log)
        .with(Redact)
        .with(Cache::default())
        .with(Budget { left: 20 })
        .with(Approver {
            harmless: &["Calculator"],
        });

    let chat = ChatOpenAi::new().callbacks(callbacks.clone());
    for prompt in [
        "Tell me a joke",
        "Tell me a joke",
        "Who is ada@example.org",
        "Tell me a secret",
    ] {
        match chat.invoke(prompt).await {
            Ok(answer) => println!("{}", answer.text()),
            Err(error) => println!("no answer: {error}"),
        }
    }

    let shell = Shell::new(callbacks);
    for command in ["ls", "rm -rf /", "cat secrets"] {
        match shell.run(command).await {
            Ok(output) => println!("{output}"),
            Err(error) => println!("{error}"),
        }
    }
}
