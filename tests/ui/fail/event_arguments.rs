use callbacks::callback_events;

#[callback_events]
mod shop {
    #[event(repl = super::Verdict)]
    pub struct Misspelt {}

    #[event]
    pub struct Nothing {}

    #[event(reply)]
    pub struct NoType {}

    #[event(reply = super::Verdict)]
    #[event(reply = super::Verdict)]
    pub struct Twice {}

    #[event(reply = &'a str)]
    pub struct Borrows<'a> {
        pub id: &'a str,
    }

    #[event(reply = "super::Verdict")]
    pub struct Text {}
    pub struct AnyReply {}

    pub struct Sound {}
}

struct Verdict;

fn main() {}
