use callbacks::{EmitError, LlmResult, LlmRun};

async fn finish(run: LlmRun, result: &LlmResult) -> Result<(), EmitError> {
    run.end(result).await?;
    run.end(result).await
}

fn main() {
    let _ = finish;
}
