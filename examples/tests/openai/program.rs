//! Programs that are told of an endpoint by their environment. Cargo builds them before it tests the package; for
//! `--test openai` alone, `cargo build -p callbacks-examples --features openai --examples` does.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

use callbacks::LlmResult;
use callbacks_loopback::{Answer, Event, Reply, Server};
use serde::Deserialize;
use serde_json::{Value, json};

/// An example, which cargo has built beside this test.
fn example(name: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
    let deps = env::current_exe().unwrap();
    let target = deps.ancestors().nth(2).map(PathBuf::from).unwrap();
    let program = target.join("examples").join(name);
    let program = program.with_extension(env::consts::EXE_EXTENSION);
    let mut command = Command::new(&program);
    command.env_remove("OPENAI_BASE_URL").args(args);
    let output = command.envs(env.iter().copied()).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

#[derive(Deserialize)]
struct Transcript {
    model: String,
    prompt: String,
    tokens: Vec<String>,
}

/// The program that replays what was recorded prints the same when it comes over the network.
#[test]
fn async_callbacks() {
    let english = (
        include_str!("../../../tests/seed/expected.en.txt"),
        include_str!("../../transcripts/joke.en.json"),
        &[][..],
    );
    let chinese = (
        include_str!("../../../tests/seed/expected.zh.txt"),
        include_str!("../../transcripts/joke.zh.json"),
        &["--lang", "zh"][..],
    );
    for (expected, transcript, args) in [english, chinese] {
        let transcript: Transcript = serde_json::from_str(transcript).unwrap();
        // The first and the last token are empty: they have the role and the finish reason.
        let [_, tokens @ .., _] = &transcript.tokens[..] else {
            panic!("{:?}", transcript.tokens);
        };
        let usage = json!({ "prompt_tokens": 11, "completion_tokens": tokens.len() });
        let answer = Answer::new(tokens).model(&transcript.model);
        let answer = answer.usage(usage).usage_with_finish();
        let reply = Reply::from(answer).after(1, Event::KeepAlive).split(1);
        let server = Server::start([reply]).unwrap();
        let env = [
            ("OPENAI_BASE_URL", &*server.base_url()),
            ("OPENAI_API_KEY", "a-key"),
            // Of another endpoint.
            ("OPENAI_ORG_ID", "an-organization"),
            ("OPENAI_PROJECT_ID", "a-project"),
        ];
        let output = example("async_callbacks", args, &env);
        assert!(output.status.success(), "{output:?}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        let result = stdout.strip_prefix(expected);
        let result = result.unwrap_or_else(|| panic!("{stdout}"));
        let result: LlmResult = serde_json::from_str(result).unwrap();
        assert_eq!(result.text(), tokens.concat());
        assert_eq!(result.llm_output.model_name, Some(transcript.model));

        let [request] = &server.requests()[..] else {
            panic!("{:?}", server.requests());
        };
        assert_eq!(request.header("authorization"), Some("Bearer a-key"));
        assert_eq!(request.header("openai-organization"), None);
        assert_eq!(request.header("openai-project"), None);
        assert_eq!(request.prompt(), transcript.prompt);
        assert_eq!(request.body["max_completion_tokens"], 25);
    }
}

#[test]
fn an_endpoint_that_cannot_be() {
    let local = "http://localhost:8000/v1";
    for (base_url, api_key, certificates, problem) in [
        ("nowhere", "a-key", None, "RelativeUrlWithoutBase"),
        ("localhost:8000/v1", "a-key", None, "Scheme"),
        (local, "a-key\n", None, "ApiKey"),
        // As in a container that has none.
        #[cfg(target_os = "linux")]
        (local, "a-key", Some("/dev/null"), "Http"),
    ] {
        let mut env = vec![("OPENAI_BASE_URL", base_url), ("OPENAI_API_KEY", api_key)];
        env.extend(certificates.map(|file| ("SSL_CERT_FILE", file)));
        env.extend(certificates.map(|folder| ("SSL_CERT_DIR", folder)));
        let output = example("async_callbacks", &[], &env);
        assert!(!output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(problem), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn openai() {
    let output = example("openai", &[], &[]);
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    for line in [
        "It is sunny ☀",
        "attempt 1 of 3 failed: 429: slow down; again in ",
        "      {\"city\":\"Rome\"}",
        "      sunny in \"Rome\"",
    ] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    // The same program, with a model that is elsewhere.
    let server = Server::answering(|request| {
        let model = request.body["model"].as_str().unwrap_or_default();
        Answer::new([format!("I am {model}.")])
    });
    let server = server.unwrap();
    let env = [("OPENAI_BASE_URL", &*server.base_url())];
    let output = example("openai", &["mine"], &env);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.ends_with("I am mine.\n"), "{stdout}");
    assert_ne!(server.requests()[0].body["tools"], Value::Null);
}
