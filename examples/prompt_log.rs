//! A log file of all prompts. Nobody waits for the disk until the end.
//!
//! ```sh
//! cargo run --example prompt_log -- prompts.log
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use callbacks::{Callbacks, Queue, Run, RunError, callback_handler, handler};
use callbacks_examples::ChatOpenAi;

/// It is called for one event after another, so the lines of two runs never mix.
struct PromptLog(BufWriter<File>);

#[callback_handler]
impl PromptLog {
    /// Chat models are heard here too, with their messages as text.
    fn on_llm_start(&mut self, prompts: &[String], run: &Run<'_>) -> io::Result<()> {
        for prompt in prompts {
            let (name, tags) = (run.name(), run.tags().join(","));
            writeln!(self.0, "{} {name} {tags}: {prompt}", run.id())?;
        }
        Ok(())
    }

    /// What is on disk then can be read while the program runs.
    fn on_llm_end(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn on_llm_error(&mut self, error: &RunError, run: &Run<'_>) -> io::Result<()> {
        writeln!(self.0, "{} failed: {error}", run.id())?;
        self.0.flush()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or("prompts.log".to_owned());
    let file = File::options().create(true).append(true).open(&path)?;
    let log = handler(PromptLog(BufWriter::new(file)))
        .background(Queue::bounded(1024))
        .named("prompts");
    let callbacks = Callbacks::new().with(log).tag("prod");

    let chat = ChatOpenAi::new().callbacks(callbacks.clone());
    chat.invoke("Tell me a joke").await?;
    println!("{:?}", chat.invoke("Is there life on Mars?").await);

    // What did not arrive is said here: a full disk shows as failed.
    let report = callbacks.flush(Duration::from_secs(5)).await;
    println!("{:?}", report.handler("prompts"));
    print!("{}", std::fs::read_to_string(&path)?);
    Ok(())
}
