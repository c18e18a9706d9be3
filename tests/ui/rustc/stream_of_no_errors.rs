use callbacks::{Callbacks, Chunk, EmitError, Serialized};

struct Status(u16);

fn main() -> Result<(), EmitError> {
    let model = Serialized::new("MyModel");
    let callbacks = Callbacks::new().blocking();
    let run = callbacks.llm_start(&model, Vec::new).start()?;
    let words = vec![Ok("Be"), Err(Status(503))];
    for _word in run.stream(words, |word| Chunk::text(*word)) {}
    Ok(())
}
