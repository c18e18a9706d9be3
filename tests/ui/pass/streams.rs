//! Streams of all sorts, in futures that must be `Send`: in a spawned task and in a boxed future.
#![deny(warnings)]

use std::pin::{Pin, pin};

use callbacks::{BoxError, Callbacks, Chunk, LlmRun, Serialized};
use futures_util::{Stream, StreamExt, stream};

static MODEL: Serialized = Serialized::new("Model");

fn lines() -> impl Stream<Item = Result<String, BoxError>> + Send + 'static {
    stream::iter([Ok("Because".to_owned())])
}

type BoxFuture<'a> = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send + 'a>>;

/// As `async_trait` makes it.
fn boxed<'a>(callbacks: &'a Callbacks, prompt: &'a str) -> BoxFuture<'a> {
    Box::pin(async move {
        let run = callbacks.llm_start(&MODEL, || vec![prompt.to_owned()]).await?;
        let mut items = run.stream(lines().map(|line| line), |line| Chunk::text(line)).raise();
        let mut answer = String::new();
        while let Some(line) = items.next().await {
            answer += &line?;
        }
        Ok(answer)
    })
}

/// Items that borrow.
fn borrowed<'a>(callbacks: &'a Callbacks, prompt: &'a str) -> BoxFuture<'a> {
    Box::pin(async move {
        let run = callbacks.llm_start(&MODEL, Vec::new).await?;
        let words = stream::iter(prompt.split(' ').map(Ok::<_, std::io::Error>));
        let mut items = run.stream(words, |word| Some(Chunk::text(*word)));
        let mut answer = String::new();
        while let Some(word) = items.next().await {
            answer += word?;
        }
        Ok(answer)
    })
}

/// A thread that waits, in such a future.
fn blocking<'a>(callbacks: &'a Callbacks, prompt: &'a str) -> BoxFuture<'a> {
    Box::pin(async move {
        let callbacks = callbacks.blocking();
        let run = callbacks.llm_start(&MODEL, Vec::new).start()?;
        let words = prompt.split(' ').map(Ok::<_, BoxError>).map(|word| word);
        let mut items = run.stream(words, |word| Chunk::text(*word)).raise();
        let first = items.next().transpose()?;
        std::future::ready(()).await;
        Ok(first.map(str::to_owned).unwrap_or_default())
    })
}

fn spawned(run: LlmRun) -> impl Future<Output = ()> + Send + 'static {
    async move {
        let mut items = pin!(run.stream(lines().map(|line| line), |line| Chunk::text(line)));
        while items.next().await.is_some() {}
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let callbacks = Callbacks::new();
    assert_eq!(boxed(&callbacks, "Why?").await?, "Because");
    assert_eq!(borrowed(&callbacks, "Why not").await?, "Whynot");
    assert_eq!(blocking(&callbacks, "Why not").await?, "Why");
    let run = callbacks.llm_start(&MODEL, Vec::new).await?;
    tokio::spawn(spawned(run)).await?;
    Ok(())
}
