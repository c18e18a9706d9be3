//! What is told of an answer that comes to its end.

use callbacks::events::AnyEvent;
use callbacks::testing::assert_events;
use callbacks::{Callbacks, ModelParams};
use callbacks::{Decision, LlmResult, Message, TokenUsage, ToolCall, callback_handler};
use callbacks_loopback::{Answer, Event, Reply};
use serde_json::{Value, json};

use crate::{Scene, because};

/// What the caller is given, but for what is measured.
fn unmeasured(mut result: LlmResult) -> LlmResult {
    result.llm_output.time_to_first_token = None;
    result
}

#[tokio::test]
async fn a_stream_is_told_chunk_by_chunk() {
    let scene = Scene::new([because()]);
    let result = scene.ask().await.unwrap();
    assert_events!(
        scene.recorder,
        [
            ChatModelStart { messages } if messages[0][0] == Message::human("Why?"),
            LlmNewToken {
                token: "",
                choice: 0,
            },
            LlmNewToken { token: "Be" },
            LlmNewToken { token: "cause" },
            LlmNewToken { token: "." },
            LlmNewToken { token: "" },
            LlmNewToken { token: "", chunk: Some(chunk) } if chunk.usage.is_some(),
            LlmEnd { response } if response.text() == "Because.",
        ]
    );
    let choice = &result.generations[0][0];
    assert_eq!(choice.message, Some(Message::ai("Because.")));
    assert_eq!(choice.finish_reason.as_deref(), Some("stop"));
    assert!(choice.info.is_empty(), "{choice:?}");
    let output = &result.llm_output;
    assert_eq!(output.model_name.as_deref(), Some("gpt-4o-mini"));
    assert_eq!(output.response_id.as_deref(), Some("chatcmpl-1"));
    let told = scene.end().unwrap();
    assert!(told.llm_output.time_to_first_token.is_some());
    assert_eq!(unmeasured(told), result);
    scene.settle().await;
}

#[tokio::test]
async fn what_is_not_streamed_has_no_tokens_and_the_same_end() {
    let scene = Scene::new([because(), because()]);
    let streamed = scene.ask().await.unwrap();
    scene.recorder.take();
    let chat = scene.chat.clone().streaming(false);
    let result = chat.invoke("Why?").await.unwrap();
    assert_events!(scene.recorder, [ChatModelStart, LlmEnd]);
    assert_eq!(result, streamed);
    assert_eq!(scene.end(), Some(result));
    assert_eq!(scene.server.requests()[1].body["stream"], Value::Null);
    scene.settle().await;
}

