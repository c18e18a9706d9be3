use callbacks::callback_events;

pub trait Scale: Send + Sync {}

#[callback_events]
mod shop {
    pub struct Weighed<'a> {
        pub scale: &'a dyn super::Scale,
        pub other: Option<&'a (dyn super::Scale + Sync)>,
    }
    pub struct Locked<'a> {
        pub total: &'a std::sync::Mutex<u32>,
        pub shown: Option<&'a std::cell::RefCell<u32>>,
        pub shared: &'a std::sync::Arc<std::sync::Mutex<u32>>,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
