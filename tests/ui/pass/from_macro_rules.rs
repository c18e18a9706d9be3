#![deny(warnings)]

use callbacks::{Callbacks, LlmResult, callback_handler};

macro_rules! handler {
    ($name:ident, $token:ident: $ty:ty, $do:expr) => {
        struct $name;

        #[callback_handler]
        impl $name {
            fn on_llm_new_token(&self, $token: $ty, choice: usize) {
                let _ = ($token, choice);
            }

            async fn on_llm_end(&self, response: &LlmResult) {
                let run: fn(&LlmResult) = $do;
                run(response);
            }
        }
    };
}

handler!(Printer, token: &str, |response| drop(response.text().to_owned()));

fn main() {
    let _callbacks = Callbacks::new().with(Printer);
}
