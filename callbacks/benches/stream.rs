//! What an item costs on its way through a stream: beside the bare stream where nobody listens, and
//! beside an emission by hand where somebody does. Divan's table counts allocations, too.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use callbacks::{Callbacks, Chunk, LlmRun, callback_handler, handler};
use divan::{AllocProfiler, Bencher};
use futures_util::{Stream, stream};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

type Item = Result<&'static str, Infallible>;

/// Hears of the run, but of nothing that a stream tells.
struct Starts;

#[callback_handler]
impl Starts {
    fn on_llm_start(&self) {}
}

struct Tokens;

#[callback_handler]
impl Tokens {
    fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }
}

struct Ends;

#[callback_handler]
impl Ends {
    fn on_llm_end(&self) {}
}

/// Items without end.
fn items() -> impl Stream<Item = Item> + Unpin {
    stream::poll_fn(|_| Poll::Ready(Some(Ok(black_box("token")))))
}

fn start(callbacks: &Callbacks) -> LlmRun {
    let start = callbacks.llm_start(None, Vec::new);
    at_once(pin!(start.into_future())).expect("nothing is closed yet")
}

fn streamed(callbacks: &Callbacks) -> impl Stream<Item = Item> + Unpin {
    start(callbacks).stream(items(), |word| Chunk::text(*word))
}

fn at_once<T>(future: Pin<&mut impl Future<Output = T>>) -> T {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn read(bencher: Bencher<'_, '_>, items: impl Stream<Item = Item> + Unpin) {
    let mut items = items;
    let mut cx = Context::from_waker(Waker::noop());
    bencher.bench_local(|| black_box(Pin::new(&mut items).poll_next(&mut cx)));
}

#[divan::bench(sample_size = 2000)]
fn bare(bencher: Bencher<'_, '_>) {
    read(bencher, items());
}

#[divan::bench(sample_size = 2000)]
fn unheard(bencher: Bencher<'_, '_>) {
    read(bencher, streamed(&Callbacks::new()));
}

#[divan::bench(sample_size = 2000)]
fn of_a_run_whose_start_is_heard(bencher: Bencher<'_, '_>) {
    let callbacks = Callbacks::new().with(handler(Starts).inline());
    read(bencher, streamed(&callbacks));
}

#[divan::bench(sample_size = 2000)]
fn assembled(bencher: Bencher<'_, '_>) {
    let callbacks = Callbacks::new().with(handler(Ends).inline());
    read(bencher, streamed(&callbacks));
}

#[divan::bench(sample_size = 2000)]
fn told(bencher: Bencher<'_, '_>) {
    let callbacks = Callbacks::new().with(handler(Tokens).inline());
    read(bencher, streamed(&callbacks));
}

#[divan::bench(sample_size = 2000)]
fn told_by_hand(bencher: Bencher<'_, '_>) {
    let run = start(&Callbacks::new().with(handler(Tokens).inline()));
    let mut items = items();
    let mut cx = Context::from_waker(Waker::noop());
    bencher.bench_local(|| {
        let item = Pin::new(&mut items).poll_next(&mut cx);
        if let Poll::Ready(Some(Ok(word))) = &item {
            let emission = pin!(run.new_chunk(|| Chunk::text(*word)));
            at_once(emission).expect("the run is open");
        }
        black_box(item)
    });
}
