//! A program that runs for ever: one runtime and one value of callbacks, with requests that come and go.

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use callbacks::events::{AnyEvent, Events};
use callbacks::{
    BoxError, Callbacks, Decision, Deliver, EmitError, Interests, LlmResult, OnFull, Outcome,
    Queue, Run, RunError, callback_handler, handler,
};
use callbacks_tests::{CHAIN, LONG, MODEL, TOOL, yields};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use shop::deep::sales::{self, Sold};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Requests of a round.
const REQUESTS: u64 = 200;
/// So many are there at once.
const AT_ONCE: usize = 8;

pub(crate) struct Server {
    runtime: Runtime,
    callbacks: Callbacks,
    open: Arc<Open>,
    requests: u64,
}

/// Threads that a server has for as long as it is there.
pub(crate) const THREADS: usize = 2;

impl Server {
    pub(crate) fn new() -> Self {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(THREADS).enable_all();
        // Those that may block leave before a round is measured.
        let builder = builder.thread_keep_alive(Duration::from_millis(1));
        let open = Arc::new(Open::default());
        let sometimes = Arc::new(Sometimes::default());
        let dropping = Queue::bounded(4).on_full(OnFull::DropNewest);
        let callbacks = Callbacks::new()
            .with(handler(open.clone()).inline())
            .with::<Events, _>(sometimes.clone())
            .with(handler(Late::default()).timeout(Duration::from_millis(1)))
            .with(handler(Counts::default()).named("exclusive"))
            .with(handler(Told::default()).background(Queue::bounded(4)))
            .with(handler(Told::default()).background(dropping))
            .with_local(Told::default())
            .with(Clerk)
            .with::<sales::Events, _>(sometimes);
        Self {
            runtime: builder.build().expect("threads can be had"),
            callbacks,
            open,
            requests: 0,
        }
    }

    /// Has so many requests come and go, and sees that nothing is left of them.
    pub(crate) fn round(&mut self) {
        let callbacks = &self.callbacks;
        let first = self.requests;
        self.requests += REQUESTS;
        self.runtime.block_on(async {
            let mut requests = JoinSet::new();
            for number in first..first + REQUESTS {
                if requests.len() == AT_ONCE {
                    requests.join_next().await;
                }
                request(number, callbacks.clone(), &mut requests).await;
            }
            while requests.join_next().await.is_some() {}
            let report = callbacks.flush(LONG).await;
            assert!(report.is_complete(), "{report:?}");
        });
        assert_eq!(self.open.0.load(Ordering::SeqCst), 0, "runs are open");
    }

    pub(crate) fn report(&self) -> String {
        format!("{} requests", self.requests)
    }
}

/// In a task of its own, which may not come to its end.
async fn request(number: u64, callbacks: Callbacks, requests: &mut JoinSet<()>) {
    match number % 8 {
        0 => {
            requests.spawn_blocking(move || drop(blocking(&callbacks)));
        }
        1 => {
            let task = requests.spawn(agent(number, callbacks).map(drop));
            yields(3).await;
            task.abort();
        }
        2 => {
            let mut agent = Box::pin(agent(number, callbacks));
            let mut polls = number % 32;
            requests.spawn(poll_fn(move |cx| {
                polls = polls.saturating_sub(1);
                if agent.poll_unpin(cx).is_ready() || polls == 0 {
                    return Poll::Ready(());
                }
                Poll::Pending
            }));
        }
        3 => {
            requests.spawn(outside(callbacks).map(drop));
        }
        4 => {
            requests.spawn(recorded(number, callbacks).map(drop));
        }
        _ => {
            requests.spawn(agent(number, callbacks).map(drop));
        }
    }
}

async fn agent(number: u64, callbacks: Callbacks) -> Result<(), EmitError> {
    let chain = callbacks.chain_start(&CHAIN, || json!(number)).await?;
    let inside = chain
        .callbacks()
        .tag(number.to_string())
        .with(Told::default());
    let tools = [0, 1].map(|_| async {
        let tool = inside.tool_start(&TOOL, "1 + 1").await?;
        yields(2).await;
        tool.text("so far").await?;
        tool.end(json!(2)).await
    });
    let model = async {
        let model = inside.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
        for token in ["Be", "cause"] {
            model.new_token(token).await?;
            model.emit(SOLD).await?;
        }
        if number.is_multiple_of(3) {
            return model.error(RunError::new("no connection")).await;
        }
        model.end(|| LlmResult::from_text("Because")).await
    };
    let [one, two] = tools;
    let (model, one, two) = tokio::join!(model, one, two);
    if number.is_multiple_of(5) {
        resume_unwind(Box::new("planned"));
    }
    let failed = model.err().or(one.err()).or(two.err());
    match failed {
        Some(error) => chain.error(&error).await,
        None => chain.end(json!(number)).await,
    }
}

