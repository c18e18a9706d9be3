//! What one request is answered with, and what happens to it on the way.

use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{Answer, Gate, Request};

/// What one request is answered with.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the status, too, waits for what is held at the beginning.
    pub(crate) held: bool,
    content: Content,
    events: Vec<(usize, Event)>,
    split: Option<usize>,
}

#[derive(Clone, Debug)]
enum Content {
    Answer(Box<Answer>),
    Raw(Vec<u8>),
}

/// What happens to a reply on its way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection is cut, without an end of the body.
    Cut,
    /// Nothing more comes until the gate is open.
    Hold(Gate),
    /// The stream says `{"error": ..}`, and ends without a `[DONE]`. Nothing in a whole answer.
    Error(Value),
    /// The stream has a comment, which providers send so that nobody hangs up. Nothing in a whole answer.
    KeepAlive,
    /// The stream has an event with this text. Nothing in a whole answer.
    Data(String),
    /// The stream ends here, without a `[DONE]`, but as HTTP has it. So does a whole answer.
    End,
}

impl Reply {
    /// An error, as OpenAI says it: `{"error": {"message": .., "type": .., ..}}`.
    ///
    /// # Panics
    ///
    /// If `status` is no HTTP status.
    pub fn error(status: u16, message: &str) -> Self {
        let kind = match status {
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        Self::error_of(status, &json!({ "message": message, "type": kind }))
    }

    /// An error with this in its body's `error`.
    ///
    /// # Panics
    ///
    /// If `status` is no HTTP status.
    pub fn error_of(status: u16, error: &Value) -> Self {
        Self::raw(status, json!({ "error": error }).to_string())
    }

    /// Any body, streamed or not: JSON that is none, the page of a proxy.
    ///
    /// # Panics
    ///
    /// If `status` is no HTTP status.
    pub fn raw(status: u16, body: impl Into<Vec<u8>>) -> Self {
        assert!((200..1000).contains(&status), "no HTTP status: {status}");
        Self {
            status,
            headers: Vec::new(),
            held: false,
            content: Content::Raw(body.into()),
            events: Vec::new(),
            split: None,
        }
    }

    /// A header besides the usual ones.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// Says nothing, not even the status, until the gate is open.
    pub fn held(mut self, gate: &Gate) -> Self {
        self.held = true;
        self.after(0, Event::Hold(gate.clone()))
    }

    /// Lets something happen when so many chunks were sent. A whole answer is one.
    pub fn after(mut self, chunks: usize, event: Event) -> Self {
        self.events.push((chunks, event));
        self
    }

    /// Sends each chunk in pieces of so many bytes: with 1, every character of several bytes is split.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn split(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "pieces of nothing");
        self.split = Some(bytes);
        self
    }

    /// What the body is of, and as what.
    pub(crate) fn steps(&self, request: &Request) -> (&'static str, Vec<Step>) {
        let streams = request.wants_stream();
        let (kind, chunks, done) = match &self.content {
            Content::Answer(answer) if streams => {
                let chunks = answer.chunks(request.wants_usage());
                let frames = chunks.iter().map(|chunk| frame(&chunk.to_string()));
                let done = Some(frame("[DONE]"));
                ("text/event-stream", frames.collect(), done)
            }
            Content::Answer(answer) => {
                let whole = answer.whole().to_string().into_bytes();
                ("application/json", vec![whole], None)
            }
            Content::Raw(body) => ("application/json", vec![body.clone()], None),
        };
        let mut steps = Vec::new();
        let all = chunks.len();
        let mut chunks = chunks.into_iter();
        for sent in 0..=all {
            // What is to happen after more than there are happens at the end.
            let now = |at: usize| at == sent || (sent == all && at > all);
            for (_, event) in self.events.iter().filter(|(at, _)| now(*at)) {
                match event {
                    Event::Cut => {
                        steps.push(Step::Cut);
                        return (kind, steps);
                    }
                    Event::End => return (kind, steps),
                    Event::Hold(gate) => steps.push(Step::Hold(gate.clone())),
                    _ if done.is_none() => {}
                    Event::Error(error) => {
                        let said = frame(&json!({ "error": error }).to_string());
                        self.send(&said, &mut steps);
                        return (kind, steps);
                    }
                    Event::KeepAlive => self.send(b": keep-alive\n\n", &mut steps),
                    Event::Data(data) => self.send(&frame(data), &mut steps),
                }
            }
            if let Some(chunk) = chunks.next() {
                self.send(&chunk, &mut steps);
            }
        }
        if let Some(done) = done {
            self.send(&done, &mut steps);
        }
        (kind, steps)
    }

    fn send(&self, bytes: &[u8], steps: &mut Vec<Step>) {
        let size = self.split.unwrap_or(bytes.len()).max(1);
        steps.extend(bytes.chunks(size).map(|piece| Step::Send(piece.to_vec())));
    }
}

/// A part of a body.
#[derive(Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Hold(Gate),
    Cut,
}

/// A server-sent event.
fn frame(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self {
            content: Content::Answer(Box::new(answer)),
            ..Self::raw(200, [])
        }
    }
}
