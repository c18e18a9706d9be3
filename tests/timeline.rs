//! The page of the timeline: what is in the file, and what a browser makes of it.
//!
//! The browser is Chromium, by its command line: `.ci/run` installs it, and runs what is ignored here.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, fs, process};

use callbacks::handlers::Timeline;
use callbacks::{
    Callbacks, EmitError, LlmResult, Message, RunError, RunId, RunKind, Serialized, TokenUsage,
    handler,
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
async fn what_cannot_be_written_is_named() {
    let path = env::temp_dir().join("no such directory").join("page.html");
    let timeline = handler(Timeline::new(&path)).raise_errors();
    let callbacks = Callbacks::new().with(timeline);
    let tool = callbacks.tool_start(&SHELL, "ls").await.unwrap();
    let EmitError::Raised { source, .. } = tool.end(&json!(null)).await.unwrap_err() else {
        panic!("the handler raises")
    };
    assert!(source.to_string().contains("no such directory/page.html"));
}

/// The page holds prompts: it is not for all to read, unless somebody said so.
#[cfg(unix)]
#[tokio::test]
async fn permissions_and_links_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (page, link) = (Page::new("permissions"), Page::new("link"));
    symlink(&page.0, &link.0).unwrap();
    let mode = || fs::metadata(&page.0).unwrap().permissions().mode() & 0o777;
    let run = async |path: &PathBuf| {
        let callbacks = Callbacks::new().with(Timeline::new(path));
        let tool = callbacks.tool_start(&SHELL, "ls").await.unwrap();
        tool.end(&json!(null)).await.unwrap();
    };
    run(&page.0).await;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&page.0, fs::Permissions::from_mode(0o640)).unwrap();
    run(&link.0).await;
    assert_eq!(mode(), 0o640);
    assert!(fs::symlink_metadata(&link.0).unwrap().is_symlink());
    assert_eq!(page.trees().len(), 1);
}

/// Two who write the same page, and one who reads it: nobody finds half of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_whole_whenever_it_is_read() {
    let page = Page::new("whole");
    let writers = [(); 2].map(|()| {
        let callbacks = Callbacks::new().with(handler(Timeline::new(&page.0)).raise_errors());
        tokio::spawn(async move {
            for _ in 0..100 {
                let tool = callbacks.tool_start(&SHELL, "ls").await.unwrap();
                tool.end(&json!("x".repeat(10_000))).await.unwrap();
            }
        })
    });
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        if let Ok(text) = fs::read_to_string(&page.0) {
            assert!(text.ends_with("</script>\n"), "{} bytes", text.len());
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
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
    assert!(dom.contains("class=\"bar of-tool error\""), "{dom}");
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

    // In an output, a tag, a note, and across what JSON escapes.
    for search in [
        "NEEDLE",
        "prod",
        "about%20to%20remove",
        "onerror%3D%22document",
    ] {
        let dom = page.browse(&format!("search={search}"));
        let found = if search.starts_with("onerror") { 2 } else { 1 };
        assert!(
            dom.contains(&format!(">{found} of 3 runs<")),
            "{search}: {dom}"
        );
        assert_eq!(dom.matches(" other\"").count(), 3 - found, "{dom}");
    }
}
