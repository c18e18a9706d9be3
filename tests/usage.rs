//! What is counted of the tokens that models use, and what they cost.

use callbacks::handlers::{Price, Prices, Usage};
use callbacks::{
    Asked, Callbacks, Decision, ErrorKind, LlmOutput, LlmResult, LlmRun, Message, ModelParams,
    RunError, TokenUsage, callback_handler, handler,
};
use callbacks_tests::MODEL;

async fn call(callbacks: &Callbacks) -> LlmRun {
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    start.await.unwrap()
}

async fn call_of(callbacks: &Callbacks, model: &str) -> LlmRun {
    let params = ModelParams::new().with_model(model);
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    start.params(&params).await.unwrap()
}

fn answer(model: &str, tokens: TokenUsage) -> LlmResult {
    let output = LlmOutput::new()
        .with_model_name(model)
        .with_token_usage(tokens);
    LlmResult::from_text("Because.").with_llm_output(output)
}

fn took(input: u64, output: u64) -> TokenUsage {
    TokenUsage::new()
        .with_input_tokens(input)
        .with_output_tokens(output)
}

#[tokio::test]
async fn tokens_are_counted_for_each_model() {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(usage.clone());
    let cached = took(10, 4).with_cache_read(6).with_reasoning(3);
    let run = call(&callbacks).await;
    run.end(&answer("big", cached.clone())).await.unwrap();
    let run = call(&callbacks).await;
    run.end(&answer("big", cached)).await.unwrap();
    let run = call(&callbacks).await;
    run.end(&answer("small", took(1, 2))).await.unwrap();

    let models = usage.by_model();
    assert_eq!(models.keys().collect::<Vec<_>>(), ["big", "small"]);
    let big = took(20, 8).with_cache_read(12).with_reasoning(6);
    assert_eq!(models["big"].tokens, big);
    assert_eq!((models["big"].calls, models["big"].failed), (2, 0));
    let total = usage.total();
    assert_eq!((total.calls, total.unreported), (3, 0));
    assert_eq!(total.tokens.output_tokens, Some(10));
}

#[tokio::test]
async fn a_model_goes_by_what_answered_then_by_what_was_asked_then_by_the_run() {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(usage.clone());
    let run = call_of(&callbacks, "asked").await;
    run.end(&answer("answered", took(1, 1))).await.unwrap();
    let run = call_of(&callbacks, "asked").await;
    run.end(&LlmResult::from_text("Because.")).await.unwrap();
    let run = call(&callbacks).await;
    run.end(&LlmResult::from_text("Because.")).await.unwrap();
    let models = usage.by_model();
    let names: Vec<_> = models.keys().map(String::as_str).collect();
    assert_eq!(names, ["Model", "answered", "asked"]);
}

#[tokio::test]
async fn calls_that_fail_count_with_what_had_arrived() {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(usage.clone());
    let error = || RunError::new("the line went dead");
    let run = call_of(&callbacks, "model").await;
    let partial = answer("model", took(7, 3));
    run.error(error()).partial(&partial).await.unwrap();
    let run = call_of(&callbacks, "model").await;
    run.error(error()).await.unwrap();
    drop(call_of(&callbacks, "model").await);
    let report = callbacks.flush(std::time::Duration::from_secs(60)).await;
    assert!(report.is_complete(), "{report:?}");

    let model = &usage.by_model()["model"];
    assert_eq!((model.calls, model.failed), (3, 3));
    assert_eq!(model.unreported, 2);
    assert_eq!(model.tokens, took(7, 3));
}

#[tokio::test]
async fn what_nobody_said_is_not_zero() {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(usage.clone());
    let run = call(&callbacks).await;
    run.end(&answer("model", TokenUsage::new())).await.unwrap();
    let total = usage.total();
    assert_eq!((total.calls, total.unreported), (1, 1));
    assert_eq!(total.tokens, TokenUsage::new());
    // One side of two is not all.
    let run = call(&callbacks).await;
    let written = TokenUsage::new().with_output_tokens(4);
    run.end(&answer("model", written.clone())).await.unwrap();
    assert_eq!(usage.total().unreported, 2);
    assert_eq!(usage.total().tokens, written);
}

