//! What the server sends, to the byte.

use std::io::{Read, Write};
use std::net::TcpStream;

use callbacks_loopback::{Answer, Event, Gate, Reply, Server};
use serde_json::{Value, json};

/// A response as it came.
#[derive(Debug, Default)]
struct Got {
    status: u16,
    headers: String,
    /// HTTP's.
    chunks: Vec<Vec<u8>>,
    /// Whether the body came to its end.
    whole: bool,
}

impl Got {
    fn body(&self) -> String {
        String::from_utf8(self.chunks.concat()).unwrap()
    }

    /// The texts of the events.
    fn events(&self) -> Vec<String> {
        let body = self.body();
        let events = body.split_terminator("\n\n");
        let data = events.filter_map(|event| event.strip_prefix("data: "));
        data.map(str::to_owned).collect()
    }

    fn chunk(&self, at: usize) -> Value {
        serde_json::from_str(&self.events()[at]).unwrap()
    }
}

fn send(server: &Server, path: &str, body: &Value) -> TcpStream {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let body = body.to_string();
    let length = body.len();
    write!(
        connection,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-test: yes\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    connection
}

fn ask(server: &Server, body: &Value) -> Got {
    receive(send(server, "/v1/chat/completions", body))
}

fn receive(mut connection: TcpStream) -> Got {
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).unwrap();
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|at| at == what);
    let end = find(&bytes, b"\r\n\r\n").unwrap();
    let headers = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut got = Got {
        status: headers.split(' ').nth(1).unwrap().parse().unwrap(),
        headers,
        ..Got::default()
    };
    let mut rest = &bytes[end + 4..];
    while let Some(at) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..at]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let chunk = &rest[at + 2..at + 2 + size];
        rest = &rest[at + 2 + size + 2..];
        if size == 0 {
            got.whole = true;
            break;
        }
        got.chunks.push(chunk.to_vec());
    }
    got
}

fn streamed() -> Value {
    json!({ "stream": true, "messages": [{ "role": "user", "content": "Why?" }] })
}

fn with_usage() -> Value {
    json!({ "stream": true, "stream_options": { "include_usage": true } })
}

fn usage() -> Value {
    json!({ "prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11 })
}

fn because() -> Answer {
    Answer::new(["Be", "cause"]).usage(usage())
}

#[test]
fn a_stream_is_a_role_the_tokens_and_a_finish_reason() {
    let server = Server::start([because()]).unwrap();
    let got = ask(&server, &streamed());
    assert_eq!(got.status, 200);
    assert!(got.headers.contains("content-type: text/event-stream"));
    assert!(got.whole);
    let events = got.events();
    assert_eq!(events.len(), 5);
    assert_eq!(events[4], "[DONE]");
    let choice = |delta: Value, finish: Value| {
        json!({
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini",
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        })
    };
    let role = json!({ "role": "assistant", "content": "" });
    assert_eq!(got.chunk(0), choice(role, Value::Null));
    assert_eq!(
        got.chunk(1),
        choice(json!({ "content": "Be" }), Value::Null)
    );
    assert_eq!(
        got.chunk(2),
        choice(json!({ "content": "cause" }), Value::Null)
    );
    assert_eq!(got.chunk(3), choice(json!({}), json!("stop")));
}

#[test]
fn usage_is_in_a_chunk_of_its_own_where_it_is_asked_for() {
    let server = Server::start([because(), because().usage_with_finish()]).unwrap();
    let got = ask(&server, &with_usage());
    assert_eq!(got.chunk(3)["usage"], Value::Null);
    assert_eq!(got.chunk(4)["usage"], usage());
    assert_eq!(got.chunk(4)["choices"], json!([]));
    let got = ask(&server, &streamed());
    assert_eq!(got.chunk(3)["usage"], usage());
    assert_eq!(got.events()[4], "[DONE]");
}

#[test]
fn a_whole_answer_is_one_text() {
    let answer = because()
        .reasoning(["th", "ink"])
        .choice(Vec::<String>::new())
        .tool_call("call_1", "time", ["{", "}"]);
    let server = Server::start([answer]).unwrap();
    let got = ask(&server, &json!({}));
    assert!(got.headers.contains("content-type: application/json"));
    let body: Value = serde_json::from_str(&got.body()).unwrap();
    let call = json!({
        "id": "call_1", "type": "function", "function": { "name": "time", "arguments": "{}" },
    });
    let expected = json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant", "content": "Because", "reasoning_content": "think",
                },
                "logprobs": null,
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": { "role": "assistant", "content": null, "tool_calls": [call] },
                "logprobs": null,
                "finish_reason": "tool_calls",
            },
        ],
        "usage": usage(),
    });
    assert_eq!(body, expected);
}

