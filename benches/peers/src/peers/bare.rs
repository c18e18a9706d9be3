//! The floor: a loop over `&dyn` calls, one over `#[async_trait]` calls, and an awaited function.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;

use super::each;
use crate::handlers::{Calls, Counter, Handler};
use crate::rows::Row;
use crate::subject::{Emit, Subject, TOKEN};

pub(crate) fn subject(row: Row, calls: &Calls) -> Box<dyn Subject> {
    let plain = |handler| handler as Arc<dyn Handler>;
    let asynchronous = |handler| handler as Arc<dyn Async>;
    match row {
        Row::Unheard | Row::Unwanted(_) => Box::new(Nothing),
        Row::Plain(n) => Box::new(PlainLoop(each(n, calls, Counter).map(plain).collect())),
        Row::Async(n) => Box::new(AsyncLoop(
            each(n, calls, Counter).map(asynchronous).collect(),
        )),
        Row::Run => Box::new(NothingTwice),
    }
}

#[async_trait]
trait Async: Send + Sync {
    async fn on_token(&self, token: &str);
}

#[async_trait]
impl Async for Counter {
    async fn on_token(&self, token: &str) {
        self.0.count(token);
    }
}

/// What an emission that nobody listens to is compared with. There is one call in it, for nothing at
/// all would be optimised away together with the loop around it.
async fn nothing(token: &str) {
    #[inline(never)]
    fn body(token: &str) {
        black_box(token);
    }
    body(token);
}

struct Nothing;

impl Emit for Nothing {
    async fn emit(&self) {
        nothing(black_box(TOKEN)).await;
    }
}

struct NothingTwice;

impl Emit for NothingTwice {
    async fn emit(&self) {
        nothing(black_box(TOKEN)).await;
        nothing(black_box(TOKEN)).await;
    }
}

struct PlainLoop(Vec<Arc<dyn Handler>>);

impl Emit for PlainLoop {
    async fn emit(&self) {
        let token = black_box(TOKEN);
        for handler in black_box(&self.0) {
            handler.on_token(token);
        }
    }
}

struct AsyncLoop(Vec<Arc<dyn Async>>);

impl Emit for AsyncLoop {
    async fn emit(&self) {
        let token = black_box(TOKEN);
        for handler in black_box(&self.0) {
            handler.on_token(token).await;
        }
    }
}
