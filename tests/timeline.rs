//! The page of the timeline: what is in the file, and what a browser makes of it.
//!
//! The browser is Chromium, by its command line: `.ci/run` installs it, and runs what is ignored here.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, fs, process};

use callbacks::handlers::Timeline;
use callbacks::{
    Callbacks, LlmResult, Message, RunError, RunId, RunKind, Serialized, TokenUsage, handler,
};
use serde_json::{Value, json};

static AGENT: Serialized = Serialized::new("planner");
static CHAT: Serialized = Serialized::new("Chat");
static SHELL: Serialized = Serialized::new("Shell");

/// What a prompt may say.
const EVIL: &str = "</script><script>document.title = 'owned'</script><!-- <img src=x onerror=\
                    \"document.title = 'owned'\"> \u{2028} <script";

/// A page that is gone at the end of its test.
struct Page(PathBuf);

impl Page {
    fn new(test: &str) -> Self {
        let name = format!("timeline-{test}-{}.html", process::id());
        Self(env::temp_dir().join(name))
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap()
    }

    /// The trees in it.
    fn trees(&self) -> Vec<Value> {
        let text = self.text();
        let (_, data) = text.split_once("id=\"data\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        serde_json::from_str(data).unwrap()
    }

    /// What a browser makes of it, at this address.
    fn browse(&self, state: &str) -> String {
        let address = format!("file://{}#{state}", self.0.display());
        let mut browser = Command::new("chromium");
        browser.args(["--headless=new", "--no-sandbox", "--disable-gpu"]);
        browser.args(["--virtual-time-budget=3000", "--window-size=1280,720"]);
        if let Ok(shot) = env::var("TIMELINE_SCREENSHOT") {
            let mut again = Command::new("chromium");
            again.args(["--headless=new", "--no-sandbox", "--disable-gpu"]);
            again.args(["--virtual-time-budget=3000", "--window-size=1280,720"]);
            let shot = again.arg(format!("--screenshot={shot}")).arg(&address);
            assert!(shot.output().unwrap().status.success());
        }
        let output = browser.arg("--dump-dom").arg(address).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// An agent that asks a model and calls a tool, which fails.
async fn agent(callbacks: &Callbacks, ids: u128) {
    let id = |at: u128| RunId::from(ids + at);
    let inputs = json!({ "question": EVIL });
    let agent = callbacks.chain_start(&AGENT, &inputs).id(id(0));
    let agent = agent.kind(RunKind::Agent).await.unwrap();
    let chat = agent.callbacks().tag("prod");
    let messages = [Message::human(EVIL)];
    let chat = chat.chat_model_start(&CHAT, &messages).id(id(1));
    let chat = chat.await.unwrap();
    for token in ["Be", "cause", "."] {
        chat.new_token(token).await.unwrap();
    }
    let mut answer = LlmResult::from_text("Because of the needle.");
    let usage = &mut answer.llm_output.token_usage;
    *usage = TokenUsage::new();
    usage.output_tokens = Some(17);
    chat.end(&answer).await.unwrap();
    let tool = agent.callbacks().tool_start(&SHELL, "rm").id(id(2));
    let tool = tool.await.unwrap();
    tool.text("about to remove").await.unwrap();
    tool.error(RunError::new("exit 1")).await.unwrap();
    agent.end(&json!("gave up")).await.unwrap();
}

#[tokio::test]
async fn the_page_holds_what_happened() {
    let page = Page::new("holds");
    agent(&Callbacks::new().with(Timeline::new(&page.0)), 16).await;
    let trees = page.trees();
    let [tree] = &*trees else { panic!("{trees:?}") };
    let runs = tree["runs"].as_array().unwrap();
    let of = |field: &str| {
        runs.iter()
            .map(|run| run[field].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("name"), ["planner", "Chat", "Shell"]);
    assert_eq!(of("kind"), ["agent", "chat_model", "tool"]);
    assert_eq!(of("depth"), [0, 1, 1]);
    assert_eq!(of("tags"), [json!([]), json!(["prod"]), json!([])]);
    assert_eq!(runs[0]["input"]["question"], EVIL);
    assert_eq!(runs[1]["usage"]["output_tokens"], 17);
    assert_eq!(runs[1]["tokens"].as_array().unwrap().len(), 3);
    assert_eq!(runs[2]["error"]["message"], "exit 1");
    assert_eq!(runs[2]["notes"][0]["text"], "about to remove");
    for run in runs {
        let time = |field: &str| run[field].as_f64().unwrap();
        assert!(
            0.0 <= time("start") && time("start") <= time("end"),
            "{run}"
        );
    }
    // Nothing in it but the page's own ends a script.
    let text = page.text();
    assert_eq!(text.matches("</script").count(), 2);
    assert_eq!(text.matches("<script").count(), 2);
}

#[tokio::test]
async fn the_newest_trees_are_kept() {
    let page = Page::new("newest");
    let callbacks = Callbacks::new().with(Timeline::new(&page.0));
    for at in 0..25 {
        let tool = callbacks.tool_start(&SHELL, "ls").await.unwrap();
        tool.end(&json!(at)).await.unwrap();
    }
    let trees = page.trees();
    let outputs = trees.iter().map(|tree| tree["runs"][0]["output"].clone());
    let expected = (5..25).map(Value::from);
    assert_eq!(outputs.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_that_cannot_be_written_is_counted() {
    let path = env::temp_dir().join("no such directory").join("page.html");
    let timeline = handler(Timeline::new(path)).named("timeline");
    let callbacks = Callbacks::new().with(timeline);
    for _ in 0..2 {
        let tool = callbacks.tool_start(&SHELL, "ls").await.unwrap();
        tool.end(&json!(null)).await.unwrap();
    }
    let report = callbacks.flush(Duration::from_secs(5)).await;
    assert_eq!(report.handler("timeline").unwrap().failed, 2);
}

#[tokio::test]
#[ignore = "needs `chromium`"]
async fn a_browser_shows_it() {
    let page = Page::new("browser");
    let callbacks = Callbacks::new().with(Timeline::new(&page.0));
    agent(&callbacks, 16).await;
    agent(&callbacks, 32).await;

    // The newest, from its root on.
    let dom = page.browse("");
    assert_eq!(dom.matches("class=\"run\"").count(), 2, "{dom}");
    assert_eq!(dom.matches("class=\"run failed\"").count(), 1, "{dom}");
    assert_eq!(dom.matches("<option").count(), 2, "{dom}");
    assert!(dom.contains("class=\"bar tool error\""), "{dom}");
    let (_, ticks) = dom.split_once("<path d=\"").unwrap();
    assert_eq!(ticks.split('"').next().unwrap().matches('M').count(), 3);
    assert!(
        dom.contains("<title>Timeline</title>"),
        "a prompt ran: {dom}"
    );
    let shown = "&lt;/script&gt;&lt;script&gt;document.title = 'owned'";
    assert!(dom.contains(shown), "the prompt is not shown: {dom}");
    assert!(!dom.contains("<img"), "a prompt became HTML: {dom}");

    // One of the older, as after a click.
    let dom = page.browse(&format!("run={}", RunId::from(18)));
    let (_, details) = dom.split_once("id=\"details\">").unwrap();
    assert!(
        details.starts_with("<h2>Shell <small>tool</small></h2>"),
        "{details}"
    );
    assert!(details.contains("failed: exit 1"), "{details}");
    assert!(details.contains("about to remove"), "{details}");

    let dom = page.browse("search=NEEDLE");
    assert!(dom.contains(">1 of 3 runs<"), "{dom}");
    assert_eq!(dom.matches(" other\"").count(), 2, "{dom}");
}