#[test]
fn choices_and_tool_calls_take_turns() {
    let answer = Answer::new(["a", "b"])
        .choice(["A"])
        .tool_call("call_1", "weather", ["{\"city\":", "\"Rome\"}"])
        .tool_call("call_2", "time", ["{}"])
        .finish("length");
    let server = Server::start([answer]).unwrap();
    let got = ask(&server, &streamed());
    let all = got.events().len() - 1;
    let said: Vec<_> = (0..all)
        .map(|at| {
            let chunk = got.chunk(at);
            let choice = &chunk["choices"][0];
            let delta = &choice["delta"];
            let call = &delta["tool_calls"][0];
            let text = delta["content"].as_str();
            let text = text.or(call["function"]["arguments"].as_str());
            format!(
                "{}{} {}{}",
                choice["index"],
                call["index"]
                    .as_u64()
                    .map_or(String::new(), |index| format!(".{index}")),
                text.unwrap_or_default(),
                choice["finish_reason"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let expected = [
        "0 ",
        "1 ",
        "0 a",
        "1 A",
        "0 b",
        "1.0 ",
        "0 stop",
        "1.1 ",
        "1.0 {\"city\":",
        "1.1 {}",
        "1.0 \"Rome\"}",
        "1 length",
    ];
    assert_eq!(said, expected);
}

#[test]
fn characters_are_split() {
    let reply = Reply::from(Answer::new(["原子", "🦀"])).split(1);
    let server = Server::start([reply]).unwrap();
    let got = ask(&server, &streamed());
    assert!(got.chunks.iter().all(|chunk| chunk.len() == 1));
    assert_eq!(got.chunk(2)["choices"][0]["delta"]["content"], "🦀");
    assert!(got.whole);
}

#[test]
fn a_cut_is_no_end() {
    let cut = || Reply::from(because()).after(2, Event::Cut);
    let server = Server::start([cut(), cut()]).unwrap();
    let got = ask(&server, &streamed());
    assert_eq!((got.events().len(), got.whole), (2, false));
    // After all that there is.
    let got = ask(&server, &json!({}));
    assert!(got.body().ends_with('}'));
    assert!(!got.whole);
}

#[test]
fn what_else_happens_in_a_stream() {
    let reply = Reply::from(because())
        .after(0, Event::KeepAlive)
        .after(1, Event::Data("no JSON".to_owned()))
        .after(2, Event::Error(json!({ "message": "overloaded" })))
        .after(3, Event::Cut);
    let server = Server::start([
        reply.clone(),
        reply,
        Reply::from(because()).after(1, Event::End),
    ]);
    let server = server.unwrap();
    let got = ask(&server, &streamed());
    assert!(got.body().starts_with(": keep-alive\n\ndata: {"));
    let events = got.events();
    assert_eq!(events[1], "no JSON");
    assert_eq!(events[3..], [r#"{"error":{"message":"overloaded"}}"#]);
    assert!(got.whole);
    // A whole answer has none of this.
    let got = ask(&server, &json!({}));
    assert!(serde_json::from_str::<Value>(&got.body()).is_ok());
    let got = ask(&server, &streamed());
    assert_eq!((got.events().len(), got.whole), (1, true));
}

#[test]
fn errors_have_a_status_and_headers() {
    let server = Server::start([
        Reply::error(429, "slow down").header("retry-after", "7"),
        Reply::raw(500, "<html>"),
    ])
    .unwrap();
    let got = ask(&server, &streamed());
    assert_eq!(got.status, 429);
    assert!(got.headers.contains("retry-after: 7"));
    let error = json!({ "error": { "message": "slow down", "type": "rate_limit_error" } });
    assert_eq!(got.body(), error.to_string());
    let got = ask(&server, &json!({}));
    assert_eq!((got.status, &*got.body()), (500, "<html>"));
    assert_eq!(ask(&server, &json!({})).status, 400);
    let elsewhere = receive(send(&server, "/v1/models", &json!({})));
    assert_eq!(elsewhere.status, 404);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_script_sees_the_request_and_the_test_does() {
    let server = Server::answering(|request| Answer::new([request.prompt()])).unwrap();
    let got = ask(&server, &streamed());
    assert_eq!(got.chunk(1)["choices"][0]["delta"]["content"], "Why?");
    let requests = server.requests();
    assert_eq!(requests[0].header("x-test"), Some("yes"));
    assert_eq!(requests[0].body, streamed());
}

#[tokio::test]
async fn a_gate_holds_a_stream_and_a_client_that_leaves_is_seen() {
    let (gate, status) = (Gate::new(), Gate::new());
    let server = Server::start([
        Reply::from(because()).after(2, Event::Hold(gate.clone())),
        Reply::from(because()).after(2, Event::Hold(gate.clone())),
        Reply::from(because()).held(&status),
        Reply::from(because()).held(&status),
    ])
    .unwrap();
    let leaves = send(&server, "/v1/chat/completions", &streamed());
    gate.reached().await;
    drop(leaves);
    server.left(1).await;
    let stays = send(&server, "/v1/chat/completions", &streamed());
    gate.open();
    let got = receive(stays);
    assert_eq!((got.events().len(), got.whole), (5, true));
    let leaves = send(&server, "/v1/chat/completions", &streamed());
    status.reached().await;
    drop(leaves);
    server.left(2).await;
    let stays = send(&server, "/v1/chat/completions", &streamed());
    status.open();
    assert!(receive(stays).whole);
}

#[test]
fn dropped_it_is_gone() {
    let gate = Gate::new();
    let server = Server::start([Reply::from(because()).after(1, Event::Hold(gate.clone()))]);
    let server = server.unwrap();
    let address = server.address();
    let mut waiting = send(&server, "/v1/chat/completions", &streamed());
    let mut first = [0];
    waiting.read_exact(&mut first).unwrap();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    let mut rest = Vec::new();
    // Whether it is reset or just closed is up to the system.
    let _ = waiting.read_to_end(&mut rest);
}
