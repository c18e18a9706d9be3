use callbacks::callback_handler;

mod store {
    pub struct Sold;
}

struct Clerk;

#[callback_handler(events = store)]
impl Clerk {
    fn on_sold(&self) {}
}

fn main() {}
