use callbacks::{callback_events, callback_handler};

#[callback_events]
mod store {
    pub struct Sold;
}

struct Clerk;

#[callback_handler(events = store)]
impl Clerk {
    fn on_sold(&self) {}
    fn on_llm_end(&self) {}
}

fn main() {}
