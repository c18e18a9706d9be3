//! The program that this crate exists for: a sync and an async handler of a streaming chat model.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use callbacks::{Callbacks, LlmResult, Message, Serialized, callback_handler};
use callbacks_examples::ChatOpenAi;
use callbacks_tests::Log;
use tokio::time::{Instant, sleep};

struct MyCustomSyncHandler(Log);

#[callback_handler]
impl MyCustomSyncHandler {
    fn on_llm_new_token(&self, token: &str) {
        self.0.add(format_args!(
            "Sync handler being called in a `thread_pool_executor`: token: {token}"
        ));
    }
}

struct MyCustomAsyncHandler {
    log: Log,
    /// How long each sleep took.
    slept: Mutex<Vec<Duration>>,
}

impl MyCustomAsyncHandler {
    async fn wake_up(&self, serialized: &str, what: &str) {
        self.log.add("zzzz....");
        let before = Instant::now();
        sleep(Duration::from_millis(300)).await;
        self.slept.lock().unwrap().push(before.elapsed());
        assert_eq!(serialized, "ChatOpenAI");
        self.log
            .add(format_args!("Hi! I just woke up. Your llm is {what}"));
    }
}

#[callback_handler]
impl MyCustomAsyncHandler {
    async fn on_llm_start(&self, serialized: Option<&Serialized>, prompts: &[String]) {
        assert_eq!(prompts, ["Human: Tell me a joke"]);
        self.wake_up(&serialized.unwrap().name, "starting").await;
    }

    async fn on_llm_end(&self, response: &LlmResult) {
        assert!(response.text().ends_with("everything."));
        self.wake_up("ChatOpenAI", "ending").await;
    }
}

/// Everything happens on one thread's event loop, which goes on while handlers sleep.
#[tokio::test(start_paused = true)]
async fn sleeping_handlers_do_not_block_the_event_loop() {
    let log = Log::new();
    let sleeper = Arc::new(MyCustomAsyncHandler {
        log: log.clone(),
        slept: Mutex::default(),
    });
    let ticks = Log::new();
    let ticker = tokio::spawn({
        let (log, ticks) = (log.clone(), ticks.clone());
        async move {
            loop {
                sleep(Duration::from_millis(10)).await;
                // while the handler sleeps
                if log.lines().last().is_some_and(|line| line == "zzzz....") {
                    ticks.add("tick");
                }
            }
        }
    });

    let chat = ChatOpenAi::new().max_tokens(25).streaming(true).callbacks(
        Callbacks::new()
            .with(MyCustomSyncHandler(log.clone()))
            .with(sleeper.clone()),
    );
    let batch = [vec![Message::human("Tell me a joke")]];
    let result = chat.generate(&batch).await.unwrap();
    ticker.abort();

    let expected = include_str!("seed/expected.en.txt");
    assert_eq!(log.lines().join("\n") + "\n", expected);
    let pause = Duration::from_millis(300);
    assert_eq!(*sleeper.slept.lock().unwrap(), [pause, pause]);
    let ticks = ticks.lines().len();
    assert!(
        (58..=62).contains(&ticks),
        "{ticks} ticks of 10 ms in twice 300 ms"
    );

    assert_eq!(result.generations.len(), 1);
    assert!(result.generations[0][0].message.is_some());
    assert_eq!(result.usage().output_tokens, Some(14));
    assert_eq!(
        result.llm_output.model_name.as_deref(),
        Some("gpt-3.5-turbo")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_at_max_tokens() {
    let chat = ChatOpenAi::new().max_tokens(3);
    let batch = [vec![Message::human("Tell me a joke")]];
    let result = chat.generate(&batch).await.unwrap();
    assert_eq!(result.text(), "Why don't");
    let reason = result.generations[0][0].finish_reason.as_deref();
    assert_eq!(reason, Some("length"));
}

/// The run of an answer that cannot be given has an end all the same.
#[tokio::test]
async fn an_answer_that_fails_is_an_error_event() {
    struct Errors(Log);

    #[callback_handler]
    impl Errors {
        async fn on_llm_error(&self, error: &callbacks::RunError) {
            self.0.add(&error.message);
        }
    }

    let log = Log::new();
    let chat = ChatOpenAi::new().callbacks(Callbacks::new().with(Errors(log.clone())));
    let error = chat
        .generate(&[vec![Message::human("Why?")]])
        .await
        .unwrap_err();
    assert_eq!(log.lines(), [error.to_string()]);
}
