//! The server, on a thread of its own.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::body::Playing;
use crate::{Reply, Request};

/// A server on loopback, for as long as it is kept.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

type Script = dyn FnMut(&Request) -> Reply + Send;

struct Shared {
    script: Mutex<Box<Script>>,
    requests: Mutex<Vec<Request>>,
    /// How many replies were left before their end.
    left: Arc<watch::Sender<usize>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("requests", &self.requests)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Answers one request after another. When there are no more replies, the answer is an error 400,
    /// after which no client tries again.
    ///
    /// # Errors
    ///
    /// If there is no port to listen on, or no thread.
    pub fn start<R: Into<Reply>>(replies: impl IntoIterator<Item = R>) -> io::Result<Self> {
        let mut replies: VecDeque<Reply> = replies.into_iter().map(Into::into).collect();
        let over = || Reply::error(400, "the script is over");
        Self::answering(move |_| replies.pop_front().unwrap_or_else(over))
    }

    /// Answers each request as `script` says.
    ///
    /// # Errors
    ///
    /// If there is no port to listen on, or no thread.
    pub fn answering<R: Into<Reply>>(
        mut script: impl FnMut(&Request) -> R + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _within = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(move |request| script(request).into())),
            requests: Mutex::default(),
            left: Arc::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, shared.clone());
        let thread = thread::Builder::new().name("loopback".to_owned());
        // The runtime is dropped there, and with it what is still going on.
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What clients take for `https://api.openai.com/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked until now.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Waits until so many replies were left by their clients before the end, which then see nothing of
    /// the rest. One that is [cut](crate::Event::Cut) is not among them.
    pub async fn left(&self, replies: usize) {
        let mut left = self.shared.left.subscribe();
        // The sender is in `self`, so it is there for as long as this waits.
        let _ = left.wait_for(|left| *left >= replies).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked with was printed.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            continue;
        };
        // Otherwise small chunks wait for each other.
        let _ = connection.set_nodelay(true);
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| respond(request, shared.clone()));
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(connection), service);
            // It fails where it is cut, and where the client has left.
            let _ = connection.await;
        });
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
) -> hyper::Result<Response<impl Body<Data = Bytes, Error = io::Error>>> {
    let (parts, incoming) = request.into_parts();
    let incoming = incoming.collect().await?.to_bytes();
    let request = Request {
        headers: parts.headers,
        body: serde_json::from_slice(&incoming).unwrap_or(Value::Null),
    };
    let reply = if parts.method == Method::POST && parts.uri.path() == "/v1/chat/completions" {
        lock(&shared.requests).push(request.clone());
        lock(&shared.script)(&request)
    } else {
        Reply::error(404, "only POST /v1/chat/completions is here")
    };
    let (kind, steps) = reply.steps(&request);
    let mut playing = Playing::new(steps, shared.left.clone());
    if reply.held {
        playing.hold().await;
    }
    let mut response = Response::new(playing.into_body());
    if let Ok(status) = reply.status.try_into() {
        *response.status_mut() = status;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind.parse().expect("a header"));
    headers.extend(reply.headers);
    Ok(response)
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
