use callbacks::callback_events;

#[callback_events]
mod shop {
    #[event(reply = super::Verdict)]
    pub struct Order<'a> {
        pub id: &'a str,
    }
}

struct Verdict;

fn main() {}
