//! What models are asked about: messages, prompts, batches; and where they are not.

use callbacks::{Asked, Callbacks, Decision, LlmDecision, LlmResult, Message};
use callbacks_tests::{Log, MODEL, TOOL, logger};
use serde_json::Value;

use super::{Answer, Models, Tools, go_on, reason_of};

#[tokio::test]
async fn a_chat_model_is_asked_about_its_messages() {
    let redact: Answer<LlmDecision> = |text| {
        let text = text
            .trim_start_matches("Human: ")
            .replace("a@b.c", "<mail>");
        Ok(Decision::Rewrite(vec![Message::human(text)]))
    };
    let (callbacks, log) = logger();
    let callbacks = callbacks
        .with(Models(log.clone(), "redact", redact))
        .with(Models(log.clone(), "check", go_on));
    let messages = [Message::human("write to a@b.c")];
    let start = callbacks.chat_model_start(&MODEL, &messages).ask();
    let Asked::Go(run) = start.await.unwrap() else {
        panic!()
    };
    let decided = [Message::human("write to <mail>")];
    assert_eq!(run.messages(), Some(&decided[..]));
    assert_eq!(run.batch(), Some(&[decided.to_vec()][..]));
    run.end(LlmResult::from_text("done")).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "redact is asked \"Human: write to a@b.c\"",
            "check is asked \"Human: write to <mail>\"",
            "Model: chat model start [\"write to <mail>\"]",
            "Model: llm end \"done\" None",
        ]
    );
    // Where nothing was decided, the framework has what it gave.
    let callbacks = Callbacks::new().with(Models(Log::new(), "check", go_on));
    let start = callbacks.chat_model_start(&MODEL, &messages).ask();
    let Asked::Go(run) = start.await.unwrap() else {
        panic!()
    };
    assert_eq!(run.messages(), None);
}

#[tokio::test]
async fn a_text_model_is_asked_about_its_prompts() {
    let shout: Answer<LlmDecision> = |text| {
        Ok(Decision::Rewrite(vec![Message::human(
            text.replace("Human: ", "") + "!",
        )]))
    };
    let dialogue: Answer<LlmDecision> = |_| {
        Ok(Decision::Rewrite(vec![
            Message::system("be nice"),
            Message::human("hi"),
        ]))
    };
    for (answer, expected) in [(shout, "hi!"), (dialogue, "System: be nice\nHuman: hi")] {
        let (callbacks, log) = logger();
        let callbacks = callbacks.with(Models(Log::new(), "clerk", answer));
        let prompts = ["hi".to_owned()];
        let Asked::Go(run) = callbacks.llm_start(&MODEL, &prompts).ask().await.unwrap() else {
            panic!()
        };
        assert_eq!(run.prompts(), Some(&[expected.to_owned()][..]));
        assert_eq!(log.lines(), [format!("Model: llm start [{expected:?}]")]);
    }
}

#[tokio::test]
async fn each_conversation_of_a_batch_is_asked_about() {
    let batch = [vec![Message::human("one")], vec![Message::human("two")]];
    let second: Answer<LlmDecision> = |text| {
        Ok(match text {
            "Human: two" => Decision::Rewrite(vec![Message::human("three")]),
            _ => Decision::Continue,
        })
    };
    let (callbacks, log) = logger();
    let callbacks = callbacks.with(Models(log.clone(), "clerk", second));
    let start = callbacks.chat_model_start(&MODEL, &batch[..]).ask();
    let Asked::Go(run) = start.await.unwrap() else {
        panic!()
    };
    let decided = [vec![Message::human("one")], vec![Message::human("three")]];
    assert_eq!(run.batch(), Some(&decided[..]));
    assert_eq!(
        log.lines(),
        [
            "clerk is asked \"Human: one\"",
            "clerk is asked \"Human: two\"",
            "Model: chat model start [\"one\", \"three\"]",
        ]
    );
    // An answer for a part of it is none for all of it.
    let answers: Answer<LlmDecision> = |_| Ok(Decision::Answer(LlmResult::from_text("x")));
    let callbacks = Callbacks::new().with(Models(Log::new(), "clerk", answers));
    let reason = reason_of(callbacks.chat_model_start(&MODEL, &batch[..]).ask().await);
    assert!(reason.contains("batch"), "{reason}");
}

#[tokio::test]
async fn a_model_can_be_answered_for() {
    let answers: Answer<LlmDecision> = |_| Ok(Decision::Answer(LlmResult::from_text("Because")));
    let (callbacks, log) = logger();
    let callbacks = callbacks.with(Models(Log::new(), "cache", answers));
    let messages = vec![Message::human("Why?")];
    match callbacks
        .chat_model_start(&MODEL, &messages)
        .ask()
        .await
        .unwrap()
    {
        Asked::Answered(result) => assert_eq!(result.text(), "Because"),
        Asked::Go(run) => panic!("{run:?}"),
    }
    assert_eq!(
        log.lines().last().unwrap(),
        "Model: llm end \"Because\" None"
    );
}

#[tokio::test]
async fn where_nobody_can_answer_nothing_is_made_or_asked() {
    let (callbacks, log) = logger();
    let Asked::Go(run) = callbacks.tool_start(&TOOL, "x").ask().await.unwrap() else {
        panic!()
    };
    assert_eq!(run.input(), "x");
    run.end(Value::Null).await.unwrap();
    assert_eq!(log.take().len(), 2);
    let callbacks = Callbacks::new().with(Tools(log.clone(), "clerk", go_on));
    let start = callbacks.chat_model_start(&MODEL, || -> Vec<Message> { panic!("made") });
    let Asked::Go(run) = start.ask().await.unwrap() else {
        panic!()
    };
    assert_eq!(run.messages(), None);
}
