//! What an emission costs that waits for nothing: one that nobody listens to, one to inline
//! handlers, one to async handlers that are ready at once, each beside its bare counterpart.
//!
//! Everything is measured twice. Divan's table counts allocations. The one that follows compares
//! with the budgets, by interleaved batches, for whatever else the machine does slows both down.

use std::env;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use callbacks::events::Events;
use callbacks::{Callbacks, LlmRun, callback_events, callback_handler, handler};
use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const TOKEN: &str = "token";

fn main() {
    divan::main();
    // Not in a test, and not when divan was asked for less than everything.
    if env::args().skip(1).eq(["--bench"]) {
        compare_all();
    }
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

struct PlainHandler;

#[callback_handler]
impl PlainHandler {
    fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }
}

trait BarePlain {
    fn on_token(&self, token: &str);
}

impl BarePlain for PlainHandler {
    fn on_token(&self, token: &str) {
        black_box(token);
    }
}

struct AsyncHandler;

#[callback_handler]
impl AsyncHandler {
    async fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }
}

#[async_trait]
trait BareAsync {
    async fn on_token(&self, token: &str);
}

#[async_trait]
impl BareAsync for AsyncHandler {
    async fn on_token(&self, token: &str) {
        black_box(token);
    }
}

/// One emission to `n` handlers, to be repeated.
trait Side {
    fn unheard(n: usize) -> impl FnMut();
    fn unheard_in_another_set(n: usize) -> impl FnMut();
    fn inline(n: usize) -> impl FnMut();
    fn asynchronous(n: usize) -> impl FnMut();
}

struct Ours;

impl Side for Ours {
    fn unheard(n: usize) -> impl FnMut() {
        new_token(n, |callbacks| callbacks.with::<Events, _>(Bystander))
    }

    fn unheard_in_another_set(n: usize) -> impl FnMut() {
        // The built-in events come first, so that both sets are looked at.
        let run = start(n, |callbacks| {
            let callbacks = callbacks.with::<Events, _>(Bystander);
            callbacks.with::<other::Events, _>(Bystander)
        });
        move || {
            let count = black_box(1);
            let emission = pin!(black_box(&run).emit(other::Unwanted { count }));
            at_once(emission).expect("the run is open");
        }
    }

    fn inline(n: usize) -> impl FnMut() {
        new_token(n, |callbacks| {
            callbacks.with(handler(PlainHandler).inline())
        })
    }

    fn asynchronous(n: usize) -> impl FnMut() {
        new_token(n, |callbacks| callbacks.with(AsyncHandler))
    }
}

fn new_token(n: usize, with: fn(&Callbacks) -> Callbacks) -> impl FnMut() {
    let run = start(n, with);
    move || {
        let emission = pin!(black_box(&run).new_token(black_box(TOKEN)));
        at_once(emission).expect("the run is open");
    }
}

fn start(n: usize, with: fn(&Callbacks) -> Callbacks) -> LlmRun {
    let callbacks = (0..n).fold(Callbacks::new(), |callbacks, _| with(&callbacks));
    let start = callbacks.llm_start(None, Vec::new);
    at_once(pin!(start.into_future())).expect("nothing is closed yet")
}

struct Bare;

impl Side for Bare {
    fn unheard(_: usize) -> impl FnMut() {
        || at_once(pin!(nothing(black_box(TOKEN))))
    }

    fn unheard_in_another_set(n: usize) -> impl FnMut() {
        Self::unheard(n)
    }

    fn inline(n: usize) -> impl FnMut() {
        let handler = || Arc::new(PlainHandler) as Arc<dyn BarePlain>;
        let handlers = (0..n).map(|_| handler()).collect::<Vec<_>>();
        move || {
            let token = black_box(TOKEN);
            for handler in black_box(&handlers) {
                handler.on_token(token);
            }
        }
    }

    fn asynchronous(n: usize) -> impl FnMut() {
        let handler = || Arc::new(AsyncHandler) as Arc<dyn BareAsync>;
        let handlers = (0..n).map(|_| handler()).collect::<Vec<_>>();
        move || {
            let calls = async {
                let token = black_box(TOKEN);
                for handler in black_box(&handlers) {
                    handler.on_token(token).await;
                }
            };
            at_once(pin!(calls));
        }
    }
}

/// What an emission that nobody listens to is measured against. If it did nothing, it would be
/// optimised away, together with the loop around it; so there is one call in it.
async fn nothing(token: &str) {
    #[inline(never)]
    fn body(token: &str) {
        black_box(token);
    }
    body(token);
}

