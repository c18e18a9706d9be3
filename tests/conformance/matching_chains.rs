//! What is as in LangChain: chains, tools and retrievers, and how they lie inside each other.

use std::thread;

use callbacks::{Callbacks, Chunk, Document, RunId, Serialized};
use futures_executor::block_on;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::difference::changed;
use crate::framework::got;
use crate::framework::{
    HELLO, ai, answer, chain, chat, lambda, prompt, reply, sequence, step, streaming, value_error,
};
use crate::runner::{Fault, Outcome};
use crate::scene::Scene;

pub(crate) async fn chain_invoke_sync(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let root = chain(&callbacks, "RunnableSequence", json!({ "x": "cats" })).await?;
    sequence(root, "cats").await
}

pub(crate) async fn chain_invoke_async(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    let root = chain(&callbacks, "RunnableSequence", json!({ "x": "cats" })).await?;
    sequence(root, "cats").await
}

pub(crate) async fn chain_stream_async(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    let root = chain(&callbacks, "RunnableSequence", json!({ "input": "" })).await?;
    let (model, parser) = streaming(&root, "cats").await?;
    got(&scene, HELLO[0]);
    for token in &HELLO[1..] {
        model.new_chunk(Chunk::text(*token)).await?;
        got(&scene, token);
    }
    model.end(reply("Hello world")).await?;
    parser.end(json!("Hello world")).await?;
    root.end(json!("Hello world")).await?;
    Ok(json!(HELLO))
}

pub(crate) async fn nested_implicit(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let outer = chain(&callbacks, "outer", 1).await?;
    let body = async {
        let here = Callbacks::current().expect("it runs in a scope");
        lambda(&here, "inner", 1, 2).await?;
        let run = chat(&here, "hi").await?;
        run.end(reply("Hello world")).await
    };
    outer.scope(body).await?;
    outer.end(json!(2)).await?;
    Ok(json!(2))
}

pub(crate) async fn explicit_run_id(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let id = RunId::from(0x0190_a6b0_52a1_7f3c_8d5e_3a1b_2c3d_4e5f);
    let root = callbacks.chain_start(None, json!({ "x": "a" }));
    let root = root.id(id).name("root!").await?;
    sequence(root, "a").await?;
    let lines = scene.lines();
    let starts = lines.iter().filter(|line| line.enters("on_chain_start"));
    let runs = starts.filter_map(|line| line.run.as_ref());
    let runs = runs.map(|run| json!([run.id() == id, run.name()]));
    Ok(runs.collect())
}

pub(crate) async fn run_ids_are_uuid7(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    for _ in 0..100 {
        let root = chain(&callbacks, "root", 1).await?;
        lambda(root.callbacks(), "first", 1, 1).await?;
        lambda(root.callbacks(), "second", 1, 1).await?;
        root.end(json!(1)).await?;
    }
    let lines = scene.take();
    let starts = lines.iter().filter(|line| line.enters("on_chain_start"));
    let ids = starts.filter_map(|line| Some(line.run.as_ref()?.id().as_u128()));
    let ids: Vec<u128> = ids.collect();
    let mut versions: Vec<_> = ids.iter().map(|id| id >> 76 & 0xf).collect();
    versions.dedup();
    scene.observe("versions", json!(versions));
    scene.observe("increasing", ids.is_sorted_by(|one, next| one < next));
    Ok(Value::Null)
}

pub(crate) async fn tool_ok(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let tool = Serialized::new("add");
    let inputs = json!({ "a": 1, "b": 2 });
    let start = callbacks.tool_start(&tool, "{'a': 1, 'b': 2}");
    start.inputs(inputs).await?.end(json!(3)).await?;
    Ok(json!(3))
}

pub(crate) async fn tool_error(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    broken_tool(&callbacks).await?;
    Ok(Value::Null)
}

async fn broken_tool(callbacks: &Callbacks) -> Result<(), Fault> {
    let tool = Serialized::new("broken");
    let start = callbacks.tool_start(&tool, "{'a': 1}");
    let run = start.inputs(json!({ "a": 1 })).await?;
    let error = value_error("tool boom");
    run.error(&error).await?;
    Err(error.into())
}

pub(crate) async fn tool_in_chain_error(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let out = chain(&callbacks, "out", 1).await?;
    lambda(&step(&out, 1), "RunnablePassthrough", 1, 1).await?;
    let inner = chain(&step(&out, 2), "in", 1).await?;
    lambda(&step(&inner, 1), "prep", 1, json!({ "a": 1 })).await?;
    let Err(Fault::Own(error)) = broken_tool(&step(&inner, 2)).await else {
        panic!("the tool fails");
    };
    inner.error(&error).await?;
    out.error(&error).await?;
    Err(error.into())
}

