use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Generic<T> {
        pub item: T,
    }
    pub struct Two<'a, 'b> {
        pub item: &'a str,
        pub buyer: &'b str,
    }
    pub struct Tuple(pub u32);
    pub struct Reserved {
        pub run: u32,
        pub event: u32,
    }
    pub struct Owner {
        pub item: String,
    }
    pub struct Borrower<'a> {
        pub item: Result<&'a str, ()>,
    }
    #[cfg(all())]
    pub struct Sometimes;
    pub struct Events;
    pub struct Nested {
        pub sold: Owner,
    }
    pub struct Perhaps {
        #[cfg(all())]
        pub item: u32,
    }
    pub struct Sold<'a> {
        pub item: &'a str,
    }
}

#[callback_events(serde)]
mod stored {
    pub struct Named {
        pub name: &'static str,
    }
}

fn main() {
    let _ = shop::Sold { item: "tea" };
}