#[tokio::test]
async fn what_is_asked_for_is_sent_and_told() {
    let scene = Scene::new([because()]);
    let tool = json!({ "type": "function", "function": { "name": "weather" } });
    let chat = scene
        .chat
        .clone()
        .max_tokens(25)
        .temperature(0.5)
        .choices(2);
    let chat = chat.tools([tool.clone()]);
    let call = ToolCall::new("weather", json!({ "city": "Rome" })).with_id("call_1");
    let messages = vec![
        Message::system("Be brief."),
        Message::human("Why?").with_name("ada"),
        Message::ai("").with_tool_calls([call]),
        Message::tool("sunny", "call_1"),
        Message::new("developer", "Go on."),
    ];
    chat.generate(&[messages]).await.unwrap();

    let request = &scene.server.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer a-key"));
    let arguments = r#"{"city":"Rome"}"#;
    let function = json!({ "name": "weather", "arguments": arguments });
    let calls = json!([{ "id": "call_1", "type": "function", "function": function }]);
    let expected = json!({
        "model": "gpt-4o-mini",
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Why?", "name": "ada" },
            { "role": "assistant", "content": "", "tool_calls": calls },
            { "role": "tool", "content": "sunny", "tool_call_id": "call_1" },
            { "role": "developer", "content": "Go on." },
        ],
        "max_completion_tokens": 25,
        "temperature": 0.5,
        "n": 2,
        "tools": [tool],
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    assert_eq!(request.body, expected);

    let params = ModelParams::new()
        .with_provider("openai")
        .with_model("gpt-4o-mini")
        .with_stream(true)
        .with_max_tokens(25)
        .with_temperature(0.5)
        .with_choices(2)
        .with_tools([tool])
        .with_server_address("127.0.0.1")
        .with_server_port(scene.server.address().port());
    let events = scene.recorder.events();
    let AnyEvent::ChatModelStart(start) = events[0].event() else {
        panic!("{events:?}");
    };
    assert_eq!(start.params, Some(&params));
}

#[tokio::test]
async fn tool_calls_are_told_in_pieces_and_put_together() {
    let answer = || {
        Answer::new(["I look."])
            .tool_call("call_1", "weather", ["{\"city\":", " \"Rome\"}"])
            .tool_call("call_2", "time", ["{}"])
    };
    let scene = Scene::new([answer(), answer()]);
    let streamed = scene.ask().await.unwrap();
    let pieces: Vec<_> = scene
        .chunks()
        .into_iter()
        .flat_map(|chunk| chunk.tool_calls)
        .map(|piece| {
            (
                piece.index.unwrap(),
                piece.id,
                piece.name,
                piece.args.unwrap(),
            )
        })
        .collect();
    let piece = |index, id: Option<&str>, name: Option<&str>, args: &str| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        (index, owned(id), owned(name), args.to_owned())
    };
    let expected = [
        piece(0, Some("call_1"), Some("weather"), ""),
        piece(1, Some("call_2"), Some("time"), ""),
        piece(0, None, None, "{\"city\":"),
        piece(1, None, None, "{}"),
        piece(0, None, None, " \"Rome\"}"),
    ];
    assert_eq!(pieces, expected);
    let calls = [
        ToolCall::new("weather", json!({ "city": "Rome" })).with_id("call_1"),
        ToolCall::new("time", json!({})).with_id("call_2"),
    ];
    let choice = &streamed.generations[0][0];
    let message = Message::ai("I look.").with_tool_calls(calls);
    assert_eq!(choice.message, Some(message));
    assert_eq!(choice.finish_reason.as_deref(), Some("tool_calls"));
    let whole = scene.chat.clone().streaming(false);
    assert_eq!(whole.invoke("Why?").await.unwrap(), streamed);
}

#[tokio::test]
async fn several_choices_are_kept_apart() {
    let answer = || Answer::new(["a", "b"]).choice(["A", "B"]).finish("length");
    let scene = Scene::new([answer(), answer()]);
    let streamed = scene.ask().await.unwrap();
    let told: Vec<_> = scene
        .chunks()
        .into_iter()
        .map(|chunk| (chunk.choice, chunk.text))
        .collect();
    let expected = [
        (0, ""),
        (1, ""),
        (0, "a"),
        (1, "A"),
        (0, "b"),
        (1, "B"),
        (0, ""),
        (1, ""),
    ];
    assert_eq!(
        told,
        expected.map(|(choice, text)| (choice, text.to_owned()))
    );
    let choices = streamed.generations[0].iter();
    let choices: Vec<_> = choices
        .map(|choice| (&*choice.text, choice.finish_reason.as_deref().unwrap()))
        .collect();
    assert_eq!(choices, [("ab", "stop"), ("AB", "length")]);
    let whole = scene.chat.clone().streaming(false);
    assert_eq!(whole.invoke("Why?").await.unwrap(), streamed);
}

#[tokio::test]
async fn usage_has_what_was_cached_and_thought() {
    let usage = json!({
        "prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140,
        "prompt_tokens_details": { "cached_tokens": 64, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 30 },
    });
    let answer = || {
        Answer::new(["Yes"])
            .reasoning(["th", "ink"])
            .usage(usage.clone())
    };
    let expected = TokenUsage::new()
        .with_input_tokens(100)
        .with_output_tokens(40)
        .with_total_tokens(140)
        .with_cache_read(64)
        .with_reasoning(30);
    // In a chunk of its own; with the finish reason; in a whole answer.
    let scene = Scene::new([answer(), answer().usage_with_finish(), answer()]);
    let apart = scene.ask().await.unwrap();
    assert_eq!(*apart.usage(), expected);
    let message = Message::ai("Yes").with_extra("reasoning", "think");
    assert_eq!(apart.generations[0][0].message, Some(message));
    assert_eq!(scene.tokens().len(), 6);
    scene.recorder.take();
    assert_eq!(scene.ask().await.unwrap(), apart);
    assert_eq!(scene.tokens().len(), 5);
    let whole = scene.chat.clone().streaming(false);
    assert_eq!(whole.invoke("Why?").await.unwrap(), apart);
}

