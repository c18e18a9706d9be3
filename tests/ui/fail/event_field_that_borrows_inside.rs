use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Sold<'a> {
        pub item: Result<&'a str, ()>,
    }
    pub struct Bought<'a> {
        pub items: &'a [&'a str],
        pub print: fn(&'a str),
        pub fine: for<'b> fn(&'b str, &str, &'_ str),
        pub by: Option<&'a std::borrow::Cow<'a, str>>,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