/// The output of a future that waits for nothing, polled where it is: a runtime would cost more
/// than what it runs, and so would moving the future.
#[inline]
fn at_once<T>(future: Pin<&mut impl Future<Output = T>>) -> T {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

const UNHEARD: [usize; 4] = [0, 1, 8, 64];
const HEARD: [usize; 3] = [1, 8, 64];
/// Of a sample. Left alone, divan takes it from the first call, which is slow.
const CALLS: u32 = 2000;

#[divan::bench(types = [Bare, Ours], args = UNHEARD, sample_size = CALLS)]
fn unheard<S: Side>(bencher: Bencher<'_, '_>, n: usize) {
    bencher.bench_local(S::unheard(n));
}

#[divan::bench(types = [Bare, Ours], args = UNHEARD, sample_size = CALLS)]
fn unheard_in_another_set<S: Side>(bencher: Bencher<'_, '_>, n: usize) {
    bencher.bench_local(S::unheard_in_another_set(n));
}

#[divan::bench(types = [Bare, Ours], args = HEARD, sample_size = CALLS)]
fn inline<S: Side>(bencher: Bencher<'_, '_>, n: usize) {
    bencher.bench_local(S::inline(n));
}

#[divan::bench(types = [Bare, Ours], args = HEARD, sample_size = CALLS)]
fn asynchronous<S: Side>(bencher: Bencher<'_, '_>, n: usize) {
    bencher.bench_local(S::asynchronous(n));
}

fn compare_all() {
    println!("\n{:31}  ours ns  bare ns   ratio    p10  at most ns", "");
    for n in UNHEARD {
        let (ours, bare) = (Ours::unheard(n), Bare::unheard(n));
        compare("unheard", n, Budget(1.5, 0.0), ours, bare);
    }
    for n in UNHEARD {
        let ours = Ours::unheard_in_another_set(n);
        let bare = Bare::unheard_in_another_set(n);
        compare("unheard in another set", n, Budget(3.5, 0.0), ours, bare);
    }
    for n in HEARD {
        let (ours, bare) = (Ours::inline(n), Bare::inline(n));
        compare("inline", n, Budget(10.0, 1.2), ours, bare);
    }
    for n in HEARD {
        let (ours, bare) = (Ours::asynchronous(n), Bare::asynchronous(n));
        compare("asynchronous", n, Budget(10.0, 1.2), ours, bare);
    }
}

/// So many nanoseconds, and so many times the bare counterpart.
#[derive(Clone, Copy)]
struct Budget(f64, f64);

/// Prints one line: times as the tenth percentile, for what is above it is other people's doing,
/// and their ratio as the median and the tenth percentile.
fn compare(row: &str, n: usize, budget: Budget, mut ours: impl FnMut(), mut bare: impl FnMut()) {
    const ROUNDS: usize = 500;
    const LONG_ENOUGH: Duration = Duration::from_micros(20);

    let mut size = 1;
    while batch(size, &mut ours).min(batch(size, &mut bare)) < LONG_ENOUGH {
        size *= 2;
    }
    let nanos = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(size);
    let round = |_| (nanos(batch(size, &mut ours)), nanos(batch(size, &mut bare)));
    let rounds = (0..ROUNDS).map(round).collect::<Vec<_>>();
    let sorted = |value: fn(&(f64, f64)) -> f64| {
        let mut values = rounds.iter().map(value).collect::<Vec<_>>();
        values.sort_by(f64::total_cmp);
        values
    };
    let (median, p10) = (ROUNDS / 2, ROUNDS / 10);
    let ours = sorted(|(ours, _)| *ours)[p10];
    let bare = sorted(|(_, bare)| *bare)[p10];
    let ratio = sorted(|(ours, bare)| ours / bare);
    let Budget(fixed, times) = budget;
    let at_most = fixed + times * bare;
    let over = if ours > at_most { "  over" } else { "" };
    println!(
        "{row:26} {n:4}  {ours:7.2}  {bare:7.2}  {:6.2} {:6.2}  {at_most:10.2}{over}",
        ratio[median], ratio[p10],
    );
}

fn batch(size: u32, repeated: &mut impl FnMut()) -> Duration {
    let begin = Instant::now();
    for _ in 0..size {
        repeated();
    }
    begin.elapsed()
}
