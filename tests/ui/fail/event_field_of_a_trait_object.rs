use callbacks::callback_events;

pub trait Scale: Send + Sync {}

#[callback_events]
mod shop {
    pub struct Weighed<'a> {
        pub scale: &'a dyn super::Scale,
        pub other: Option<&'a (dyn super::Scale + Sync)>,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
