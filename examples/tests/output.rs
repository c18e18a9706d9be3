//! What the examples print.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The output of an example, which cargo has built beside this test.
fn output(example: &str, args: &[&str]) -> String {
    output_of(example, args, "")
}

/// Its output, when this is typed.
fn output_of(example: &str, args: &[&str], input: &str) -> String {
    run(example, args, input, Stdio::inherit()).0
}

/// Where cargo has put it.
fn program(example: &str) -> PathBuf {
    let deps = env::current_exe().unwrap();
    let target = deps.ancestors().nth(2).map(PathBuf::from).unwrap();
    let program = target.join("examples").join(example);
    program.with_extension(env::consts::EXE_EXTENSION)
}

/// What it writes to standard output, and to standard error if that is piped.
fn run(example: &str, args: &[&str], input: &str, stderr: Stdio) -> (String, String) {
    let program = program(example);
    let mut command = Command::new(&program);
    command
        .args(args)
        // What is recorded is what is tested, wherever the tests run.
        .env_remove("OPENAI_BASE_URL")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr);
    let running = command.spawn();
    let mut running = running.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut stdin = running.stdin.take().unwrap();
    // One that does not read has left.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn async_callbacks() {
    let english = include_str!("../../tests/seed/expected.en.txt");
    let chinese = include_str!("../../tests/seed/expected.zh.txt");
    let cases = [
        (&[][..], english, "Why don't scientists trust atoms? ", 14),
        (&["--lang", "zh"], chinese, "为什么科学家不相信原子？", 12),
    ];
    for (args, handlers, text, tokens) in cases {
        let output = output("async_callbacks", args);
        let result = output
            .strip_prefix(handlers)
            .unwrap_or_else(|| panic!("{output}"));
        let result: callbacks::LlmResult = serde_json::from_str(result).unwrap();
        assert!(result.text().starts_with(text), "{result:?}");
        let message = result.generations[0][0].message.as_ref().unwrap();
        assert_eq!(message.text(), result.text());
        assert_eq!(result.usage().output_tokens, Some(tokens));
        assert_eq!(
            result.llm_output.model_name.as_deref(),
            Some("gpt-3.5-turbo")
        );
    }
}

const JOKE: &str = "Why don't scientists trust atoms? \n\nBecause they make up everything.\n";

#[test]
fn decisions() {
    let models = format!(
        "> Human: Tell me a joke\n{JOKE}> Human: Tell me a joke\n{JOKE}\
         > Human: Who is <mail>\nI cannot tell, the address never reached me.\n\
         > Human: Tell me a secret\n\
         no answer: a callback handler stopped the run: the budget is spent\n"
    );
    let tools = "Shell wants to run `ls`: [y]es, [n]o, or what instead? \n\
         \"ran `ls`\"\n\
         Shell wants to run `rm -rf /`: [y]es, [n]o, or what instead? \n\
         a callback handler stopped the run: the user said no\n\
         Shell wants to run `cat secrets`: [y]es, [n]o, or what instead? \n\
         \"ran `echo hi`\"\n";
    assert_eq!(
        output_of("decisions", &[], "y\nn\necho hi\n"),
        models + tools
    );
    // Where nobody is there to say yes, it is a no.
    let nobody = output("decisions", &[]);
    assert!(!nobody.contains("ran `"), "{nobody}");
    assert_eq!(
        nobody.matches("unexpected end of file").count(),
        3,
        "{nobody}"
    );
}

#[test]
fn cost() {
    assert_eq!(
        output("cost", &[]),
        "gpt-3.5-turbo: 26 tokens\n3900 millionths of a cent\n\
         2 calls did not say all that they took\n"
    );
}

#[test]
fn console() {
    let output_lines = output("console", &[]);
    let (happened, tree) = output_lines.split_once("\n\nplanner (agent)").unwrap();
    let names = happened.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let mark = words.next().filter(|mark| [">", "<", "!"].contains(mark))?;
        Some(format!("{mark} {}", words.next()?))
    });
    assert_eq!(
        names.collect::<Vec<_>>().join(", "),
        "> planner, > Shell, ! Shell, > ChatOpenAI, < ChatOpenAI, < planner"
    );
    assert!(tree.contains("├─ Shell (tool)"), "{tree}");
    assert!(tree.contains("failed: exit status 127"), "{tree}");
    assert!(tree.contains("└─ ChatOpenAI (chat_model)"), "{tree}");
    assert_eq!(output("console", &["--stream"]), JOKE);
}

#[test]
fn timeline() {
    let path = env::temp_dir().join(format!("timeline-{}.html", std::process::id()));
    output("timeline", &[path.to_str().unwrap()]);
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(page.contains("scientists trust atoms"), "{page}");
}

