//! What LangChain does not do well, and is different here: whom events reach, and what one handler
//! can do to others.

use std::sync::mpsc;
use std::time::Duration;

use callbacks::events::ChainStart;
use callbacks::{Callbacks, Event, Interests, LlmResult, Message, Serialized};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::difference::{Change, added, changed, changed_obs};
use crate::framework::{ai, answer, batch, chain, lambda, reply, step, unserializable};
use crate::matching_handlers::{raises_async, start_failed};
use crate::observer::Act;
use crate::probe::Probe;
use crate::runner::Outcome;
use crate::scene::Scene;

pub(crate) async fn tag_demotion(scene: Scene) -> Outcome {
    let why =
        "a tag that is given both ways stays inherited; tags are in the order of giving (rule 10)";
    let (own, of_child) = (json!(["a", "b"]), json!(["a", "b", "kid"]));
    let (was, was_of_child) = (json!(["b", "a"]), json!(["b", "kid"]));
    scene.differs(
        why,
        [
            changed("0 s on_chain_start r0", "/tags", was.clone(), own.clone()),
            changed(
                "1 s on_chain_start r1",
                "/tags",
                was_of_child.clone(),
                of_child.clone(),
            ),
            changed("2 s on_chain_end r1", "/tags", was_of_child, of_child),
            changed("3 s on_chain_end r0", "/tags", was.clone(), own.clone()),
            changed_obs("/tags", was, own.clone()),
            changed_obs("/inheritable_tags", json!(["b"]), own),
        ],
    );
    let local = Callbacks::new().tag("a").metadata("k", 2).metadata("l", 3);
    let callbacks = Callbacks::new()
        .with(scene.plain("s"))
        .tag("a")
        .tag("b")
        .metadata("k", 1)
        .merge_local(&local);
    let probe = Probe::of(&callbacks, &scene).await?;
    scene.observe("tags", probe.own.tags);
    scene.observe("inheritable_tags", probe.inherited.tags);
    scene.observe("metadata", probe.own.metadata);
    scene.observe("inheritable_metadata", probe.inherited.metadata);

    let (p, c) = (Serialized::new("p"), Serialized::new("c"));
    let parent = callbacks.chain_start(&p, json!({})).await?;
    let for_child = parent.callbacks().local_tag("kid");
    let child = for_child.chain_start(&c, json!({})).await?;
    child.end(json!({})).await?;
    parent.end(json!({})).await?;
    Ok(Value::Null)
}

pub(crate) async fn duplicate_handlers(scene: Scene) -> Outcome {
    scene.differs(
        "the same handler registered twice is called once (rule 10)",
        ["1 s on_chain_start r0", "7 s on_chain_end r0"].map(Change::Removed),
    );
    let s = scene.plain("s");
    let callbacks = Callbacks::new().with(s.clone()).with(s.clone());
    let root = chain(&callbacks, "RunnableSequence", 1).await?;
    lambda(&step(&root, 1), "k1", 1, 1).await?;
    lambda(&step(&root, 2), "k2", 1, 1).await?;
    root.end(json!(1)).await?;
    scene.mark("user.second_part", json!({}));
    let of_model = Callbacks::new().with(s.clone());
    let callbacks = Callbacks::new().with(s).merge_local(&of_model);
    answer(&callbacks, &[Message::human("hi")]).await?;
    Ok(Value::Null)
}

pub(crate) async fn equal_handlers_collapse(scene: Scene) -> Outcome {
    scene.differs(
        "equal but distinct handlers are two (rule 10)",
        [
            added(
                "2 s_first on_chain_start r1",
                ("s_second", "on_chain_start", "r1"),
                json!({ "args": [1], "serialized": null }),
            ),
            changed_obs(
                "/merge",
                json!(["TypeError", "unhashable type: 'H'"]),
                json!(["s_first", "s_second"]),
            ),
        ],
    );
    let starts = Interests::of(&[ChainStart::INDEX]);
    let first = scene.plain("s_first").only(starts);
    let second = scene.plain("s_second").only(starts);
    let merged = Callbacks::new().with(first.clone());
    let merged = merged.merge(&Callbacks::new().with(second.clone()));
    let probe = Probe::of(&merged, &scene).await?;
    scene.observe("merge", probe.inherited.handlers);

    let callbacks = Callbacks::new().with(first).with(second);
    let outer = chain(&callbacks, "outer", 1).await?;
    lambda(outer.callbacks(), "inner", 1, 1).await?;
    outer.end(json!(1)).await?;
    Ok(Value::Null)
}