#[tokio::test]
async fn clones_are_one_handler() {
    let usage = Usage::new();
    let mine = Callbacks::new().with(usage.clone());
    let both = mine
        .clone()
        .with(handler(usage.clone()).inline())
        .merge(&mine);
    let run = call(&both).await;
    run.end(&answer("model", took(2, 1))).await.unwrap();
    assert_eq!(usage.total().calls, 1);
    assert_eq!(usage.take()["model"].tokens, took(2, 1));
    assert_eq!(usage.total().calls, 0);
}

struct Never;

#[callback_handler]
impl Never {
    fn on_llm_request(&self) -> Decision<Vec<Message>, LlmResult> {
        Decision::Stop("no".to_owned())
    }
}

#[tokio::test]
async fn a_call_that_was_stopped_is_none() {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(Never).with(usage.clone());
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    assert!(start.await.is_err());
    assert_eq!(usage.total().calls, 0);
    // Whatever the error is called, what was used was used.
    let callbacks = Callbacks::new().with(usage.clone());
    let stopped = RunError::new("no").with_kind(ErrorKind::Stopped);
    let partial = answer("model", took(1, 1));
    let run = call(&callbacks).await;
    run.error(stopped).partial(&partial).await.unwrap();
    assert_eq!(usage.total().failed, 1);
}

/// Knows the answer.
struct Cache;

#[callback_handler]
impl Cache {
    fn on_llm_request(&self) -> Decision<Vec<Message>, LlmResult> {
        Decision::Answer(answer("cache", took(0, 0)))
    }
}

#[tokio::test]
async fn a_call_that_was_answered_counts_what_the_answer_says() {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(Cache).with(usage.clone());
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    let asked = start.ask().await.unwrap();
    assert!(matches!(asked, Asked::Answered(_)));
    let total = usage.total();
    assert_eq!((total.calls, total.failed, total.unreported), (1, 0, 0));
    assert_eq!(total.tokens.output_tokens, Some(0));
    assert_eq!(usage.by_model()["cache"].calls, 1);
}

#[tokio::test]
async fn costs_are_exact_and_what_has_no_price_is_said() {
    let usage = Usage::new();
    let callbacks = Callbacks::new().with(usage.clone());
    let cached = took(1_000, 10).with_cache_read(600).with_cache_write(100);
    for (model, tokens) in [
        ("big", cached),
        ("small", took(3, 1)),
        ("other", took(5, 5)),
        ("small", TokenUsage::new()),
    ] {
        call(&callbacks)
            .await
            .end(&answer(model, tokens))
            .await
            .unwrap();
    }
    let prices = Prices::new()
        .with(
            "big",
            Price::new(300, 1_500).cached_input(30).cache_write(375),
        )
        .with("small", Price::new(15, 60))
        .with("unused", Price::new(1, 1));
    let costs = usage.costs(&prices);
    let big = 300 * 300 + 600 * 30 + 100 * 375 + 10 * 1_500;
    assert_eq!(costs.by_model["big"], big);
    assert_eq!(costs.by_model["small"], 3 * 15 + 60);
    assert_eq!(costs.by_model.len(), 2);
    assert_eq!(costs.total(), big + 105);
    assert_eq!(costs.unpriced["other"].tokens, took(5, 5));
    assert_eq!((costs.unreported, costs.is_all()), (1, false));
}

#[test]
fn nonsense_neither_panics_nor_wraps() {
    let price = Price::new(u64::MAX, u64::MAX).cached_input(u64::MAX);
    let tokens = took(u64::MAX, u64::MAX)
        .with_cache_read(u64::MAX)
        .with_cache_write(u64::MAX);
    assert_eq!(price.of(&tokens), u128::MAX);
    // More from the cache than was read at all.
    let tokens = took(1, 0).with_cache_read(5);
    assert_eq!(Price::new(7, 7).cached_input(1).of(&tokens), 5);
    // Without prices of their own, they cost what input costs.
    assert_eq!(Price::new(7, 9).of(&took(5, 1).with_cache_read(5)), 44);
}
