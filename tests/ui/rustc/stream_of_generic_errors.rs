use callbacks::{Chunk, LlmRun};
use futures_util::Stream;

fn answer<E>(run: LlmRun, words: impl Stream<Item = Result<String, E>>) {
    let _ = run.stream(words, |word| Chunk::text(word));
}

fn main() {}
