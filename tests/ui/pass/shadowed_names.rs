#![deny(warnings)]
#![no_implicit_prelude]
#![allow(dead_code)]

mod inner {
    pub struct Box;
    pub struct Option;
    pub struct Result;
    pub struct Send;
    pub struct Sync;
    pub struct String;
    pub struct Vec;
    pub mod core {}
    pub mod std {}
    pub mod callbacks {}

    #[::callbacks::callback_events(serde)]
    pub mod clock {
        pub struct Tick<'a> {
            pub text: &'a str,
            pub bytes: &'a [u8],
            pub text_or_none: ::core::option::Option<&'a str>,
        }
    }

    pub struct Printer;

    #[::callbacks::callback_handler(events = clock)]
    impl Printer {
        fn on_tick(&self, text: &str) {
            let _ = text;
        }
    }

    pub struct AsyncPrinter;

    #[::callbacks::callback_handler]
    impl AsyncPrinter {
        async fn on_llm_end(&self, run: &::callbacks::Run<'_>) -> ::core::result::Result<(), ::callbacks::BoxError> {
            let _ = run;
            ::core::result::Result::Ok(())
        }
    }
}

fn main() {
    let callbacks = ::callbacks::Callbacks::new().with(inner::Printer).with(inner::AsyncPrinter);
    ::std::mem::drop(callbacks);
}
