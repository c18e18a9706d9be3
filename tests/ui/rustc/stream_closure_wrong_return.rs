use callbacks::{BoxError, Callbacks, EmitError, Serialized};

fn main() -> Result<(), EmitError> {
    let model = Serialized::new("MyModel");
    let callbacks = Callbacks::new().blocking();
    let run = callbacks.llm_start(&model, Vec::new).start()?;
    let words = vec![Ok::<_, BoxError>("Be"), Ok("cause")];
    for _word in run.stream(words, |word| (*word).to_owned()) {}
    Ok(())
}
