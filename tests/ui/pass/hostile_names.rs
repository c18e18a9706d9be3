#![deny(warnings)]

use callbacks::{Callbacks, callback_handler};

mod outer {
    #[callbacks::callback_events]
    pub mod market {
        //! Documented inside.
        #![allow(dead_code)]

        pub struct r#Sold<'a> {
            pub r#type: &'a str,
            pub this: u8,
            pub outcome: u16,
            pub run_: u32,
            pub convert: for<'x> fn(&'x str) -> &'x str,
        }

        #[deprecated = "use `Sold`"]
        pub struct Bought;
    }

    pub struct Printer;
}

// the type namespace alone
use outer::market::{self};

#[callback_handler(events = market)]
#[allow(deprecated)]
impl outer::Printer {
    fn r#on_sold(&self, r#run: &callbacks::Run<'_>, r#type: &str, r#this: u8, outcome: u16, run_: u32, convert: for<'x> fn(&'x str) -> &'x str) {
        let _ = (run.id(), r#type, this, outcome, run_, convert("text"));
    }

    fn on_bought(&self) {}
}

fn main() {
    #[callbacks::callback_events]
    mod trace {
        pub struct Traced;
    }

    struct Tracer;

    #[callback_handler(events = trace)]
    impl Tracer {
        async fn on_traced(&self) {}
    }

    let _callbacks = Callbacks::new().with(outer::Printer).with(Tracer);
    let _ = trace::Traced;
    assert_eq!(<market::Sold<'_> as callbacks::Event>::NAME, "Sold");
}
