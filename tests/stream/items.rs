//! The items, the event of each, and the result that they make.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use callbacks::events::{LlmEnd, LlmError, LlmNewToken, LlmStart};
use callbacks::testing::{Recorded, Recorder, assert_events};
use callbacks::{
    Callbacks, Chunk, Event, Interests, LlmResult, LlmStream, Message, TokenUsage, ToolCallChunk,
    handler,
};
use callbacks_tests::{MODEL, prompts, start};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::{Item, MODES, broken, chunk, closed, recorded, text, words};

#[tokio::test]
async fn the_same_items_come_out_and_each_is_told() {
    for mode in MODES {
        let (callbacks, recorder) = recorded(mode);
        let run = start(&callbacks).await;
        let items = run.stream(words(["Be", "", "cause"]), chunk);
        let items: Vec<_> = items.try_collect().await.unwrap();
        assert_eq!(items, ["Be", "", "cause"]);
        let events = closed(&recorder).await;
        assert_events!(
            events,
            [
                LlmStart,
                LlmNewToken {
                    token: "Be",
                    chunk: Some(_),
                    choice: 0,
                },
                LlmNewToken { token: "" },
                LlmNewToken { token: "cause" },
                LlmEnd { response } if response.text() == "Because",
            ],
            "{mode}"
        );
    }
}

#[tokio::test]
async fn chat_models_stream_too() {
    let (callbacks, recorder) = recorded("lane");
    let messages = [Message::human("Why?")];
    let run = callbacks.chat_model_start(&MODEL, &messages).await.unwrap();
    let items = run.stream(words(["Because"]), chunk);
    assert_eq!(items.count().await, 1);
    assert_events!(recorder, [ChatModelStart, LlmNewToken, LlmEnd]);
}

#[tokio::test]
async fn what_is_no_chunk_is_not_told() {
    let (callbacks, recorder) = recorded("lane");
    let run = start(&callbacks).await;
    let items = run.stream(words(["Be", "ping", "cause"]), |word| {
        (*word != "ping").then(|| Chunk::text(*word))
    });
    let items: Vec<_> = items.try_collect().await.unwrap();
    assert_eq!(items, ["Be", "ping", "cause"]);
    assert_events!(
        recorder,
        [
            LlmStart,
            LlmNewToken { token: "Be" },
            LlmNewToken { token: "cause" },
            LlmEnd { response } if response.text() == "Because",
        ]
    );
}

#[tokio::test]
async fn the_end_is_the_end() {
    let (callbacks, recorder) = recorded("lane");
    let run = start(&callbacks).await;
    // what is asked again after its end, panics
    let inner = stream::unfold((), |()| async { None::<(Item, ())> });
    let mut items = Box::pin(run.stream(inner, chunk));
    assert!(items.next().await.is_none());
    assert!(items.next().await.is_none());
    assert!(items.failure().is_none());
    let nothing = LlmResult::new(vec![vec![]]);
    assert_events!(
        recorder,
        [LlmStart, LlmEnd { response } if *response == nothing]
    );
}

#[tokio::test]
async fn an_item_that_is_an_error_ends_the_run() {
    for mode in MODES {
        let (callbacks, recorder) = recorded(mode);
        let run = start(&callbacks).await;
        let items = run.stream(stream::iter(broken()), chunk);
        let items: Vec<_> = items.map(Result::ok).collect().await;
        assert_eq!(items, [Some("Be"), Some("cau"), None, Some("se")]);
        let events = closed(&recorder).await;
        assert_events!(
            events,
            [
                LlmStart,
                LlmNewToken { token: "Be" },
                LlmNewToken { token: "cau" },
                LlmError { error, response }
                    if error.message == "line cut" && text(response) == Some("Becau"),
            ],
            "{mode}"
        );
    }
}

#[tokio::test]
async fn chunks_make_the_result() {
    let (callbacks, recorder) = recorded("lane");
    let run = start(&callbacks).await;
    let call = |args| ToolCallChunk::new().with_index(0).with_args(args);
    let usage = TokenUsage::new().with_output_tokens(9);
    let chunks = [
        Chunk::text("a").with_reasoning("why").with_extra("id", "1"),
        Chunk::text("b").with_choice(1),
        Chunk::text("").with_tool_calls([call("[1,").with_name("f"), call(" 2]")]),
        Chunk::text("")
            .with_usage(usage.clone())
            .with_extra("finish_reason", "tool_calls"),
    ];
    let chunks = stream::iter(chunks.map(Ok::<_, std::fmt::Error>));
    let items = run.stream(chunks, Chunk::clone);
    assert_eq!(items.count().await, 4);

    let events = recorder.events();
    let choices = events.iter().filter_map(choice);
    assert_eq!(choices.collect::<Vec<_>>(), [0, 1, 0, 0]);
    let result = json!({
        "generations": [[
            {
                "text": "a",
                "message": {
                    "role": "ai", "content": "a", "reasoning": "why",
                    "tool_calls": [{"name": "f", "args": [1, 2]}],
                },
                "finish_reason": "tool_calls",
            },
            {"text": "b", "message": {"role": "ai", "content": "b"}},
        ]],
        "llm_output": {"token_usage": {"output_tokens": 9}, "response_id": "1"},
    });
    let mut made = events.iter().find_map(response).unwrap();
    assert!(made.llm_output.time_to_first_token.take().is_some());
    assert_eq!(serde_json::to_value(&made).unwrap(), result);
}

/// The choice of a token.
fn choice(recorded: &Recorded) -> Option<usize> {
    LlmNewToken::of(&recorded.event()).map(|event| event.choice)
}

