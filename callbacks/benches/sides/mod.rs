//! What is measured of emissions that wait for nothing, ours beside its bare counterpart. Both the
//! table of times and the count of instructions take it from here.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use callbacks::events::Events;
use callbacks::{
    Callbacks, Chunk, LlmRun, Serialized, ToolRun, callback_events, callback_handler, handler,
};
use futures_util::stream::{self, Stream, StreamExt};

pub(crate) const TOKEN: &str = "token";

/// What takes the rows.
pub(crate) trait Rows {
    /// `ours` and `bare` each do once what the row is about.
    async fn row(&mut self, row: Row, ours: impl AsyncFnMut(), bare: impl AsyncFnMut());
}

/// What is measured, and how many handlers there are.
#[derive(Clone, Copy)]
pub(crate) struct Row(pub(crate) &'static str, pub(crate) usize);

/// What a row may take: so much, so much for each handler, and so many times the bare counterpart.
pub(crate) struct Limit {
    row: &'static str,
    fixed: f64,
    each: f64,
    times: f64,
}

impl Limit {
    pub(crate) const fn new(row: &'static str, fixed: f64, each: f64, times: f64) -> Self {
        Self {
            row,
            fixed,
            each,
            times,
        }
    }

    /// What stands in `limits` for a row.
    pub(crate) fn of(limits: &[Self], Row(name, handlers): Row, bare: f64) -> f64 {
        let limit = limits.iter().find(|limit| limit.row == name);
        let Self {
            fixed, each, times, ..
        } = limit.expect("every row has a limit");
        #[allow(clippy::cast_precision_loss, reason = "there are not so many handlers")]
        let handlers = handlers as f64;
        fixed + each * handlers + times * bare
    }
}

pub(crate) async fn rows(to: &mut impl Rows) {
    for n in [0, 1, 8, 64] {
        to.row(Row("unheard", n), unheard(n).await, nothing()).await;
    }
    for n in [0, 1, 8, 64] {
        let ours = unheard_in_another_set(n).await;
        to.row(Row("unheard in another set", n), ours, nothing())
            .await;
    }
    for n in [1, 8, 64] {
        let ours = new_token(n, |to| to.with(handler(Plain).inline())).await;
        to.row(Row("inline", n), ours, bare_inline(n)).await;
    }
    for n in [1, 8, 64] {
        let ours = new_token(n, |to| to.with(Asynchronous)).await;
        to.row(Row("async, ready", n), ours, bare_asynchronous(n))
            .await;
    }
    for n in [1, 8] {
        let limited = |to: &Callbacks| to.with(handler(Asynchronous).timeout(HOUR));
        let ours = new_token(n, limited).await;
        // It is beside the same without a timeout.
        let without = new_token(n, |to| to.with(Asynchronous)).await;
        to.row(Row("a timeout, in time", n), ours, without).await;
    }
    let row = Row("start and end, no handlers", 0);
    to.row(row, unheard_run(0), nothing()).await;
    for n in [1, 8, 64] {
        let row = Row("start and end, unheard", n);
        to.row(row, unheard_run(n), nothing()).await;
    }
    let ours = told(0).await;
    to.row(Row("item of a stream, unheard", 0), ours, read(items()))
        .await;
    let (ours, by_hand) = (told(1).await, told_by_hand().await);
    to.row(Row("item of a stream", 1), ours, by_hand).await;
}

const HOUR: Duration = Duration::from_secs(3600);

/// The same, but the compiler does not know. `black_box` alone leaves it in a place that is read again
/// as something larger, for which the processor has to wait.
#[inline(never)]
fn hidden<T: ?Sized>(value: &T) -> &T {
    black_box(value)
}

#[callback_events]
mod other {
    pub(crate) struct Wanted {}
    pub(crate) struct Unwanted {
        pub(crate) count: u32,
    }
}

/// Makes a run heard, but wants nothing that is emitted here.
struct Bystander;

#[callback_handler]
impl Bystander {
    fn on_llm_end(&self) {}
}

#[callback_handler(events = other)]
impl Bystander {
    fn on_wanted(&self) {}
}

pub(crate) struct Plain;

#[callback_handler]
impl Plain {
    fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }
}

trait BarePlain {
    fn on_token(&self, token: &str);
}

impl BarePlain for Plain {
    fn on_token(&self, token: &str) {
        black_box(token);
    }
}

struct Asynchronous;

#[callback_handler]
impl Asynchronous {
    async fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }
}