#[test]
fn json_lines() {
    let path = env::temp_dir().join(format!("run-{}.jsonl", std::process::id()));
    let output = output("json_lines", &[path.to_str().unwrap()]);
    let recorded = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let events = recorded.lines().count() - 1;
    let ends = format!("#{events} ChatOpenAI ends: 14 tokens");
    let replayed = format!("replayed {events} events, 0 runs are open");
    let lines: Vec<_> = output.lines().collect();
    let [lost, starts, tokens @ .., end, summary] = &lines[..] else {
        panic!("{output}");
    };
    assert_eq!(*lost, "recorded, 0 events lost");
    assert_eq!(*starts, "#1 ChatOpenAI starts");
    let tokens = tokens.join("\n");
    assert!(tokens.starts_with("|Why| don|'t| scientists|"), "{tokens}");
    assert_eq!((*end, *summary), (&*ends, &*replayed));
}

#[test]
fn prompt_log() {
    let path = env::temp_dir().join(format!("prompts-{}.log", std::process::id()));
    let output = output("prompt_log", &[path.to_str().unwrap()]);
    assert!(output.contains("delivered: 4, failed: 0"), "{output}");
    let log = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(output.ends_with(&log));
    let (ids, lines): (Vec<_>, Vec<_>) =
        log.lines().filter_map(|line| line.split_once(' ')).unzip();
    assert_eq!(ids[1], ids[2]);
    assert_eq!(
        lines,
        [
            "ChatOpenAI prod: Human: Tell me a joke",
            "ChatOpenAI prod: Human: Is there life on Mars?",
            "failed: no recorded answer to \"Is there life on Mars?\"",
        ]
    );
}

#[test]
fn rate_limit() {
    assert_eq!(
        output("rate_limit", &[]),
        "call 1: 68 characters\ncall 2: 68 characters\n\
         call 3 was stopped: more than 2 calls in 60s\n"
    );
}

#[test]
fn retries() {
    assert_eq!(
        output("retries", &[]),
        "home: Ok(\"home\")\nslow: Ok(\"slow\")\nbusy: Ok(\"busy\")\n\
         gone: Err(\"503 service unavailable\")\n\
         Fetch tried again 3 times: 503 service unavailable\n\
         Fetch tried again once: timed out\n"
    );
}

#[test]
fn stream() {
    assert_eq!(
        output("stream", &[]),
        "| Be\n| cause\n| .\n= Because. Some(3)\n[\"Be\", \"cause\", \".\"]\n"
    );
}

#[cfg(feature = "metrics")]
#[test]
fn metrics() {
    let output = output("metrics", &[]);
    for line in [
        "llm_calls_total{model=\"gpt-3.5-turbo\",outcome=\"ok\"} 1",
        "llm_calls_total{model=\"gpt-3.5-turbo\",outcome=\"failed\"} 1",
        "llm_tokens_total 14",
    ] {
        assert!(output.contains(line), "{output}");
    }
}

#[test]
fn mini_agent() {
    let output = output("mini_agent", &[]);
    let lines: Vec<_> = output.lines().collect();
    for line in [
        "turn 3, with 8 messages",
        "      {\"cups\":2}",
        "Get tea for two: It is on its way.",
        "no answer: the index is locked",
        "no answer: the model is overloaded",
    ] {
        assert!(lines.contains(&line), "{line}: {output}");
    }
    assert!(output.contains("\n│  └─ researcher (agent) "), "{output}");
}

#[cfg(feature = "progress")]
#[test]
fn progress() {
    let (output, progress) = run("progress", &[], "", Stdio::piped());
    assert!(output.starts_with(JOKE), "{output}");
    assert!(output.ends_with("\ntrue\n"), "{output}");
    // A pipe is no terminal.
    assert_eq!(progress, "");
}

#[cfg(feature = "spans")]
#[test]
fn spans() {
    let output = output("spans", &[]);
    let lines: Vec<_> = output.lines().collect();
    let [answered, failed, unanswered, planned, requested] = lines[..] else {
        panic!("{output}");
    };
    // The spans around it, from the outermost in.
    let path = |line: &str| {
        let names = line.match_indices('{').map(|(at, _)| &line[..at]);
        let names = names.filter_map(|before| before.rsplit([':', ' ']).next());
        names.collect::<Vec<_>>().join("/")
    };
    for line in [answered, failed, unanswered] {
        assert_eq!(path(line), "request/agent/llm", "{line}");
    }
    assert_eq!(path(planned), "request/agent");
    assert_eq!(path(requested), "request");
    for field in ["model=\"gpt-3.5-turbo\"", "usage.output_tokens=14"] {
        assert!(answered.contains(field), "{answered}");
    }
    assert!(failed.trim_start().starts_with("ERROR"), "{failed}");
    assert!(
        failed.contains("no recorded answer to \"Is there life on Mars?\""),
        "{failed}"
    );
}

#[cfg(feature = "websocket")]
#[test]
fn websocket() {
    let output = output("websocket", &[]);
    let tokens: Vec<_> = output.lines().collect();
    assert_eq!(tokens.first(), Some(&""));
    let last = "[no recorded answer to \"Is there life on Mars?\"]";
    assert_eq!(tokens.last(), Some(&last));
    assert!(output.contains("\nWhy\n don\n't\n scientists"), "{output}");
}