/// The result of an end, or of an error.
fn response(recorded: &Recorded) -> Option<LlmResult> {
    let event = recorded.event();
    let end = LlmEnd::of(&event).map(|event| event.response);
    let error = LlmError::of(&event).and_then(|event| event.response);
    end.or(error).cloned()
}

/// Callbacks with a recorder of these events alone.
fn hearing(events: &[u32]) -> (Callbacks, Recorder) {
    let recorder = Recorder::new();
    let only = handler(recorder.clone()).only(Interests::of(events));
    (Callbacks::new().with(only), recorder)
}

/// Where these events alone are heard.
struct Listening {
    to: &'static [u32],
    /// How many chunks are made of two items.
    chunks: usize,
    /// What is told of a whole answer, and of one that breaks off.
    whole: &'static [&'static str],
    broken: &'static [&'static str],
}

const LISTENING: [Listening; 6] = [
    Listening {
        to: &[],
        chunks: 0,
        whole: &[],
        broken: &[],
    },
    Listening {
        to: &[LlmStart::INDEX],
        chunks: 0,
        whole: &["on_llm_start"],
        broken: &["on_llm_start"],
    },
    Listening {
        to: &[LlmNewToken::INDEX],
        chunks: 2,
        whole: &["on_llm_new_token"; 2],
        broken: &["on_llm_new_token"; 2],
    },
    Listening {
        to: &[LlmEnd::INDEX],
        chunks: 2,
        whole: &["on_llm_end"],
        broken: &[],
    },
    Listening {
        to: &[LlmError::INDEX],
        chunks: 2,
        whole: &[],
        broken: &["on_llm_error"],
    },
    Listening {
        to: &[LlmNewToken::INDEX, LlmEnd::INDEX],
        chunks: 2,
        whole: &["on_llm_new_token", "on_llm_new_token", "on_llm_end"],
        broken: &["on_llm_new_token"; 2],
    },
];

#[tokio::test]
async fn what_nobody_listens_to_is_not_made() {
    for Listening {
        to,
        chunks,
        whole,
        broken: broken_off,
    } in LISTENING
    {
        for (inner, told) in [
            (vec![Ok("Be"), Ok("cause")], whole),
            (Vec::from(broken()), broken_off),
        ] {
            let (callbacks, recorder) = hearing(to);
            let made = AtomicUsize::new(0);
            let count = inner.len();
            let items = start(&callbacks).await.stream(stream::iter(inner), |word| {
                made.fetch_add(1, Ordering::Relaxed);
                chunk(word)
            });
            assert_eq!(items.count().await, count);
            assert_eq!(made.into_inner(), chunks, "{to:?}");
            let events = recorder.events();
            let methods: Vec<_> = events.iter().map(Recorded::method).collect();
            assert_eq!(methods, told, "{to:?}");
            let mut results = events.iter().filter_map(response);
            assert!(results.all(|result| ["Because", "Becau"].contains(&result.text())));
        }
    }
}

#[tokio::test]
async fn the_result_can_be_amended() {
    let (callbacks, recorder) = recorded("lane");
    let run = start(&callbacks).await;
    let items = run
        .stream(words(["Because"]), chunk)
        .amend(|_| panic!("another one counts"))
        .amend(|result| {
            assert_eq!(result.text(), "Because");
            result.llm_output.model_name = Some("small".to_owned());
        });
    assert_eq!(items.count().await, 1);
    assert_events!(
        recorder,
        [
            LlmStart,
            LlmNewToken,
            LlmEnd { response } if response.llm_output.model_name.as_deref() == Some("small"),
        ]
    );
}

#[tokio::test]
async fn a_result_that_nobody_hears_of_is_not_amended() {
    let [token, error] = [LlmNewToken::INDEX, LlmError::INDEX];
    for events in [&[][..], &[token], &[error]] {
        let run = start(&hearing(events).0).await;
        let items = run.stream(words(["Because"]), chunk);
        let items = items.amend(|_| panic!("nobody hears it"));
        assert_eq!(items.count().await, 1);
    }
    // and that of a run that fails is as it is
    let run = start(&recorded("lane").0).await;
    let items = run.stream(stream::iter(broken()), chunk);
    let items = items.amend(|_| panic!("it has not ended"));
    assert_eq!(items.count().await, 4);
}

#[tokio::test]
async fn a_run_that_nobody_hears_may_have_children_who_are_heard() {
    let (callbacks, recorder) = recorded("lane");
    let run = start(&Callbacks::new()).await;
    let inside = run.callbacks().merge(&callbacks);
    let child = start(&inside).await;
    let mut items = run.stream(stream::iter(broken()), chunk);
    assert!(items.next().await.unwrap().is_ok());
    assert!(items.next().await.unwrap().is_ok());
    assert_events!(recorder, [LlmStart]);
    assert!(items.next().await.unwrap().is_err());
    assert_events!(recorder, [LlmStart, LlmError]);
    drop(child);
}

/// A framework's own type, around a stream that is one itself.
struct Answer<S: Stream> {
    items: LlmStream<S, fn(&&'static str) -> Chunk>,
}

#[tokio::test]
async fn a_stream_has_a_name_and_may_borrow() {
    fn is_send(_: &impl Send) {}
    fn is_unpin(_: &impl Unpin) {}

    let (callbacks, recorder) = recorded("lane");
    let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
    let seen = AtomicUsize::new(0);
    let inner = words(["Because"]).inspect(|_| {
        seen.fetch_add(1, Ordering::Relaxed);
    });
    let items = run.stream(inner, chunk as fn(&&'static str) -> Chunk);
    let mut answer = Answer { items };
    is_send(&answer.items);
    is_unpin(&answer.items);
    assert_eq!(Pin::new(&mut answer.items).count().await, 1);
    assert_eq!(seen.into_inner(), 1);
    assert!(format!("{:?}", recorder.events()).contains("Because"));
}
