//! What goes wrong on the way: the caller's error is the run's, and what had arrived is told with it.

use callbacks::LlmResult;
use callbacks::events::LlmError;
use callbacks::testing::{Faulty, assert_events};
use callbacks::{Callbacks, handler};
use callbacks_examples::{ChatError, EndpointError};
use callbacks_loopback::{Answer, Event, Reply};
use serde_json::json;

use crate::{Scene, because};

/// Asks, and holds the error that comes of it against what the handlers are told.
async fn fails(scene: &Scene, arrived: Option<&str>) -> ChatError {
    let error = scene.ask().await.unwrap_err();
    let (told, partial) = scene.error().unwrap();
    assert_eq!(told.message, error.to_string());
    assert_eq!(partial.as_ref().map(LlmResult::text), arrived);
    scene.settle().await;
    error
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream() {
    let error = json!({ "message": "overloaded", "type": "server_error", "code": 503 });
    let scene = Scene::new([Reply::from(because()).after(3, Event::Error(error))]);
    let error = fails(&scene, Some("Because")).await;
    assert!(
        matches!(&error, ChatError::BrokenOff(said) if said == "overloaded"),
        "{error:?}"
    );
    assert_events!(
        scene.recorder,
        [
            ChatModelStart,
            LlmNewToken,
            LlmNewToken,
            LlmNewToken,
            LlmError
        ]
    );
}

#[tokio::test]
async fn a_connection_that_is_cut() {
    for (chunks, arrived) in [
        (0, None),
        (1, Some("")),
        (3, Some("Because")),
        (6, Some("Because.")),
    ] {
        let scene = Scene::new([Reply::from(because()).after(chunks, Event::Cut)]);
        let error = fails(&scene, arrived).await;
        assert!(matches!(error, ChatError::Client(_)), "{error:?}");
        assert_eq!(scene.tokens().len(), chunks);
        // What was begun is not tried again.
        assert_eq!(scene.server.requests().len(), 1);
    }
}

/// As a proxy does it that has lost its server.
#[tokio::test]
async fn a_stream_that_ends_before_the_answer() {
    let scene = Scene::new([Reply::from(because()).after(3, Event::End)]);
    let error = fails(&scene, Some("Because")).await;
    assert!(matches!(error, ChatError::Unfinished), "{error:?}");
    // Without a `[DONE]`, but with a finish reason, it is whole.
    let scene = Scene::new([Reply::from(because()).after(5, Event::End)]);
    assert_eq!(scene.ask().await.unwrap().text(), "Because.");
}

#[tokio::test]
async fn a_chunk_that_is_no_json() {
    let reply = Reply::from(because()).after(2, Event::Data("{\"choices\":".to_owned()));
    let scene = Scene::new([reply]);
    let error = fails(&scene, Some("Be")).await;
    assert!(matches!(error, ChatError::Client(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_no_json() {
    let scene = Scene::new([Reply::raw(200, "<html>")]);
    let whole = scene.chat.clone().streaming(false);
    let error = whole.invoke("Why?").await.unwrap_err();
    assert!(matches!(error, ChatError::Client(_)), "{error:?}");
    assert_events!(
        scene.recorder,
        [
            ChatModelStart,
            LlmError { error, response: None } if error.sources[0].contains("<html>"),
        ]
    );
    scene.settle().await;
}

/// Some proxies have words of their own for what went wrong.
#[tokio::test]
async fn an_answer_that_is_none() {
    let none = r#"{ "choices": [], "usage": { "prompt_tokens": 9 } }"#;
    for body in ["{}", r#"{ "detail": "Not Found" }"#, none] {
        for streaming in [true, false] {
            let scene = Scene::new([Reply::raw(200, body)]);
            let chat = scene.chat.clone().streaming(streaming);
            let error = chat.invoke("Why?").await.unwrap_err();
            assert!(matches!(error, ChatError::Unfinished), "{error:?}");
            scene.settle().await;
        }
    }
}

/// An empty reason is none.
#[tokio::test]
async fn a_stream_that_ends_before_it_says_why() {
    let piece = |text| {
        let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": "" });
        Event::Data(json!({ "choices": [choice] }).to_string())
    };
    let reply = Reply::from(because())
        .after(0, piece("Be"))
        .after(0, piece("cause"))
        .after(0, Event::End);
    let scene = Scene::new([reply]);
    let error = fails(&scene, Some("Because")).await;
    assert!(matches!(error, ChatError::Unfinished), "{error:?}");
}

/// The other choice has its end.
#[tokio::test]
async fn a_stream_that_ends_before_one_of_its_choices() {
    let answer = Answer::new(["a"]).choice(["A", "B"]);
    let scene = Scene::new([Reply::from(answer).after(5, Event::End)]);
    let error = fails(&scene, Some("a")).await;
    assert!(matches!(error, ChatError::Unfinished), "{error:?}");
    let (_, partial) = scene.error().unwrap();
    assert_eq!(partial.unwrap().generations[0][1].text, "A");
}

/// Some endpoints answer 200, and then say that they cannot.
#[tokio::test]
async fn an_error_in_place_of_an_answer() {
    for streaming in [true, false] {
        let scene = Scene::new([Reply::raw(200, r#"{"error": "no such model"}"#)]);
        let chat = scene.chat.clone().streaming(streaming);
        let error = chat.invoke("Why?").await.unwrap_err();
        let said = "the answer was broken off: no such model";
        assert_eq!(error.to_string(), said);
        assert_eq!(scene.server.requests().len(), 1);
        scene.settle().await;
    }
}

#[tokio::test]
async fn an_error_that_stays_is_told_at_once() {
    let refusal = json!({ "message": "no such model", "type": "x", "code": "model_not_found" });
    let quota = json!({ "message": "pay first", "code": "insufficient_quota" });
    let scene = Scene::new([Reply::error_of(404, &refusal), Reply::error_of(429, &quota)]);
    let error = fails(&scene, None).await;
    assert_eq!(error.to_string(), "404: no such model");
    assert!(
        matches!(&error, ChatError::Refused { status: 404, code: Some(code), .. } if code == "model_not_found"),
        "{error:?}"
    );
    assert_eq!(scene.ask().await.unwrap_err().to_string(), "429: pay first");
    assert_eq!(scene.server.requests().len(), 2);
    assert_events!(
        scene.recorder,
        [ChatModelStart, LlmError, ChatModelStart, LlmError]
    );
}

/// A proxy has lost its server in the middle of the error, or has nothing to say.
#[tokio::test(start_paused = true)]
async fn an_error_that_is_cut_or_empty() {
    for (reply, said) in [
        (
            Reply::raw(503, "busy").after(1, Event::Cut),
            "503: Service Unavailable",
        ),
        (Reply::raw(502, "").after(1, Event::End), "502: Bad Gateway"),
        (Reply::raw(599, ""), "599: no reason given"),
    ] {
        let scene = Scene::new([reply.clone(), because().into(), reply]);
        assert_eq!(scene.ask().await.unwrap().text(), "Because.");
        assert_eq!(scene.recorder.events()[1].method(), "on_retry");
        let once = scene.chat.clone().max_attempts(1);
        assert_eq!(once.invoke("Why?").await.unwrap_err().to_string(), said);
    }
}

/// What the model failed with comes first.
#[tokio::test]
async fn an_error_that_a_handler_fails_with_is_the_models() {
    for streaming in [true, false] {
        for reply in [
            Reply::error(404, "no such model"),
            Reply::from(because()).after(1, Event::Cut),
        ] {
            let faulty = handler(Faulty::error("no disk").on::<LlmError<'_>>()).raise_errors();
            let scene = Scene::with(&Callbacks::new().with(faulty), [reply]);
            let chat = scene.chat.clone().streaming(streaming);
            let error = chat.invoke("Why?").await.unwrap_err();
            assert!(!matches!(error, ChatError::Callback(_)), "{error:?}");
            scene.settle().await;
        }
    }
}

#[test]
fn an_endpoint_that_there_cannot_be() {
    let chat = callbacks_examples::ChatOpenAi::new();
    let endpoint = |base_url, key| chat.clone().endpoint(base_url, key).unwrap_err();
    let error = endpoint("nowhere", "a-key");
    assert!(matches!(error, EndpointError::Url(_)), "{error:?}");
    let error = endpoint("localhost:8000/v1", "a-key");
    assert!(matches!(error, EndpointError::Scheme(_)), "{error:?}");
    for base_url in [
        "https://user:secret@gateway/v1",
        "ftp://user:secret@gateway/v1",
    ] {
        let error = endpoint(base_url, "a-key");
        assert!(
            !format!("{error:?} {error}").contains("secret"),
            "{error:?}"
        );
    }
    let error = endpoint("http://localhost:8000/v1", "a-key\r");
    assert!(matches!(error, EndpointError::ApiKey), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("a-key"));
    let chat = chat.endpoint("http://localhost:8000/v1", "a-key").unwrap();
    assert!(!format!("{chat:?}").contains("a-key"));
}
