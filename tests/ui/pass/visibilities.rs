//! Sets and events that are seen only in a part of the crate.
#![deny(warnings, unreachable_pub)]

use callbacks::{Callbacks, callback_handler};

mod outer {
    use callbacks::{Callbacks, callback_handler};

    pub(crate) mod inner {
        use callbacks::{Callbacks, callback_events, callback_handler};

        #[callback_events]
        pub(super) mod near {
            pub(in crate::outer) struct Bought<'a> {
                pub(in crate::outer) item: &'a str,
            }
        }

        #[callback_events]
        pub(in crate::outer) mod within {
            pub(super) struct Sold<'a> {
                pub(super) item: &'a str,
            }
        }

        #[callback_events]
        pub(crate) mod far {
            pub(crate) struct Sold<'a> {
                pub(crate) item: &'a str,
            }
        }

        struct Inner;

        #[callback_handler(events = within)]
        impl Inner {
            fn on_sold(&self, item: &str) {
                let _ = item;
            }
        }

        #[callback_handler(events = self::near)]
        impl Inner {
            fn on_bought(&mut self, item: &str) {
                let _ = item;
            }
        }

        pub(crate) fn callbacks() -> Callbacks {
            Callbacks::new()
                .with::<within::Events, _>(Inner)
                .with::<near::Events, _>(Inner)
        }
    }

    pub(crate) use inner::far as renamed;

    struct Outer;

    #[callback_handler(events = inner::near)]
    impl Outer {
        fn on_bought(&self, item: &str) {
            let _ = item;
        }
    }

    pub(crate) fn callbacks() -> Callbacks {
        inner::callbacks().with(Outer)
    }
}

struct Clerk;

#[callback_handler(events = crate::outer::renamed)]
impl Clerk {
    async fn on_sold(&self, event: &outer::renamed::Sold<'_>) {
        let _ = event.item;
    }
}

fn main() {
    let _callbacks: Callbacks = outer::callbacks().with(Clerk);
}
