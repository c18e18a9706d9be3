//! What the attribute costs whoever compiles it: `cargo check` of a crate of handlers under
//! `#[callback_handler]`, beside the same handlers written by hand.
//!
//! Both crates are checked in turn, for whatever else the machine does slows both down; what is
//! compared is the fastest of each.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, io};

const HANDLERS: u32 = 300;
const ROUNDS: u32 = 5;

fn main() -> io::Result<()> {
    // Not in a test.
    if env::args().all(|arg| arg != "--bench") {
        return Ok(());
    }
    let [attribute, by_hand, nothing] = [
        ("attribute", attribute as fn(u32) -> String),
        ("by_hand", by_hand),
        ("nothing", |_| String::new()),
    ]
    .map(|(name, write)| Crate::new(name, write));
    let (attribute, by_hand, nothing) = (attribute?, by_hand?, nothing?);
    let mut fastest = [Duration::MAX; 3];
    for _ in 0..=ROUNDS {
        for (fastest, checked) in fastest.iter_mut().zip([&attribute, &by_hand, &nothing]) {
            *fastest = checked.check()?.min(*fastest);
        }
    }
    let [attribute, by_hand, nothing] = fastest.map(|time| time.as_secs_f64() * 1e3);
    println!("{HANDLERS} handlers of 2 plain and 2 async methods, ms of `cargo check`:");
    println!("  attribute {attribute:6.0}");
    println!("  by hand   {by_hand:6.0}");
    println!("  nothing   {nothing:6.0}");
    let [attribute, by_hand] =
        [attribute, by_hand].map(|time| (time - nothing) / f64::from(HANDLERS));
    println!(
        "a handler: {attribute:.2}, {by_hand:.2} by hand, {:.2} times as much",
        attribute / by_hand
    );
    Ok(())
}

/// A crate of handlers.
struct Crate(PathBuf);

impl Crate {
    fn new(name: &str, handler: fn(u32) -> String) -> io::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(path.join("src"))?;
        let toml = format!(
            "[workspace]\n[package]\nname = {name:?}\nedition = \"2024\"\n[dependencies]\n\
             callbacks = {{ path = \"{}\" }}\nasync-trait = \"0.1\"\n",
            manifest.display()
        );
        fs::write(path.join("Cargo.toml"), toml)?;
        // The versions that are there already.
        fs::copy(
            manifest.with_file_name("Cargo.lock"),
            path.join("Cargo.lock"),
        )?;
        let source = (0..HANDLERS).map(handler);
        fs::write(path.join("src/lib.rs"), source.collect::<String>())?;
        let this = Self(path);
        this.check()?;
        Ok(this)
    }

    /// How long it takes, as if something had been changed.
    fn check(&self) -> io::Result<Duration> {
        let lib = self.0.join("src/lib.rs");
        let source = fs::read_to_string(&lib)?;
        fs::write(&lib, source)?;
        let target = self.0.with_file_name("compile");
        let begin = Instant::now();
        let checked = Command::new(env!("CARGO"))
            .args(["check", "--quiet"])
            .current_dir(&self.0)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_INCREMENTAL", "0")
            .status()?;
        assert!(checked.success());
        Ok(begin.elapsed())
    }
}

fn attribute(number: u32) -> String {
    let mut handler = format!("pub struct Handler{number}(u64);\n");
    let _ = write!(
        handler,
        "#[callbacks::callback_handler]
impl Handler{number} {{
    fn on_llm_new_token(&self, token: &str) {{ let _ = (self.0, token); }}
    fn on_tool_start(&self, input: &str, tool_call_id: Option<&str>) {{ let _ = (self.0, input, tool_call_id); }}
    async fn on_llm_end(&self, response: &callbacks::LlmResult, run: &callbacks::Run<'_>) {{ let _ = (self.0, response, run); }}
    async fn on_tool_error(&self, error: &callbacks::RunError) -> Result<(), callbacks::BoxError> {{ let _ = (self.0, error); Ok(()) }}
}}
pub fn with{number}(callbacks: callbacks::Callbacks) -> callbacks::Callbacks {{ callbacks.with(Handler{number}(1)) }}
"
    );
    handler
}

fn by_hand(number: u32) -> String {
    let mut handler = format!("pub struct Handler{number}(u64);\n");
    let _ = write!(
        handler,
        "impl callbacks::events::CallbackHandler for Handler{number} {{
    fn interests(&self) -> callbacks::Interests {{
        const {{ callbacks::Interests::of(&[<callbacks::events::LlmNewToken<'_> as callbacks::Event>::INDEX, <callbacks::events::ToolStart<'_> as callbacks::Event>::INDEX]) }}
    }}
    fn on_llm_new_token(&self, event: &callbacks::events::LlmNewToken<'_>, _: &callbacks::Run<'_>) -> Result<(), callbacks::BoxError> {{
        let _ = (self.0, event.token);
        Ok(())
    }}
    fn on_tool_start(&self, event: &callbacks::events::ToolStart<'_>, _: &callbacks::Run<'_>) -> Result<(), callbacks::BoxError> {{
        let _ = (self.0, event.input, event.tool_call_id);
        Ok(())
    }}
}}
#[async_trait::async_trait]
impl callbacks::events::AsyncCallbackHandler for Handler{number} {{
    fn interests(&self) -> callbacks::Interests {{
        const {{ callbacks::Interests::of(&[<callbacks::events::LlmEnd<'_> as callbacks::Event>::INDEX, <callbacks::events::ToolError<'_> as callbacks::Event>::INDEX]) }}
    }}
    async fn on_llm_end(&self, event: &callbacks::events::LlmEnd<'_>, run: &callbacks::Run<'_>) -> Result<(), callbacks::BoxError> {{
        let _ = (self.0, event.response, run);
        Ok(())
    }}
    async fn on_tool_error(&self, event: &callbacks::events::ToolError<'_>, _: &callbacks::Run<'_>) -> Result<(), callbacks::BoxError> {{
        let _ = (self.0, event.error);
        Ok(())
    }}
}}
pub fn with{number}(callbacks: callbacks::Callbacks) -> callbacks::Callbacks {{ callbacks.with(callbacks::events::ByHand(Handler{number}(1))) }}
"
    );
    handler
}
