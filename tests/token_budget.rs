//! Calls of models stop once so many tokens are spent.

use callbacks::handlers::TokenBudget;
use callbacks::{
    Asked, Callbacks, Decision, EmitError, LlmOutput, LlmResult, LlmRun, Message, RunError,
    TokenUsage, callback_handler,
};
use callbacks_tests::MODEL;

async fn call(callbacks: &Callbacks) -> Result<LlmRun, EmitError> {
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    start.await
}

fn took(tokens: TokenUsage) -> LlmResult {
    LlmResult::from_text("Because.").with_llm_output(LlmOutput::new().with_token_usage(tokens))
}

fn reads_and_writes(input: u64, output: u64) -> LlmResult {
    let tokens = TokenUsage::new().with_input_tokens(input);
    took(tokens.with_output_tokens(output))
}

#[track_caller]
fn assert_stopped(call: Result<LlmRun, EmitError>, because: &str) {
    match call {
        Err(EmitError::Stopped { reason }) => assert_eq!(reason, because),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_are_stopped_when_the_limit_is_reached() {
    let budget = TokenBudget::new(10);
    let callbacks = Callbacks::new().with(budget.clone());
    let run = call(&callbacks).await.unwrap();
    run.end(&reads_and_writes(4, 5)).await.unwrap();
    assert_eq!((budget.spent(), budget.remaining()), (9, 1));
    let run = call(&callbacks).await.unwrap();
    run.end(&reads_and_writes(1, 0)).await.unwrap();
    assert_eq!(budget.remaining(), 0);
    assert_stopped(call(&callbacks).await, "10 tokens of 10 are spent");
    // That was no call, and took nothing.
    assert_eq!(budget.spent(), 10);
}

#[tokio::test]
async fn calls_under_way_go_on_and_may_overshoot() {
    let budget = TokenBudget::new(10);
    let callbacks = Callbacks::new().with(budget.clone());
    let first = call(&callbacks).await.unwrap();
    let second = call(&callbacks).await.unwrap();
    first.end(&reads_and_writes(5, 5)).await.unwrap();
    second.end(&reads_and_writes(5, 5)).await.unwrap();
    assert_eq!((budget.spent(), budget.remaining()), (20, 0));
    assert_stopped(call(&callbacks).await, "20 tokens of 10 are spent");
}

#[tokio::test]
async fn what_had_arrived_of_a_call_that_failed_is_spent() {
    let budget = TokenBudget::new(10);
    let callbacks = Callbacks::new().with(budget.clone());
    let run = call(&callbacks).await.unwrap();
    let partial = reads_and_writes(7, 1);
    let error = run.error(RunError::new("cut off")).partial(&partial);
    error.await.unwrap();
    assert_eq!(budget.spent(), 8);
    let run = call(&callbacks).await.unwrap();
    run.error(RunError::new("cut off")).await.unwrap();
    assert_eq!(budget.spent(), 8);
}

#[tokio::test]
async fn the_greater_of_total_and_sum_is_spent_and_nonsense_is_not_forgiven() {
    let budget = TokenBudget::new(100);
    let callbacks = Callbacks::new().with(budget.clone());
    let total = TokenUsage::new().with_total_tokens(9);
    for (tokens, spent) in [
        (total.clone(), 9),
        (total.clone().with_input_tokens(3), 18),
        (total.with_input_tokens(30), 48),
        (TokenUsage::new(), 48),
        (TokenUsage::new().with_output_tokens(u64::MAX), u64::MAX),
    ] {
        let run = call(&callbacks).await.unwrap();
        run.end(&took(tokens)).await.unwrap();
        assert_eq!(budget.spent(), spent);
    }
    assert!(call(&callbacks).await.is_err());
}

#[tokio::test]
async fn clones_are_one_budget_and_are_called_once() {
    let budget = TokenBudget::new(10);
    let mine = Callbacks::new().with(budget.clone());
    let other = mine.clone().with(budget.clone()).merge(&mine);
    let run = call(&other).await.unwrap();
    run.end(&reads_and_writes(5, 0)).await.unwrap();
    assert_eq!(budget.spent(), 5);
    let apart = Callbacks::new().with(budget.clone());
    let run = call(&apart).await.unwrap();
    run.end(&reads_and_writes(5, 0)).await.unwrap();
    assert_stopped(call(&mine).await, "10 tokens of 10 are spent");
}

#[tokio::test]
async fn a_budget_of_nothing_lets_nothing_begin() {
    let callbacks = Callbacks::new().with(TokenBudget::new(0));
    assert_stopped(call(&callbacks).await, "0 tokens of 0 are spent");
}

/// Knows the answer, and what it took once.
struct Cache;

#[callback_handler]
impl Cache {
    fn on_llm_request(&self) -> Decision<Vec<Message>, LlmResult> {
        Decision::Answer(reads_and_writes(3, 4))
    }
}

#[tokio::test]
async fn a_call_that_was_answered_spends_what_the_answer_says() {
    let budget = TokenBudget::new(10);
    let callbacks = Callbacks::new().with(Cache).with(budget.clone());
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    assert!(matches!(start.ask().await, Ok(Asked::Answered(_))));
    assert_eq!(budget.spent(), 7);
}
