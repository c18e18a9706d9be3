//! Stands in for what threads meet at: shuttle's, which asks the model who goes on.
//!
//! Shuttle has no time. Here a thread that waits for a condition with a timeout may find that the
//! time is over whenever the model chooses so, and does when the model is to [`end`].

use std::collections::VecDeque;
use std::sync::{LockResult, Mutex as Plain, PoisonError};
use std::time::Duration;

use shuttle::future;
pub(crate) use shuttle::sync::atomic::AtomicBool;
use shuttle::thread::Thread;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shuttle's mutex, such that a [`Condvar`] of our own can do with it.
#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    guard: shuttle::sync::MutexGuard<'a, T>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = |guard| MutexGuard { guard, mutex: self };
        match self.0.lock() {
            Ok(locked) => Ok(guard(locked)),
            Err(poisoned) => Err(PoisonError::new(guard(poisoned.into_inner()))),
        }
    }
}

impl<T> std::ops::Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> std::ops::DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

shuttle::lazy_static! {
    static ref WORLD: Plain<World> = Plain::default();
}

/// What one run of a model is about beside what it makes itself.
#[derive(Default)]
struct World {
    time_passed: bool,
    waiting: Vec<Thread>,
    started: VecDeque<Started>,
    threads: usize,
    most_threads: usize,
    /// How many threads the system gives at most, if not as many as there may be.
    given: Option<usize>,
}

pub(super) enum Started {
    Thread(thread::JoinHandle<()>),
    Task(future::JoinHandle<()>),
}

/// To be called first: to make it must be no step of the model.
pub(crate) fn begin() {
    drop(world());
}

fn world() -> std::sync::MutexGuard<'static, World> {
    WORLD.lock().unwrap()
}

/// The model does not end before this does.
pub(super) fn started(what: Started) {
    world().started.push_back(what);
}

/// Waits until every thread and every task has come to its end, while time passes: from now on, a
/// wait with a timeout is over at once.
pub(crate) fn end() {
    let waiting = {
        let mut world = world();
        world.time_passed = true;
        std::mem::take(&mut world.waiting)
    };
    waiting.iter().for_each(Thread::unpark);
    loop {
        let Some(next) = world().started.pop_front() else {
            return;
        };
        match next {
            Started::Thread(thread) => thread.join().unwrap(),
            // It may have been dropped with its runtime.
            Started::Task(task) => drop(future::block_on(task)),
        }
    }
}

/// In this run of the model, the system gives at most so many threads at once.
pub(crate) fn give(threads: usize) {
    world().given = Some(threads);
}

/// How many threads there were at most.
pub(crate) fn most_threads() -> usize {
    world().most_threads
}

pub(super) mod thread {
    //! Threads, which the end of the model waits for.

    pub(crate) use shuttle::thread::{JoinHandle, current, park, sleep};

    use super::{Started, started, world};

    pub(crate) struct Builder(shuttle::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Self(shuttle::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub(crate) fn spawn(self, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
            {
                let mut world = world();
                if world.given == Some(world.threads) {
                    return Err(std::io::ErrorKind::WouldBlock.into());
                }
                world.threads += 1;
                world.most_threads = world.most_threads.max(world.threads);
            }
            let thread = self.0.spawn(|| {
                run();
                world().threads -= 1;
            })?;
            started(Started::Thread(thread));
            Ok(())
        }
    }
}

/// Those that wait, first come first served.
pub(super) struct Condvar(Plain<Vec<Thread>>);

impl Condvar {
    pub(super) const fn new() -> Self {
        Self(Plain::new(Vec::new()))
    }

    pub(super) fn notify_one(&self) {
        thread::sleep(Duration::ZERO);
        let first = {
            let mut waiting = self.0.lock().unwrap();
            (!waiting.is_empty()).then(|| waiting.remove(0))
        };
        first.iter().for_each(Thread::unpark);
    }
}

pub(super) fn wait_while<'a, T>(
    wake: &Condvar,
    mut guard: MutexGuard<'a, T>,
    _timeout: Duration,
    mut condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let mut over = false;
    while condition(&mut guard) {
        let me = thread::current();
        let mut world = world();
        if over || world.time_passed {
            break;
        }
        world.waiting.push(me.clone());
        drop(world);
        wake.0.lock().unwrap().push(me.clone());
        let mutex = guard.mutex;
        drop(guard);
        // It may return without having been notified: that is how the time is over.
        thread::park();
        let mut waiting = wake.0.lock().unwrap();
        let before = waiting.len();
        waiting.retain(|thread| thread.id() != me.id());
        over = waiting.len() < before;
        drop(waiting);
        guard = lock(mutex);
    }
    guard
}
