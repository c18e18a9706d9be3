//! What the server was asked.

use hyper::HeaderMap;
use serde_json::Value;

/// What the server was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The headers.
    pub headers: HeaderMap,
    /// The body, `null` if that was no JSON.
    pub body: Value,
}

impl Request {
    /// A header that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it asks for a stream.
    #[must_use]
    pub fn wants_stream(&self) -> bool {
        self.body["stream"] == true
    }

    /// Whether it asks for the usage at the end of the stream.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        self.body["stream_options"]["include_usage"] == true
    }

    /// The text of the last message, empty if it is none.
    #[must_use]
    pub fn prompt(&self) -> &str {
        let messages = self.body["messages"].as_array();
        let last = messages.and_then(|messages| messages.last());
        last.and_then(|last| last["content"].as_str())
            .unwrap_or_default()
    }
}