pub(crate) async fn retriever_ok(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new()
        .with(scene.plain("s"))
        .tag("rt")
        .metadata("m", 1);
    let run = callbacks
        .retriever_start(None, "q")
        .name("FakeRetriever")
        .await?;
    run.text("searching").await?;
    run.end(["d1", "d2"].map(Document::new).to_vec()).await?;
    Ok(json!(["d1", "d2"]))
}

pub(crate) async fn retriever_error(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let run = callbacks
        .retriever_start(None, "q")
        .name("FakeRetriever")
        .await?;
    let error = value_error("no index");
    run.error(&error).await?;
    Err(error.into())
}

pub(crate) async fn inherited_vs_local(scene: Scene) -> Outcome {
    let of_tool = Callbacks::new().with(scene.plain("s_local_tool"));
    let of_model = Callbacks::new().with(scene.plain("s_local_model"));
    let callbacks = Callbacks::new().with(scene.plain("s_req"));

    let root = chain(&callbacks, "root", "hi").await?;
    let ask = Serialized::new("ask");
    let for_tool = root.callbacks().merge_local(&of_tool);
    let start = for_tool.tool_start(&ask, "{'q': 'hi'}");
    let tool = start.inputs(json!({ "q": "hi" })).await?;
    let inside = tool.callbacks();
    inside
        .custom_event("from_tool", json!({ "q": "hi" }))
        .await?;
    let run = chat(&tool.callbacks().merge_local(&of_model), "hi").await?;
    run.end(reply("Hello world")).await?;
    tool.end(json!("Hello world")).await?;
    root.end(json!("Hello world")).await?;
    Ok(json!("Hello world"))
}

pub(crate) async fn tags_metadata(scene: Scene) -> Outcome {
    let steps = [
        ("1 s on_chain_start r1", "seq:step:1", None),
        ("2 s on_chain_end r1", "seq:step:1", None),
        (
            "3 s on_chat_model_start r2",
            "seq:step:2",
            Some("model_tag"),
        ),
        ("4 s on_llm_end r2", "seq:step:2", Some("model_tag")),
    ];
    let tags = |tags: [Option<&str>; 4]| tags.into_iter().flatten().collect::<Value>();
    let (bound, req) = (Some("bound"), Some("req"));
    scene.differs(
        "the order of tags is that in which they were given (rule 10): what is handed on, then the tag of \
         the step; in LangChain that comes first",
        steps.map(|(line, step, more)| {
            let [from, to] = [[Some(step), bound, req, more], [bound, req, Some(step), more]];
            changed(line, "/tags", tags(from), tags(to))
        }),
    );
    let callbacks = Callbacks::new()
        .with(scene.plain("s"))
        .tag("bound")
        .tag("req")
        .metadata("bk", 1)
        .metadata("rk", "rv")
        .metadata("shared", "req");
    let of_model = Callbacks::new()
        .tag("model_tag")
        .metadata("mk", "mv")
        .metadata("shared", "model");

    let root = chain(&callbacks, "RunnableSequence", json!({ "x": "a" })).await?;
    let messages = prompt(&step(&root, 1), "a").await?;
    let message = answer(&step(&root, 2).merge_local(&of_model), &messages).await?;
    root.end(&message).await?;
    Ok(message)
}

pub(crate) async fn custom_event_sync(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new()
        .with(scene.plain("s"))
        .tag("t")
        .metadata("k", 1);
    let run = chain(&callbacks, "f", 1).await?;
    run.custom_event("progress", json!({ "pct": 50 })).await?;
    run.end(json!(1)).await?;
    Ok(json!(1))
}

pub(crate) async fn custom_event_async(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    let run = chain(&callbacks, "f", 1).await?;
    let implicit = async {
        let here = Callbacks::current().expect("it runs in a scope");
        here.custom_event("implicit", json!(1)).await
    };
    run.scope(implicit).await?;
    run.custom_event("explicit", json!([2])).await?;
    run.end(json!(1)).await?;
    Ok(json!(1))
}

pub(crate) async fn batch_async(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    let runs = (1..=4).map(async |input: i32| {
        let output = input * 2;
        lambda(&callbacks, "RunnableLambda", input, output).await?;
        Ok::<_, Fault>(output)
    });
    Ok(json!(try_join_all(runs).await?))
}

/// The branches run on threads of their own, as LangChain's do.
pub(crate) async fn parallel_sync(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let root = chain(&callbacks, "RunnableParallel<a,b>", "hi").await?;
    let branch = |key: &str| root.callbacks().local_tag(format!("map:key:{key}"));
    thread::scope(|scope| {
        let a = scope.spawn(|| block_on(lambda(&branch("a"), "A", "hi", 1)));
        let b = scope.spawn(|| {
            block_on(async {
                let run = chat(&branch("b"), "hi").await?;
                run.end(reply("b")).await
            })
        });
        [a, b]
            .into_iter()
            .try_for_each(|branch| branch.join().expect("no branch panics"))
    })?;
    let output = json!({ "a": 1, "b": ai("b") });
    root.end(&output).await?;
    Ok(output)
}