/// Every byte is a network chunk, and comments are between the events.
#[tokio::test]
async fn characters_that_are_split_are_put_together() {
    let tokens = ["为什么", "科学家", "é", "🦀"];
    let mut reply = Reply::from(Answer::new(tokens)).split(1);
    for at in 0..6 {
        reply = reply.after(at, Event::KeepAlive);
    }
    let scene = Scene::new([reply]);
    assert_eq!(scene.ask().await.unwrap().text(), tokens.concat());
    assert_eq!(scene.tokens(), ["", "为什么", "科学家", "é", "🦀", ""]);
}

/// As other endpoints than OpenAI's have it.
#[tokio::test]
async fn what_is_left_out_or_unknown_is_no_error() {
    let data = |json: Value| Event::Data(json.to_string());
    let reply = Reply::from(Answer::new(Vec::<String>::new()))
        .after(
            0,
            data(json!({ "choices": [], "prompt_filter_results": [] })),
        )
        .after(
            0,
            data(json!({ "choices": [{ "delta": { "content": "So", "new": 1 } }] })),
        )
        .after(
            0,
            data(json!({ "model": null, "choices": [{ "delta": { "refusal": " no" } }] })),
        )
        .after(
            0,
            data(json!({ "choices": [{ "delta": { "content": "." }, "message": { "content": "." } }] })),
        )
        .after(
            0,
            data(json!({ "choices": [{ "delta": null, "finish_reason": "eos" }] })),
        )
        .after(0, Event::End);
    let scene = Scene::new([reply]);
    let result = scene.ask().await.unwrap();
    assert_eq!(scene.tokens(), ["So", " no", ".", ""]);
    let choice = &result.generations[0][0];
    assert_eq!(choice.text, "So no.");
    assert_eq!(choice.finish_reason.as_deref(), Some("eos"));
    assert_eq!(choice.info["refusal"], true);
    assert_eq!(result.llm_output.model_name, None);
}

/// An endpoint that cannot stream, and one that says JSON and streams.
#[tokio::test]
async fn what_is_called_json_in_place_of_a_stream_is_read() {
    let choice = json!({ "message": { "content": "So.\n" }, "finish_reason": "stop" });
    let whole = serde_json::to_string_pretty(&json!({ "choices": [choice] })).unwrap();
    let event = r#"{"choices": [{"delta": {"content": "So.\n"}, "finish_reason": "stop"}]}"#;
    let streamed = format!("event: message\r\ndata: {event}\r\n\r\ndata: [DONE]\r\n\r\n");
    let scene = Scene::new([Reply::raw(200, whole), Reply::raw(200, streamed)]);
    let result = scene.ask().await.unwrap();
    assert_eq!(result.text(), "So.\n");
    assert_eq!(scene.tokens(), ["So.\n"]);
    assert_eq!(scene.ask().await.unwrap(), result);
    scene.settle().await;
}

#[tokio::test]
async fn a_batch_is_a_run_each() {
    let scene = Scene::new([because().id("a"), because().id("b")]);
    let batch = [vec![Message::human("Why?")], vec![Message::human("How?")]];
    let result = scene.chat.generate(&batch).await.unwrap();
    assert_eq!(result.generations.len(), 2);
    assert_eq!(result.usage().output_tokens, Some(6));
    assert_eq!(result.llm_output.response_id.as_deref(), Some("b"));
    scene.settle().await;
}

/// Hides names from the provider, and answers by itself what it knows.
struct Between;

#[callback_handler]
impl Between {
    fn on_llm_request(&self, messages: &[Message]) -> Decision<Vec<Message>, LlmResult> {
        match &*messages[0].text() {
            "Who is Ada?" => Decision::Rewrite(vec![Message::human("Who is X?")]),
            "Who am I?" => Decision::Answer(LlmResult::from_text("you")),
            _ => Decision::Stop("not that".to_owned()),
        }
    }
}

#[tokio::test]
async fn handlers_decide_what_is_sent() {
    let scene = Scene::with(&Callbacks::new().with(Between), [because()]);
    scene.chat.invoke("Who is Ada?").await.unwrap();
    assert_eq!(scene.server.requests()[0].prompt(), "Who is X?");
    assert_eq!(scene.chat.invoke("Who am I?").await.unwrap().text(), "you");
    scene.ask().await.unwrap_err();
    assert_eq!(scene.server.requests().len(), 1);
    scene.settle().await;
}
