//! Sets and events that are seen only in a part of the crate.
#![deny(warnings, unreachable_pub)]

use callbacks::{Callbacks, Event, EventSet, callback_handler};

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

/// A twin is seen where its event is, and its fields where those are.
mod sealed {
    use callbacks::callback_events;

    #[callback_events]
    pub(crate) mod vault {
        pub(crate) struct Opened<'a> {
            code: &'a str,
            pub(self) door: u32,
            pub(super) by: u32,
            pub(in crate::sealed) at: u32,
            pub(crate) seen: Option<&'a str>,
        }

        pub(crate) fn opened(code: &str) -> Opened<'_> {
            Opened { code, door: 1, by: 2, at: 3, seen: Some("nobody") }
        }

        pub(crate) fn code(twin: &owned::Opened) -> (&str, u32) {
            (&twin.code, twin.door)
        }
    }

    pub(crate) fn when(twin: &vault::owned::Opened) -> (u32, u32) {
        (twin.by, twin.at)
    }
}

struct Guard;

#[callback_handler(events = sealed::vault)]
impl Guard {
    fn on_opened(&self, seen: Option<&str>, event: &sealed::vault::Opened<'_>) {
        let _ = (seen, event);
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
    let _callbacks: Callbacks = outer::callbacks()
        .with::<outer::renamed::Events, _>(Clerk)
        .with(Guard);
    let sealed::vault::owned::AnyEvent::Opened(twin) =
        sealed::vault::Events::own(&sealed::vault::opened("1234").view());
    assert_eq!(sealed::vault::code(&twin), ("1234", 1));
    assert_eq!(sealed::when(&twin), (2, 3));
    assert_eq!(twin.seen.as_deref(), Some("nobody"));
}