pub(crate) async fn merge_managers(scene: Scene) -> Outcome {
    scene.differs(
        "what is local there is local here, and nothing is lost: also in a value that belongs to a \
         run, as LangChain's chain group does (rule 10)",
        [
            changed_obs(
                "/group_merge/handlers",
                json!(["s0", "s2", "s1", "s3"]),
                json!(["s0", "s2"]),
            ),
            changed_obs(
                "/group_merge/inheritable",
                json!(["s0", "s2", "s1", "s3"]),
                json!(["s1", "s3"]),
            ),
            changed_obs(
                "/group_merge/inheritable_metadata",
                json!({}),
                json!({ "ib": 2 }),
            ),
        ],
    );
    // inline, so that they are called in the order of their registration
    let [s0, s1, s2, s3] = ["s0", "s1", "s2", "s3"].map(|name| scene.inline(name));
    let local = |metadata: &[(&str, i32)]| {
        let none = Callbacks::new();
        metadata
            .iter()
            .fold(none, |local, (key, value)| local.metadata(*key, *value))
    };
    let one = Callbacks::new()
        .with_local(s0.clone())
        .with(s1.clone())
        .local_tag("t1")
        .tag("i1")
        .metadata("ia", 1)
        .merge_local(&local(&[("a", 1), ("c", 1)]));
    let other = Callbacks::new()
        .with_local(s2)
        .with(s3)
        .local_tag("t2")
        .tag("i2")
        .metadata("ib", 2)
        .merge_local(&local(&[("b", 2), ("c", 2)]));
    let merged = Probe::of(&one.merge(&other), &scene).await?;
    scene.observe(
        "merge",
        json!({
            "handlers": merged.local_handlers(),
            "inheritable": merged.inherited.handlers,
            "tags": merged.local_tags(),
            "inheritable_tags": merged.inherited.tags,
            "metadata": merged.local_metadata(),
            "inheritable_metadata": merged.inherited.metadata,
        }),
    );
    let group = chain(&Callbacks::new(), "group", json!({})).await?;
    let one = group.callbacks().with_local(s0).with(s1);
    let merged = Probe::of(&one.merge(&other), &scene).await?;
    scene.observe(
        "group_merge",
        json!({
            "handlers": merged.local_handlers(),
            "inheritable": merged.inherited.handlers,
            "metadata": merged.local_metadata(),
            "inheritable_metadata": merged.inherited.metadata,
        }),
    );
    group.end(json!({})).await?;
    Ok(Value::Null)
}

/// A handler can change its own copy of what it is given, and does.
fn changes(what: &'static str, to: Value) -> Act {
    Box::new(move |mut line| {
        if let Some(mine) = line.pointer_mut(what) {
            mine.clone_from(&to);
        }
        Ok(())
    })
}

pub(crate) async fn shared_tags_list_is_mutable(scene: Scene) -> Outcome {
    let lines = [
        "1 s0 on_chain_start r0 exit",
        "2 s1 on_chain_start r0",
        "3 s0 on_chain_end r0",
        "4 s1 on_chain_end r0",
    ];
    scene.differs(
        "a handler of an event observes, and changes nothing for others",
        lines.map(|line| changed(line, "/tags", json!(["t", "evil"]), json!(["t"]))),
    );
    let evil = changes("/tags", json!(["t", "evil"]));
    let callbacks = Callbacks::new()
        .with(scene.plain_doing("s0", evil))
        .with(scene.plain("s1"))
        .tag("t");
    lambda(&callbacks, "RunnableLambda", 1, 1).await?;
    Ok(json!(1))
}

