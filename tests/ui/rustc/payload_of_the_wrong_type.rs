use callbacks::{EmitError, LlmRun};

async fn finish(run: LlmRun) -> Result<(), EmitError> {
    run.end("Because").await
}

fn main() {
    let _ = finish;
}