fn blocking(callbacks: &Callbacks) -> Result<(), EmitError> {
    let callbacks = callbacks.blocking();
    let chain = callbacks.chain_start(&CHAIN, json!("plain")).start()?;
    let tool = chain.callbacks().tool_start(&TOOL, "1 + 1").start()?;
    tool.text("so far")?;
    drop(tool);
    chain.end(json!("plain"))
}

/// In no run.
async fn outside(callbacks: Callbacks) -> Result<(), EmitError> {
    callbacks.custom_event("outside", || json!(1)).await?;
    callbacks.emit(SOLD).await
}

/// Read as it goes, to the end or not.
async fn recorded(number: u64, callbacks: Callbacks) -> Result<(), EmitError> {
    let (callbacks, mut records) = callbacks.record(Queue::bounded(256));
    let agent = agent(number, callbacks.clone());
    drop(callbacks);
    let read = async {
        let mut left = number % 24;
        while left > 0 && records.next().await.is_some() {
            left -= 1;
        }
        drop(records);
    };
    let (agent, ()) = tokio::join!(agent, read);
    agent
}

const SOLD: Sold<'static> = Sold {
    item: "tea",
    count: 1,
    order: None,
    orders: &[],
};

/// Counts the runs that are open.
#[derive(Debug, Default)]
struct Open(AtomicI64);

impl Deliver<Events> for Open {
    fn interests(&self) -> Interests {
        Interests::ALL.without(<Events as callbacks::EventSet>::DECISIONS)
    }

    fn async_interests(&self) -> Interests {
        Interests::NONE
    }

    fn deliver(&self, _: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        let change = match event {
            AnyEvent::LlmStart(_) | AnyEvent::ChainStart(_) | AnyEvent::ToolStart(_) => 1,
            AnyEvent::LlmEnd(_)
            | AnyEvent::ChainEnd(_)
            | AnyEvent::ToolEnd(_)
            | AnyEvent::LlmError(_)
            | AnyEvent::ChainError(_)
            | AnyEvent::ToolError(_) => -1,
            _ => 0,
        };
        self.0.fetch_add(change, Ordering::SeqCst);
        Ok(())
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        _: &'a Run<'e>,
        _: &'a AnyEvent<'e>,
    ) -> callbacks::BoxFuture<'a, Outcome> {
        Box::pin(async { Ok(()) })
    }
}

/// Fails and panics now and then.
#[derive(Debug, Default)]
struct Sometimes(AtomicU64);

impl Sometimes {
    fn call(&self) -> Result<(), BoxError> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 97 {
            31 => Err("planned".into()),
            // Without a word on standard error.
            67 => resume_unwind(Box::new("planned")),
            _ => Ok(()),
        }
    }
}

#[callback_handler]
impl Sometimes {
    fn on_llm_new_token(&self) -> Result<(), BoxError> {
        self.call()
    }

    async fn on_text(&self) -> Result<(), BoxError> {
        yields(1).await;
        self.call()
    }

    async fn on_chain_end(&self) -> Result<(), BoxError> {
        self.call()
    }
}

#[callback_handler(events = sales)]
impl Sometimes {
    fn on_sold(&self) -> Result<(), BoxError> {
        self.call()
    }
}

/// Does not always come to its end in time.
#[derive(Debug, Default)]
struct Late(AtomicU64);

#[callback_handler]
impl Late {
    async fn on_llm_new_token(&self) {
        if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(100) {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug, Default)]
struct Counts(u64);

#[callback_handler]
impl Counts {
    fn on_llm_new_token(&mut self) {
        self.0 += 1;
    }

    fn on_chain_start(&mut self) {
        self.0 += 1;
    }

    fn on_chain_end(&mut self) {
        self.0 += 1;
    }
}

#[derive(Debug, Default)]
struct Told(AtomicU64);

#[callback_handler]
impl Told {
    fn on_tool_start(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_llm_new_token(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_tool_end(&self) {
        yields(1).await;
    }

    fn on_custom_event(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Is asked, and stops one tool of many.
struct Clerk;

#[callback_handler]
impl Clerk {
    fn on_tool_request(&self, run: &Run<'_>) -> Decision<String, Value> {
        match run.id().as_u128() % 16 {
            0 => Decision::Stop("planned".to_owned()),
            1 => Decision::Rewrite("2 + 2".to_owned()),
            _ => Decision::Continue,
        }
    }
}
