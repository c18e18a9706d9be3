#![deny(warnings)]

fn main() {
    use callbacks::{Callbacks, callback_handler};

    struct Printer;

    #[callback_handler]
    impl Printer {
        fn on_llm_new_token(&self, token: &str) {
            print!("{token}");
        }
    }

    let _callbacks = Callbacks::new().with(Printer);
}
