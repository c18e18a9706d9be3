//! Rule 2: where a method runs. At scale, and in bad surroundings, that is in `lanes.rs`.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use callbacks::{Callbacks, LlmResult, callback_handler, handler};
use callbacks_tests::{Log, Tokens, start};

#[derive(Default)]
struct Where {
    plain: Mutex<Vec<(ThreadId, Option<String>)>>,
    futures: Mutex<Vec<(ThreadId, Option<tokio::task::Id>)>>,
}

#[callback_handler]
impl Where {
    fn on_llm_new_token(&self) {
        let thread = thread::current();
        let called = (thread.id(), thread.name().map(str::to_owned));
        self.plain.lock().unwrap().push(called);
    }

    async fn on_llm_end(&self) {
        tokio::task::yield_now().await;
        let called = (thread::current().id(), tokio::task::try_id());
        self.futures.lock().unwrap().push(called);
    }
}

#[tokio::test]
async fn sync_methods_run_away_from_the_event_loop_and_async_ones_on_the_emitters_task() {
    let calls = Arc::new(Where::default());
    let callbacks = Callbacks::new().with(calls.clone());
    let task = tokio::spawn(async move {
        let run = start(&callbacks).await;
        run.new_token("token").await.unwrap();
        run.end(&LlmResult::from_text("token")).await.unwrap();
        tokio::task::id()
    });
    let task = task.await.unwrap();

    let here = thread::current().id();
    let plain = calls.plain.lock().unwrap();
    let [(thread, name)] = &plain[..] else {
        panic!("{plain:?}");
    };
    assert_ne!(*thread, here);
    assert_eq!(name.as_deref(), Some("callbacks-lane"));
    assert_eq!(*calls.futures.lock().unwrap(), [(here, Some(task))]);
}

#[tokio::test]
async fn inline_methods_run_where_the_event_is_emitted() {
    let calls = Arc::new(Where::default());
    let callbacks = Callbacks::new().with(handler(calls.clone()).inline());
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap();
    assert_eq!(calls.plain.lock().unwrap()[0].0, thread::current().id());
}

#[tokio::test]
async fn a_method_on_a_lane_finds_the_emitters_runtime() {
    struct Spawner(Mutex<Option<tokio::task::JoinHandle<u32>>>);

    #[callback_handler]
    impl Spawner {
        fn on_llm_new_token(&self) {
            *self.0.lock().unwrap() = Some(tokio::spawn(async { 7 }));
        }
    }

    let spawner = Arc::new(Spawner(Mutex::new(None)));
    let run = start(&Callbacks::new().with(spawner.clone())).await;
    run.new_token("token").await.unwrap();
    let task = spawner.0.lock().unwrap().take().unwrap();
    assert_eq!(task.await.unwrap(), 7);
}

#[test]
fn no_runtime_is_needed() {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Tokens {
        log: log.clone(),
        name: "lane",
    });
    futures_executor::block_on(async {
        let run = start(&callbacks).await;
        run.new_token("a").await.unwrap();
        run.new_token("b").await.unwrap();
        run.end(&LlmResult::from_text("ab")).await.unwrap();
    });
    assert_eq!(log.lines(), ["lane a", "lane b"]);
}
