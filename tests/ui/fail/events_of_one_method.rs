use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct HTTPFailed {
        pub status: u16,
    }
    pub struct HttpFailed {
        pub code: u16,
    }
}

fn main() {
    let _ = shop::HTTPFailed { status: 404 };
}
