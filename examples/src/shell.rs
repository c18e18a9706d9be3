//! A tool that emits callbacks. It runs nothing.

use callbacks::{Asked, Callbacks, EmitError, Serialized};
use serde_json::{Value, json};

static SHELL: Serialized = Serialized::new("Shell");

/// A tool that says what it would run.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    callbacks: Callbacks,
}

impl Shell {
    /// A shell, and who is to hear of it.
    #[must_use]
    pub fn new(callbacks: Callbacks) -> Self {
        Self { callbacks }
    }

    /// Runs a command, as the handlers decide.
    ///
    /// # Errors
    ///
    /// If a handler stops it.
    pub async fn run(&self, command: &str) -> Result<Value, EmitError> {
        match self.callbacks.tool_start(&SHELL, command).ask().await? {
            Asked::Answered(output) => Ok(output),
            Asked::Go(run) => {
                let output = json!(format!("ran `{}`", run.input()));
                run.end(&output).await?;
                Ok(output)
            }
        }
    }
}
