//! Handlers with lifetimes of any name: none is one of what the attribute writes.
#![deny(warnings)]

use callbacks::{Callbacks, Decision, LlmResult, Run, callback_handler};
use serde_json::Value;

macro_rules! handlers {
    ($($handler:ident $exclusive:ident $lifetime:lifetime)*) => {$(
        pub struct $handler<$lifetime>(&$lifetime str);

        #[callback_handler]
        impl<$lifetime> $handler<$lifetime> {
            fn on_text(&self, text: &str) {
                println!("{} {text}", self.0);
            }

            async fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) {
                println!("{} {} {}", self.0, run.name(), response.text());
            }

            fn on_tool_request(&self, input: &str) -> Decision<String, Value> {
                Decision::Rewrite(format!("{} {input}", self.0))
            }

            async fn on_llm_request(&self) -> Decision<Vec<callbacks::Message>, LlmResult> {
                Decision::Stop(self.0.to_owned())
            }
        }

        pub struct $exclusive<$lifetime>(&$lifetime str, u32);

        #[callback_handler]
        impl<$lifetime> $exclusive<$lifetime> {
            fn on_text(&mut self, text: &str) {
                let _ = (self.0, text);
                self.1 += 1;
            }
        }
    )*};
}

handlers! {
    A ExclusiveA 'a
    E ExclusiveE 'e
    This ExclusiveThis 'this
    Event ExclusiveEvent 'event
    Fields ExclusiveFields 'fields
    Runs ExclusiveRuns 'run
    Info ExclusiveInfo 'info
    Future ExclusiveFuture 'future
}

mod anonymous {
    use std::borrow::Cow;

    pub struct Anonymous<'a, T>(pub &'a str, pub T);

    #[callbacks::callback_handler]
    impl Anonymous<'_, Cow<'_, str>> {
        async fn on_text(&self, text: &str) {
            println!("{} {} {text}", self.0, self.1);
        }
    }

    pub struct Calls<F: ?Sized>(pub Box<F>);

    /// Its lifetime is bound where it stands.
    #[callbacks::callback_handler]
    impl Calls<dyn Fn(&str) + Send + Sync> {
        fn on_text(&self, text: &str) {
            (self.0)(text);
        }
    }

    pub struct Counted<T, const N: usize>(pub T);

    const fn len(text: &str) -> usize {
        text.len()
    }

    #[callbacks::callback_handler]
    impl Counted<&str, { len(&"abc" as &str) }> {
        fn on_text(&self) {
            println!("{}", self.0);
        }
    }

    #[callbacks::callback_handler]
    impl<const N: usize> Anonymous<'_, (&[u8; N], fn(&str))> {
        fn on_text(&mut self, text: &str) {
            println!("{} {:?}", self.0, self.1.0);
            self.1.1(text);
        }
    }
}

mod named {
    pub struct Borrowing<'run>(pub &'run str);

    #[callbacks::callback_handler]
    impl<'run> Borrowing<'run> {
        async fn on_text<'text>(&'text self, text: &'text str) {
            println!("{} {text}", self.0);
        }
    }
}

fn main() {
    let _ = Callbacks::new().with(named::Borrowing("a"));
}
