//! What is as in LangChain: calls of models.

use std::time::Duration;

use callbacks::events::{LlmEnd, LlmNewToken, LlmStart};
use callbacks::{Callbacks, Chunk, Event, Interests, LlmResult, Message};
use callbacks_tests::Log;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::framework::{
    HELLO, ai, answer, batch, chat, generation, got, reply, stream, unserializable, value_error,
};
use crate::observer::{Act, AsyncAct, nothing, nothing_async};
use crate::payload::result;
use crate::runner::Outcome;
use crate::scene::Scene;

pub(crate) async fn seed_joke_en(scene: Scene) -> Outcome {
    let stdout = Log::new();
    let print = stdout.clone();
    let says: Act = Box::new(move |line| {
        let token = line["payload"]["args"][0].as_str().unwrap_or_default();
        let says = "Sync handler being called in a `thread_pool_executor`: token: ";
        print.add(format_args!("{says}{token}"));
        Ok(())
    });
    let print = stdout.clone();
    let sleeps: AsyncAct = Box::new(move |line| {
        let print = print.clone();
        Box::pin(async move {
            print.add("zzzz....");
            sleep(Duration::from_millis(300)).await;
            let what = match line["event"].as_str() {
                Some("on_llm_start") => "starting",
                _ => "ending",
            };
            print.add(format_args!("Hi! I just woke up. Your llm is {what}"));
            Ok(())
        })
    });
    let tokens = Interests::of(&[LlmNewToken::INDEX]);
    let around = Interests::of(&[LlmStart::INDEX, LlmEnd::INDEX]);
    let callbacks = Callbacks::new()
        .with(scene.plain_text("s:seed", says).only(tokens))
        .with(scene.awaited_text("a:seed", sleeps).only(around));

    let before = Instant::now();
    let tokens = [
        "",
        "Why",
        " don",
        "'t",
        " scientists",
        " trust",
        " atoms",
        "?",
        " \n\n",
        "Because",
        " they",
        " make",
        " up",
        " everything",
        ".",
        "",
    ];
    let run = chat(&callbacks, "Tell me a joke").await?;
    for token in tokens {
        run.new_chunk(Chunk::text(token)).await?;
    }
    let joke = reply(&tokens.concat());
    run.end(&joke).await?;
    // on the clock that jumps
    scene.observe(
        "elapsed_0_6_to_0_75",
        before.elapsed() == Duration::from_millis(600),
    );
    scene.observe("stdout", stdout.lines().join("\n") + "\n");
    Ok(result(&joke))
}

pub(crate) async fn stream_backpressure(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    let run = chat(&callbacks, "hi").await?;
    for (i, text) in HELLO.iter().enumerate() {
        scene.mark("model.chunk", json!({ "i": i, "text": text }));
        run.new_chunk(Chunk::text(*text)).await?;
        got(&scene, text);
    }
    run.end(reply("Hello world")).await?;
    Ok(json!(HELLO))
}

pub(crate) async fn sync_handler_under_async(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new()
        .with(scene.plain("s"))
        .with(scene.awaited("a"));
    stream(&callbacks, "hi").await
}

pub(crate) async fn chat_start_fallback_sync(scene: Scene) -> Outcome {
    chat_start_fallback(scene).await
}

pub(crate) async fn chat_start_fallback_async(scene: Scene) -> Outcome {
    chat_start_fallback(scene).await
}

async fn chat_start_fallback(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new()
        .with(scene.plain_text("s", nothing()))
        .with(scene.awaited_text("a", nothing_async()));
    let messages = [Message::system("be nice"), Message::human("hi")];
    answer(&callbacks, &messages).await
}

pub(crate) async fn text_llm_generate(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let model = unserializable("FakeListLLM");
    let mut runs = Vec::new();
    for prompt in ["p1", "p2"] {
        let start = callbacks.llm_start(&model, vec![prompt.to_owned()]);
        runs.push(start.params(batch(2)).await?);
    }
    let mut generations: Vec<Value> = Vec::new();
    for (run, text) in runs.into_iter().zip(["x", "y"]) {
        run.end(LlmResult::from_text(text)).await?;
        generations.push(json!([{ "text": text }]));
    }
    Ok(json!({ "generations": generations }))
}

pub(crate) async fn llm_error_mid_stream_async(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    let run = chat(&callbacks, "hi").await?;
    run.new_chunk(Chunk::text("Hello")).await?;
    run.new_chunk(Chunk::text(" ")).await?;
    let error = value_error("boom at 2");
    let partial = LlmResult::new(vec![vec![generation("Hello ")], Vec::new()]);
    run.error(&error).partial(partial).await?;
    Err(error.into())
}

pub(crate) async fn cache_hit(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    stream(&callbacks, "hi").await?;
    scene.mark("user.second_call", json!({}));
    let hit = answer(&callbacks, &[Message::human("hi")]).await?;
    assert_eq!(hit, ai("Hello world"));
    Ok(Value::Null)
}
