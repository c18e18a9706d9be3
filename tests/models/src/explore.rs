//! Running a model again and again, each time with its threads in another order.

use std::time::Instant;

use shuttle::scheduler::{RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, Runner};

/// More interleavings than this are too many to wait for.
const MOST: usize = 2_000_000;

/// Runs the model in every order of its steps in which at most so many threads are interrupted.
///
/// A thread that waits, ends or yields is not interrupted: whichever goes on then is tried in any
/// case. Most mistakes need one or two interruptions at the wrong moment; all orders there are,
/// without a bound, are too many for all but the smallest models ([`all`]).
pub(crate) fn interrupted(times: usize, model: impl Fn() + Send + Sync + 'static) {
    run(Exhaustive::new(times), model);
}

/// Runs the model in every order of its steps.
pub(crate) fn all(model: impl Fn() + Send + Sync + 'static) {
    run(Exhaustive::new(usize::MAX), model);
}

/// Runs the model this often, in random orders, the same each time.
pub(crate) fn random(runs: usize, model: impl Fn() + Send + Sync + 'static) {
    run(RandomScheduler::new_from_seed(0, runs), model);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 17;
    config.silence_warnings = true;
    let begun = Instant::now();
    let runs = Runner::new(scheduler, config).run(model);
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    eprintln!("{test}: {runs} interleavings in {:.1?}", begun.elapsed());
}

/// Goes depth first through the tree of all choices.
struct Exhaustive {
    /// How many threads may be interrupted.
    times: usize,
    interrupted: usize,
    /// The choices of this run so far, and those of the run before that are still to be made.
    path: Vec<Choice>,
    at: usize,
    runs: usize,
}

struct Choice {
    among: Vec<TaskId>,
    taken: usize,
    /// Whether to take another one than the first interrupts that.
    interrupts: bool,
}

impl Exhaustive {
    fn new(times: usize) -> Self {
        Self {
            times,
            interrupted: 0,
            path: Vec::new(),
            at: 0,
            runs: 0,
        }
    }
}

impl Scheduler for Exhaustive {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.runs > 0 {
            while self.path.last()?.taken + 1 == self.path.last()?.among.len() {
                self.path.pop();
            }
            self.path.last_mut()?.taken += 1;
        }
        self.runs += 1;
        assert!(self.runs < MOST, "the model is too large");
        (self.at, self.interrupted) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        yields: bool,
    ) -> Option<TaskId> {
        if self.at == self.path.len() {
            let mut among: Vec<_> = runnable.iter().map(|task| task.id()).collect();
            let current = current.filter(|_| !yields);
            let current = among.iter().position(|&task| Some(task) == current);
            if let Some(current) = current {
                among.swap(0, current);
                if self.interrupted == self.times {
                    among.truncate(1);
                }
            }
            self.path.push(Choice {
                among,
                taken: 0,
                interrupts: current.is_some(),
            });
        }
        let choice = &self.path[self.at];
        self.at += 1;
        self.interrupted += usize::from(choice.interrupts && choice.taken > 0);
        Some(choice.among[choice.taken])
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("a model has no other choices")
    }
}
