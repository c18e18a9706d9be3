//! Closures and functions as handlers: of a set of one's own, in a generic function, with every kind
//! of parameter and result, kept and named.
#![deny(warnings)]
#![allow(elided_lifetimes_in_paths)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use callbacks::events::{LlmEnd, LlmNewToken, LlmRequest, LlmStart, Text, ToolRequest};
use callbacks::{
    BoxError, Callbacks, Decision, Event, HandlerFn, IntoOutcome, On, Queue, Run, callback_events,
    handler, on, on_async,
};

#[callback_events]
mod store {
    pub struct Sold<'a> {
        pub item: &'a str,
    }
    pub struct Tick;
}

fn print(event: &LlmNewToken<'_>) {
    print!("{}", event.token);
}

fn print_all(_: &LlmEnd, run: &Run) -> io::Result<()> {
    println!("{}", run.name());
    Ok(())
}

async fn save(text: String) -> Result<(), BoxError> {
    drop(text);
    Ok(())
}

/// Kept under its name.
struct Handlers {
    tokens: On<LlmNewToken<'static>>,
    ticks: On<store::Tick>,
}

/// A closure of somebody else's making.
fn sends<T: From<String> + Send + 'static>(
    to: Sender<T>,
) -> impl Fn(&LlmEnd<'_>) -> Result<(), BoxError> + Send + Sync {
    move |event| {
        let text = event.response.text().to_owned();
        to.send(text.into()).map_err(|_| "nobody is there".into())
    }
}

/// What a framework can offer.
fn on_text(
    callbacks: &Callbacks,
    handler: impl Fn(&Text<'_>, &Run<'_>) + Send + Sync + 'static,
) -> Callbacks {
    callbacks.with(on(handler))
}

/// With options that are always the same.
fn quick<Args: 'static, F>(callbacks: &Callbacks, closure: F) -> Callbacks
where
    F: HandlerFn<Args, Output: IntoOutcome<<F::Event as Event>::Reply>> + Send + Sync + 'static,
{
    callbacks.with(handler(on(closure)).inline().raise_errors())
}

fn callbacks(to: Sender<String>) -> Callbacks {
    let count = Arc::new(AtomicU64::new(0));
    let handlers = Handlers {
        tokens: on(move |_: &LlmNewToken| {
            count.fetch_add(1, Ordering::Relaxed);
        }),
        ticks: on(|_: &store::Tick| ()),
    };
    let callbacks = quick(&Callbacks::new(), |event: &LlmStart| {
        println!("{:?}", event.prompts);
    });
    on_text(&callbacks, |event, run| {
        println!("{}: {}", run.name(), event.text)
    })
    .with(handlers.tokens.clone())
    .with(handlers.ticks)
    .with(handler(handlers.tokens).background(Queue::bounded(8)))
    .with(on(print))
    .with(on(print_all))
    .with(on(sends(to)))
    .with(on(|_: &Text<'_>| -> () { panic!("there is no text") }))
    .with(on(|event: &store::Sold<'_>, _: &Run<'_>| {
        println!("{}", event.item);
        Ok::<_, io::Error>(())
    }))
    .with(on(|event: &ToolRequest<'_>| match event.input {
        "" => Decision::Stop("no input".to_owned()),
        _ => Decision::Continue,
    }))
    .with_local(on(|_: &LlmRequest<'_>| Err::<Decision<_, _>, _>("no")))
    .with(on_async(|event: &LlmEnd<'_>| {
        save(event.response.text().to_owned())
    }))
    .with(on_async(|event: &store::Sold, run: &Run| {
        let (info, item) = (run.info().clone(), event.item.to_owned());
        async move {
            save(item).await?;
            println!("{}", info.name());
            Ok::<_, BoxError>(())
        }
    }))
    .with(on_async(|_: &ToolRequest<'_>| async {
        Decision::Answer(5.into())
    }))
}

fn main() {
    let _callbacks = callbacks(std::sync::mpsc::channel().0);
}
