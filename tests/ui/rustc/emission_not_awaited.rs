#![deny(unused_must_use)]

use callbacks::{LlmResult, LlmRun};

async fn stream(run: LlmRun) {
    run.new_token("Because");
    run.end(&LlmResult::from_text("Because"));
}

async fn fail(run: LlmRun) {
    run.error(std::fmt::Error);
}

fn main() {
    let _ = (stream, fail);
}
