//! `tokio::task::spawn_blocking` of tokio 1.54 for each event: one job that calls all handlers, or
//! one for each handler, so that none waits for another.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;

use super::each;
use crate::handlers::{Calls, Counter, Handler};
use crate::rows::Row;
use crate::subject::{Emit, Subject, TOKEN};

/// Without handlers there is no job, so nothing to measure.
pub(crate) fn one_job(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    Some(Box::new(OneJob(handlers(row, calls)?)))
}

pub(crate) fn job_each(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    Some(Box::new(JobEach(handlers(row, calls)?)))
}

fn handlers(row: Row, calls: &Calls) -> Option<Arc<[Arc<dyn Handler>]>> {
    let Row::Plain(n) = row else { return None };
    let handlers = each(n, calls, Counter).map(|handler| handler as _);
    Some(handlers.collect())
}

struct OneJob(Arc<[Arc<dyn Handler>]>);

impl Emit for OneJob {
    async fn emit(&self) {
        let (handlers, token) = (self.0.clone(), TOKEN.to_owned());
        let job = spawn_blocking(move || {
            for handler in &*handlers {
                handler.on_token(&token);
            }
        });
        job.await.expect("no handler panics");
    }
}

struct JobEach(Arc<[Arc<dyn Handler>]>);

impl Emit for JobEach {
    async fn emit(&self) {
        let jobs = self.0.iter().map(|handler| {
            let (handler, token) = (handler.clone(), TOKEN.to_owned());
            spawn_blocking(move || handler.on_token(&token))
        });
        for job in join_all(jobs).await {
            job.expect("no handler panics");
        }
    }
}