#[async_trait]
pub(crate) trait BareAsync {
    async fn on_token(&self, token: &str);
}

#[async_trait]
impl BareAsync for Asynchronous {
    async fn on_token(&self, token: &str) {
        black_box(token);
    }
}

/// A run that `n` handlers are told of.
pub(crate) async fn run(n: usize, with: impl Fn(&Callbacks) -> Callbacks) -> LlmRun {
    let callbacks = (0..n).fold(Callbacks::new(), |callbacks, _| with(&callbacks));
    let start = callbacks.llm_start(None, Vec::new);
    start.await.expect("nothing is closed yet")
}

pub(crate) async fn new_token(
    n: usize,
    with: impl Fn(&Callbacks) -> Callbacks,
) -> impl AsyncFnMut() {
    let run = run(n, with).await;
    async move || {
        let told = hidden(&run).new_token(hidden(TOKEN)).await;
        assert!(told.is_ok());
    }
}

async fn unheard(n: usize) -> impl AsyncFnMut() {
    new_token(n, |callbacks| callbacks.with::<Events, _>(Bystander)).await
}

async fn unheard_in_another_set(n: usize) -> impl AsyncFnMut() {
    // The built-in events come first, so that both sets are looked at.
    let run = run(n, |callbacks| {
        let callbacks = callbacks.with::<Events, _>(Bystander);
        callbacks.with::<other::Events, _>(Bystander)
    })
    .await;
    async move || {
        let told = hidden(&run).emit(other::Unwanted { count: 1 }).await;
        assert!(told.is_ok());
    }
}

/// The same without an emission: what it is measured in, with what is hidden from the compiler.
fn nothing() -> impl AsyncFnMut() {
    async || {
        hidden(&TOOL);
        hidden(TOKEN);
    }
}

fn bare_inline(n: usize) -> impl AsyncFnMut() {
    let handler = || Arc::new(Plain) as Arc<dyn BarePlain>;
    let handlers = (0..n).map(|_| handler()).collect::<Vec<_>>();
    async move || {
        let token = hidden(TOKEN);
        for handler in hidden(&*handlers) {
            handler.on_token(token);
        }
    }
}

fn bare_asynchronous(n: usize) -> impl AsyncFnMut() {
    let handler = || Arc::new(Asynchronous) as Arc<dyn BareAsync>;
    let handlers = (0..n).map(|_| handler()).collect::<Vec<_>>();
    async move || {
        let token = hidden(TOKEN);
        for handler in hidden(&*handlers) {
            handler.on_token(token).await;
        }
    }
}

static TOOL: Serialized = Serialized::new("Tool");

/// A tool's run that nobody hears of, with a tag and metadata, if there are handlers at all.
fn unheard_run(n: usize) -> impl AsyncFnMut() {
    let with = |callbacks: Callbacks, _| callbacks.with::<Events, _>(Bystander);
    let mut callbacks = (0..n).fold(Callbacks::new(), with);
    if n > 0 {
        callbacks = callbacks.tag("bench").metadata("user", "42");
    }
    async move || {
        let run = hidden(&callbacks).tool_start(&TOOL, hidden(TOKEN)).await;
        let run: ToolRun = run.expect("nothing is closed yet");
        let output = || unreachable!("nobody hears of it");
        run.end(output).await.expect("the run is open");
    }
}

type Item = Result<&'static str, Infallible>;

/// Items without end.
fn items() -> impl Stream<Item = Item> + Unpin {
    stream::poll_fn(|_| Poll::Ready(Some(Ok(black_box(TOKEN)))))
}

fn read(mut items: impl Stream<Item = Item> + Unpin) -> impl AsyncFnMut() {
    async move || {
        black_box(items.next().await);
    }
}

/// A stream whose items are told to `n` handlers.
async fn told(n: usize) -> impl AsyncFnMut() {
    let run = run(n, |to| to.with(handler(Plain).inline())).await;
    read(run.stream(items(), |word| Chunk::text(*word)))
}

/// The same without `stream`.
async fn told_by_hand() -> impl AsyncFnMut() {
    let run = run(1, |to| to.with(handler(Plain).inline())).await;
    let mut items = items();
    async move || {
        let item = items.next().await;
        if let Some(Ok(word)) = &item {
            let emission = run.new_chunk(|| Chunk::text(*word));
            emission.await.expect("the run is open");
        }
        black_box(item);
    }
}