pub(crate) async fn messages_are_shared(scene: Scene) -> Outcome {
    let echoed = "/payload/args/0/generations/0/0";
    scene.differs(
        "a handler of an event observes, and changes nothing for the run",
        [
            changed(
                "2 s on_llm_end r0",
                echoed,
                json!({ "text": "echo:changed", "message": ai("echo:changed") }),
                json!({ "text": "echo:orig", "message": ai("echo:orig") }),
            ),
            Change::Result {
                from: ai("echo:changed"),
                to: ai("echo:orig"),
            },
        ],
    );
    let content = "/payload/args/0/0/0/content";
    let callbacks =
        Callbacks::new().with(scene.plain_doing("s", changes(content, json!("changed"))));
    let messages = [Message::human("orig")];
    let model = unserializable("Echo");
    let run = callbacks.chat_model_start(&model, &messages);
    let run = run.params(batch(1)).await?;
    let text = format!("echo:{}", messages[0].text());
    run.end(reply(&text)).await?;
    Ok(ai(&text))
}

/// As in `run_inline_order`, the inline handler has plain methods here.
pub(crate) async fn async_llm_start_drops_noninline(scene: Scene) -> Outcome {
    scene.differs(
        "a start reaches every handler that has a method for it (rules 3, 6)",
        [added(
            "0 a_inline on_llm_start r0",
            ("a_plain", "on_llm_start", "r0"),
            json!({
                "args": [["hi"]],
                "batch_size": 1,
                "serialized": { "name": "FakeListLLM", "type": "not_implemented" },
            }),
        )],
    );
    let callbacks = Callbacks::new()
        .with(scene.inline("a_inline"))
        .with(scene.awaited("a_plain"));
    let model = unserializable("FakeListLLM");
    let run = callbacks.llm_start(&model, vec!["hi".to_owned()]);
    let run = run.params(batch(1)).await?;
    run.end(LlmResult::from_text("x")).await?;
    Ok(json!("x"))
}

/// The one thread for blocking code is busy until the run is over, or a minute has passed.
pub(crate) async fn sync_handler_pool_starvation(scene: Scene) -> Outcome {
    let late = "trivial_run_took_over_150ms";
    scene.differs(
        "a sync method is called on a lane, never on the pool that users' work may fill (rule 2)",
        [changed_obs(
            "/trivial_run_took_over_150ms",
            json!(true),
            json!(false),
        )],
    );
    let (free, busy) = mpsc::channel::<()>();
    let busy = spawn_blocking(move || busy.recv_timeout(Duration::from_secs(60)).is_err());
    let callbacks = Callbacks::new().with(scene.plain("s"));
    lambda(&callbacks, "RunnableLambda", 1, 1).await?;
    assert_eq!(scene.take().len(), 4, "it was called");
    // If it had waited for the pool, nobody would be there to be told.
    let waited = free.send(()).is_err() || busy.await.unwrap_or(true);
    scene.observe(late, waited);
    Ok(Value::Null)
}

pub(crate) async fn async_handler_raise_error_ignored_in_sync_run(scene: Scene) -> Outcome {
    let failed = "1 x_raises on_chain_start r0 exit";
    scene.differs(
        "with `raise_errors`, an error comes out of the emission, however the handler is called and \
         whatever the run is; the start that fails has closed the run (rule 5)",
        [
            Change::Removed("2 x_raises on_chain_end r0"),
            added(failed, ("x_raises", "on_chain_error", "r0"), start_failed()),
            Change::Result {
                from: json!(1),
                to: json!({ "raised": ["RuntimeError", "handler boom"] }),
            },
        ],
    );
    scene.differs(
        "what is logged names the handler and its method (rule 5)",
        [changed_obs(
            "/log",
            json!(["WARNING:langchain_core.callbacks.manager:Error in callback coroutine: RuntimeError('handler boom')"]),
            json!(["Error in H_x_raises.on_chain_start callback: RuntimeError('handler boom')"]),
        )],
    );
    let raises = scene.awaited_doing("x_raises", raises_async());
    let callbacks = Callbacks::new().with(raises.raise_errors());
    lambda(&callbacks, "RunnableLambda", 1, 1).await?;
    Ok(json!(1))
}
