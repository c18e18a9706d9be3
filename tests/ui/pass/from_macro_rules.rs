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

/// Two sets of one name, from one place.
macro_rules! set {
    ($around:ident, $event:ident { $field:ident: $ty:ty, $perhaps:ident: $borrowed:ty }) => {
        pub mod $around {
            #[callbacks::callback_events]
            pub mod store {
                pub struct $event<'a> {
                    pub $field: $ty,
                    pub $perhaps: Option<$borrowed>,
                }
            }
        }
    };
}

set!(market, Sold { item: &'a str, to: &'a [u8] });
set!(bank, Paid { amount: u32, by: &'a str });

/// The crate is where the macro is, and not where it is called.
pub mod embedding {
    pub use callbacks;

    #[macro_export]
    macro_rules! serialized_set {
        ($name:ident { $field:ident: $ty:ty }) => {
            #[$crate::embedding::callbacks::callback_events(
                serde,
                crate = $crate::embedding::callbacks
            )]
            pub mod $name {
                pub struct Sold<'a> {
                    pub $field: $ty,
                }
            }
        };
    }
}

serialized_set!(ledger { item: &'a str });

#[callback_handler(events = ledger)]
impl Printer {
    fn on_sold(&self, item: &str) {
        let _ = item;
    }
}

struct Clerk;

#[callback_handler(events = market::store)]
impl Clerk {
    fn on_sold(&self, item: &str, to: Option<&[u8]>) {
        let _ = (item, to);
    }
}

#[callback_handler(events = bank::store)]
impl Clerk {
    fn on_paid(&self, amount: u32, by: Option<&str>) {
        let _ = (amount, by);
    }
}

fn main() {
    let owned = market::store::owned::Sold { item: String::from("tea"), to: Some(vec![7]) };
    let _callbacks = Callbacks::new()
        .with::<market::store::Events, _>(Clerk)
        .with::<bank::store::Events, _>(Clerk);
    drop((owned, bank::store::owned::Paid { amount: 1, by: None }));
    let _callbacks = Callbacks::new()
        .with::<callbacks::events::Events, _>(Printer)
        .with::<ledger::Events, _>(Printer);
}
