//! What LangChain does, and what is different here: a test for each recorded scenario.
//!
//! `match.jsonl` and `beat.jsonl` were recorded from LangChain, a line for each call that reached a
//! handler. Each scenario has a description: an async function that attaches handlers, emits with
//! this crate what LangChain's program did, and declares what is different here, with the reason
//! (the rules of delivery go by their numbers, as in the other tests).
//! The runner plays it, puts what the handlers wrote down into the same shape, and compares it with
//! the recording and the declared differences. What is never compared is listed in `normal.rs`.

mod beating_endings;
mod beating_handlers;
mod compare;
mod difference;
mod failures;
mod framework;
mod matching_chains;
mod matching_handlers;
mod matching_models;
mod normal;
mod observer;
mod payload;
mod probe;
mod recording;
mod rules;
mod runner;
mod scene;

use std::collections::BTreeSet;

use normal::{LEFT_OUT, remove};
use recording::Recording;

/// A test for each scenario, and the list of them.
macro_rules! scenarios {
    ($($file:literal: $($module:ident { $($name:ident)* })*)*) => {
        $($($(
            #[test]
            fn $name() {
                runner::play($file, stringify!($name), $module::$name);
            }
        )*)*)*

        const DESCRIBED: &[(&str, &str)] = &[$($($(($file, stringify!($name))),*),*),*];
    };
}

scenarios! {
    "match.jsonl":
        matching_models {
            seed_joke_en stream_backpressure sync_handler_under_async chat_start_fallback_sync
            chat_start_fallback_async text_llm_generate llm_error_mid_stream_async cache_hit
        }
        matching_chains {
            chain_invoke_sync chain_invoke_async chain_stream_async nested_implicit explicit_run_id
            run_ids_are_uuid7 tool_ok tool_error tool_in_chain_error retriever_ok retriever_error
            inherited_vs_local tags_metadata custom_event_sync custom_event_async batch_async
            parallel_sync
        }
        matching_handlers {
            ignore_flags run_inline_order async_handler_under_sync handler_raises_swallowed
            handler_raises_async
        }
    "beat.jsonl":
        beating_handlers {
            tag_demotion duplicate_handlers equal_handlers_collapse merge_managers
            shared_tags_list_is_mutable messages_are_shared async_llm_start_drops_noninline
            sync_handler_pool_starvation async_handler_raise_error_ignored_in_sync_run
        }
        beating_endings {
            chat_generate_one_fails_sync abandon_chain_stream_async cancel_model cancel_tool
            cancel_retriever cancel_during_end_event cancel_during_start_event
        }
}

/// None is skipped, and none is made up.
#[test]
fn every_scenario_has_a_description() {
    let recorded = Recording::all();
    let recorded: BTreeSet<_> = recorded.iter().map(|of| (of.file, &*of.name)).collect();
    let described: BTreeSet<_> = DESCRIBED.iter().copied().collect();
    let differs: Vec<_> = recorded.symmetric_difference(&described).collect();
    assert!(differs.is_empty(), "{differs:?}");
    assert_eq!(described.len(), DESCRIBED.len());
}

/// What is left out is there to be left out.
#[test]
fn every_column_that_is_left_out_is_recorded() {
    for left_out in &LEFT_OUT {
        let recorded = Recording::all().into_iter().any(|mut recording| {
            let mut header = serde_json::json!({ "obs": recording.obs });
            let mut lines = recording.lines.iter_mut().filter(|line| {
                let event = line["event"].as_str().unwrap_or_default();
                left_out.of.is_empty() || left_out.of.contains(&event)
            });
            remove(&mut header, left_out.column).is_some()
                || lines.any(|line| remove(line, left_out.column).is_some())
        });
        assert!(recorded, "{}: {}", left_out.column, left_out.why);
    }
}
