//! What the built-in handlers write to a terminal, and the run trees they gather.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use callbacks::events::{RetrieverEnd, RetrieverError};
use callbacks::handlers::{
    RunTree, RunTrees, StdoutHandler, StreamingStdout, Timeline, TokenBudget, Usage,
};
use callbacks::{
    AgentAction, Callbacks, Event, Interests, LlmResult, Message, RetryState, RunError, RunKind,
    Serialized, TokenUsage, handler,
};
use serde_json::json;
use tokio::sync::Barrier;

static AGENT: Serialized = Serialized::new("planner");
static CHAT: Serialized = Serialized::new("Chat");
static SHELL: Serialized = Serialized::new("Shell");

/// What was written.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// With all times the same.
    fn timeless(&self) -> String {
        let text = self.text();
        let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        for at in 1..words.len() {
            let unit = ["µs", "ms", "s"].into_iter().find(|unit| {
                let rest = words[at].strip_prefix(unit);
                rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
            });
            if let Some(unit) = unit.filter(|_| words[at - 1].parse::<f64>().is_ok()) {
                words[at - 1] = "1".into();
                words[at].replace_range(..unit.len(), "ms");
            }
        }
        words.join(" ")
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer(text: &str) -> LlmResult {
    let mut result = LlmResult::from_text(text);
    let usage = &mut result.llm_output.token_usage;
    *usage = TokenUsage::new();
    (usage.input_tokens, usage.output_tokens) = (Some(8), Some(2));
    result
}

/// An agent that asks a model and calls a tool, which fails.
async fn agent(callbacks: &Callbacks) {
    let inputs = json!({ "question": "why?" });
    let agent = callbacks.chain_start(&AGENT, &inputs).kind(RunKind::Agent);
    let agent = agent.await.unwrap();
    let messages = [Message::system("Be nice"), Message::human("why?")];
    let chat = agent.callbacks().chat_model_start(&CHAT, &messages);
    let chat = chat.await.unwrap();
    chat.new_token("Be").await.unwrap();
    chat.new_token("cause").await.unwrap();
    chat.end(&answer("Because")).await.unwrap();
    let action = AgentAction::new("Shell", json!("rm \x1b[2J"));
    agent.agent_action(&action).await.unwrap();
    let tool = agent.callbacks().tool_start(&SHELL, "rm \x1b[2J").await;
    let tool = tool.unwrap();
    tool.retry(&RetryState::new(1)).await.unwrap();
    let state = RetryState::new(2).with_max_attempts(3);
    let state = state.with_wait(Duration::from_millis(500));
    let state = state.with_error(RunError::new("busy"));
    tool.retry(&state).await.unwrap();
    tool.error(RunError::new("exit 1\nno such file"))
        .await
        .unwrap();
    agent.end(&json!("gave up")).await.unwrap();
}

#[tokio::test]
async fn what_happens_is_indented_and_the_tree_comes_last() {
    let screen = Screen::default();
    agent(&Callbacks::new().with(StdoutHandler::to(screen.clone()))).await;
    let expected = r#"> planner (agent)
    {"question":"why?"}
  > Chat (chat_model)
      System: Be nice
      Human: why?
  < Chat 1 ms, 8 + 2 tokens, first token after 1 ms
      Because
    Shell: "rm \u001b[2J"
  > Shell (tool)
      rm \u{1b}[2J
      attempt 1 failed
      attempt 2 of 3 failed: busy; again in 1 ms
  ! Shell 1 ms
      failed: exit 1
      no such file
< planner 1 ms
    gave up

planner (agent) 1 ms
├─ Chat (chat_model) 1 ms, 8 + 2 tokens, first token after 1 ms
└─ Shell (tool) 1 ms, failed: exit 1

"#;
    assert_eq!(screen.timeless(), expected);
}

#[tokio::test]
async fn there_are_colours_where_they_are_asked_for() {
    let screen = Screen::default();
    let handler = StdoutHandler::to(screen.clone()).colours(true);
    agent(&Callbacks::new().with(handler)).await;
    let text = screen.text();
    assert!(text.contains("> \x1b[1mplanner\x1b[0m (agent)"), "{text}");
    assert!(text.contains("\x1b[31mfailed: exit 1\x1b[0m"), "{text}");
    // And no other escapes, for example those of a prompt.
    let plain = text.replace("\x1b[0m", "").replace("\x1b[1m", "");
    let plain = plain.replace("\x1b[2m", "").replace("\x1b[31m", "");
    assert!(!plain.contains('\x1b'), "{plain:?}");
}

#[tokio::test]
async fn long_payloads_are_cut() {
    let screen = Screen::default();
    let handler = StdoutHandler::to(screen.clone()).shown(3);
    let callbacks = Callbacks::new().with(handler);
    let tool = callbacks.tool_start(&SHELL, "日本語の").await.unwrap();
    tool.end(&json!("abc")).await.unwrap();
    let text = screen.text();
    assert!(
        text.contains("    日本語\n    … and 1 more characters\n"),
        "{text}"
    );
    assert!(text.contains("    abc\n\n"), "{text}");
}

/// Fails from the second write on.
struct Leaves(Arc<Mutex<usize>>);

impl Write for Leaves {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut writes = self.0.lock().unwrap();
        *writes += 1;
        if *writes > 1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_terminal_that_is_gone_is_an_error_once() {
    for streaming in [false, true] {
        let writes = Arc::new(Mutex::new(0));
        let to = Leaves(writes.clone());
        let callbacks = if streaming {
            Callbacks::new().with(handler(StreamingStdout::to(to)).named("terminal"))
        } else {
            Callbacks::new().with(handler(StdoutHandler::to(to)).named("terminal"))
        };
        agent(&callbacks).await;
        let report = callbacks.flush(std::time::Duration::from_secs(5)).await;
        assert_eq!(report.handler("terminal").unwrap().failed, 1);
        assert_eq!(*writes.lock().unwrap(), 2);
    }
}

#[tokio::test]
async fn tokens_come_as_they_come_and_the_line_ends() {
    let screen = Screen::default();
    let callbacks = Callbacks::new().with(StreamingStdout::to(screen.clone()));
    for (tokens, end) in [
        (&["Be", "", "cause\x07"][..], true),
        (&["x\n", ""], false),
        (&[], true),
        // The end of a line in two pieces; and half of one.
        (&["y\r", "", "\nz\r"], true),
    ] {
        let run = callbacks.llm_start(&CHAT, Vec::new).await.unwrap();
        for token in tokens {
            run.new_token(token).await.unwrap();
        }
        if end {
            run.end(LlmResult::from_text("")).await.unwrap();
        } else {
            run.error(RunError::new("broke off")).await.unwrap();
        }
    }
    assert_eq!(screen.text(), "Because\\u{7}\nx\ny\nz\\u{d}\n");
}

fn trees() -> (Callbacks, mpsc::Receiver<RunTree>) {
    let (send, trees) = mpsc::channel();
    let gather = RunTrees::new(move |tree| send.send(tree).unwrap());
    (Callbacks::new().with(gather), trees)
}

#[tokio::test]
async fn a_run_tree_holds_what_was_heard() {
    let (callbacks, trees) = trees();
    agent(&callbacks.tag("prod")).await;
    let tree = trees.try_recv().unwrap();
    let [root, chat, tool] = tree.runs() else {
        panic!("{tree}");
    };
    assert_eq!(root.info.id(), tree.root().info.id());
    assert_eq!(root.info.tags(), ["prod"]);
    assert_eq!(root.input, json!({ "question": "why?" }));
    assert_eq!(root.output, json!("gave up"));
    assert_eq!(root.notes.len(), 1);
    assert_eq!(
        [root, chat, tool].map(|run| run.parent),
        [None, Some(0), Some(0)]
    );
    assert_eq!([root, chat, tool].map(|run| run.depth), [0, 1, 1]);
    assert_eq!(chat.usage.output_tokens, Some(2));
    assert_eq!(chat.tokens.len(), 2);
    assert_eq!(chat.input[0][1]["content"], json!("why?"));
    assert_eq!(tool.error.as_ref().unwrap().message, "exit 1\nno such file");
    assert!(tree.runs().iter().all(|run| run.duration().is_some()));
    assert!(trees.try_recv().is_err());
}

/// Runs at the same time, of one tree and of two, are told apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_runs_are_told_apart() {
    let (callbacks, trees) = trees();
    let together = Arc::new(Barrier::new(4));
    let mut tasks = tokio::task::JoinSet::new();
    for name in ["a", "b"] {
        let (callbacks, together) = (callbacks.clone(), together.clone());
        tasks.spawn(async move {
            let root = callbacks.chain_start(&AGENT, json!(name)).await.unwrap();
            let below = [0, 1].map(|at| {
                let (callbacks, together) = (root.callbacks().clone(), together.clone());
                tokio::spawn(async move {
                    let input = format!("{name}{at}");
                    let tool = callbacks.tool_start(&SHELL, &input).await.unwrap();
                    together.wait().await;
                    tool.end(&json!(input)).await.unwrap();
                })
            });
            for below in below {
                below.await.unwrap();
            }
            root.end(json!(name)).await.unwrap();
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let mut trees: Vec<_> = trees.try_iter().collect();
    assert_eq!(trees.len(), 2);
    trees.sort_by_key(|tree| tree.root().input.to_string());
    for (name, tree) in ["a", "b"].into_iter().zip(trees) {
        assert_eq!(tree.root().input, json!(name));
        let mut below: Vec<_> = tree.runs()[1..]
            .iter()
            .map(|run| run.input.clone())
            .collect();
        below.sort_by_key(ToString::to_string);
        assert_eq!(
            below,
            [json!(format!("{name}0")), json!(format!("{name}1"))]
        );
    }
}

/// What ran in a run stands right below it, however the starts of others came in between; and the lines go
/// past what is below.
#[tokio::test]
async fn runs_are_drawn_below_the_runs_they_ran_in() {
    let (callbacks, trees) = trees();
    let start = async |callbacks: &Callbacks, name: &'static str| {
        callbacks
            .chain_start(&AGENT, json!(null))
            .name(name)
            .await
            .unwrap()
    };
    let root = start(&callbacks, "root").await;
    let first = start(root.callbacks(), "first").await;
    let second = start(root.callbacks(), "second").await;
    let in_second = start(second.callbacks(), "in second").await;
    let in_first = start(first.callbacks(), "in first").await;
    for run in [in_first, in_second, first, second, root] {
        run.end(json!(null)).await.unwrap();
    }
    let drawing = trees.try_recv().unwrap().to_string();
    let lines = drawing.lines().map(|line| line.split(" (").next().unwrap());
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "root",
            "├─ first",
            "│  └─ in first",
            "└─ second",
            "   └─ in second"
        ]
    );
}

/// Ids are the emitter's: runs that are open at the same time may have one.
#[tokio::test]
async fn runs_with_one_id_are_runs_of_their_own() {
    let (callbacks, trees) = trees();
    let start = async |callbacks: &Callbacks| {
        let start = callbacks.chain_start(&AGENT, json!(null));
        start.id(callbacks::RunId::from(7)).await.unwrap()
    };
    for _ in 0..2 {
        let [one, other] = [start(&callbacks).await, start(&callbacks).await];
        let below = start(one.callbacks()).await;
        for run in [below, one, other] {
            run.end(json!(null)).await.unwrap();
        }
        let sizes: Vec<_> = trees.try_iter().map(|tree| tree.runs().len()).collect();
        assert_eq!(sizes, [2, 1]);
    }
}

/// A run that is not heard is passed over, and one whose end is not heard is kept by nobody.
#[tokio::test]
async fn what_is_not_heard_is_not_in_the_tree() {
    let (send, trees) = mpsc::channel();
    let gather = RunTrees::new(move |tree| send.send(tree).unwrap());
    let except = Interests::TOOL | Interests::of(&[RetrieverEnd::INDEX, RetrieverError::INDEX]);
    let gather = Arc::new(gather);
    let callbacks = Callbacks::new().with(handler(gather.clone()).except(except));
    let root = callbacks.chain_start(&AGENT, json!("root")).await.unwrap();
    let tool = root.callbacks().tool_start(&SHELL, "ls").await.unwrap();
    let inner = tool.callbacks().chain_start(&AGENT, json!("inner"));
    let inner = inner.await.unwrap();
    let search = inner.callbacks().retriever_start(&SHELL, "tea");
    let search = search.await.unwrap();
    search.end(Vec::new()).await.unwrap();
    inner.end(json!(null)).await.unwrap();
    tool.end(json!(null)).await.unwrap();
    assert!(
        trees.try_recv().is_err(),
        "an inner run is no outermost one"
    );
    root.end(json!(null)).await.unwrap();
    let tree = trees.try_recv().unwrap();
    let inputs = tree.runs().iter().map(|run| (run.depth, run.input.clone()));
    let expected = [(0, json!("root")), (1, json!("inner")), (2, json!("tea"))];
    assert_eq!(inputs.collect::<Vec<_>>(), expected);
    assert!(tree.runs()[2].ended_at.is_none());
    assert_eq!(format!("{gather:?}"), "RunTrees { open: 0, .. }");
}

/// Names may come from a model, too.
#[tokio::test]
async fn a_name_makes_no_line_of_its_own() {
    let screen = Screen::default();
    let callbacks = Callbacks::new().with(StdoutHandler::to(screen.clone()));
    let tool = callbacks
        .tool_start(&SHELL, "ls")
        .name("Read\n< Chain 1 ms");
    tool.await.unwrap().end(json!(null)).await.unwrap();
    let text = screen.text();
    assert!(
        text.lines().all(|line| !line.starts_with("< Chain")),
        "{text}"
    );
    assert!(text.contains("Read\\u{a}< Chain"), "{text}");
}

/// A writer that panics is gone, too.
#[tokio::test]
async fn a_terminal_that_panics_is_an_error_once() {
    struct Panics;

    impl Write for Panics {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("no such screen")
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let handler = handler(StdoutHandler::to(Panics)).named("terminal");
    let callbacks = Callbacks::new().with(handler);
    agent(&callbacks).await;
    let report = callbacks.flush(std::time::Duration::from_secs(5)).await;
    assert_eq!(report.handler("terminal").unwrap().failed, 1);
}

/// Trees can be deeper than any stack.
#[tokio::test]
async fn deep_trees_are_drawn() {
    let (callbacks, trees) = trees();
    let screen = Screen::default();
    let callbacks = callbacks.with(StdoutHandler::to(screen.clone()));
    let root = callbacks.chain_start(&AGENT, json!(null)).await.unwrap();
    let mut runs = vec![root];
    for _ in 0..10_000 {
        let above = runs.last().unwrap().callbacks();
        let run = above.chain_start(&AGENT, json!(null)).await.unwrap();
        runs.push(run);
    }
    runs.swap_remove(0).end(json!(null)).await.unwrap();
    let tree = trees.try_recv().unwrap();
    assert_eq!(tree.runs().len(), 10_001);
    assert_eq!(tree.runs().last().unwrap().depth, 10_000);
    assert_eq!(tree.to_string().lines().count(), 10_001);
    assert!(screen.text().lines().all(|line| line.chars().count() < 250));
}

/// What they register is not what users know.
#[tokio::test]
async fn handlers_go_by_their_own_names() {
    let callbacks = Callbacks::new()
        .with(Usage::new())
        .with(TokenBudget::new(1))
        .with(Timeline::new("nowhere.html"));
    let report = callbacks.flush(std::time::Duration::from_secs(5)).await;
    let names = report.handlers.iter().map(|handler| &*handler.name);
    let names = names.map(|name| name.rsplit("::").next().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["Usage", "TokenBudget", "Timeline"]
    );
}
