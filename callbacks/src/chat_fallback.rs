//! A handler of text models also hears of chat models: put around it at registration, this calls
//! `on_llm_start` with the messages as text where it has no `on_chat_model_start`.

use std::sync::Arc;

use crate::events::{AnyEvent, ChatModelStart, Events, LlmStart};
use crate::handler::{Answer, Outcome};
use crate::payload::buffer_string;
use crate::{BoxFuture, Deliver, Event, Interests, Run};

struct ChatFallback(Arc<dyn Deliver<Events> + Send + Sync>);

pub(crate) fn adapt(
    delivery: Arc<dyn Deliver<Events> + Send + Sync>,
) -> Arc<dyn Deliver<Events> + Send + Sync> {
    let interests = delivery.interests().union(delivery.async_interests());
    let needed = interests.contains(LlmStart::INDEX) && !interests.contains(ChatModelStart::INDEX);
    if needed {
        Arc::new(ChatFallback(delivery))
    } else {
        delivery
    }
}

/// Where the start of a text model is heard, that of a chat model is heard too.
fn widened(interests: Interests) -> Interests {
    if interests.contains(LlmStart::INDEX) {
        interests.union(const { Interests::of(&[ChatModelStart::INDEX]) })
    } else {
        interests
    }
}

/// Each conversation as one prompt.
fn prompts(event: &ChatModelStart<'_>) -> Vec<String> {
    event
        .messages
        .iter()
        .map(|messages| buffer_string(messages))
        .collect()
}

fn as_llm_start<'e>(event: &ChatModelStart<'e>, prompts: &'e [String]) -> AnyEvent<'e> {
    AnyEvent::LlmStart(LlmStart {
        serialized: event.serialized,
        prompts,
        params: event.params,
    })
}

impl Deliver<Events> for ChatFallback {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn method(&self, event: u32) -> &'static str {
        let called = if event == ChatModelStart::INDEX {
            LlmStart::INDEX
        } else {
            event
        };
        self.0.method(called)
    }

    fn interests(&self) -> Interests {
        widened(self.0.interests())
    }

    fn async_interests(&self) -> Interests {
        widened(self.0.async_interests())
    }

    fn deliver(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        match event {
            AnyEvent::ChatModelStart(start) => {
                self.0.deliver(run, &as_llm_start(start, &prompts(start)))
            }
            event => self.0.deliver(run, event),
        }
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a AnyEvent<'e>,
    ) -> BoxFuture<'a, Outcome> {
        match event {
            AnyEvent::ChatModelStart(start) => Box::pin(async move {
                let prompts = prompts(start);
                let event = as_llm_start(start, &prompts);
                self.0.deliver_async(run, &event).await
            }),
            event => self.0.deliver_async(run, event),
        }
    }

    fn ask(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Answer<Events> {
        self.0.ask(run, event)
    }

    fn ask_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a AnyEvent<'e>,
    ) -> BoxFuture<'a, Answer<Events>> {
        self.0.ask_async(run, event)
    }
}
