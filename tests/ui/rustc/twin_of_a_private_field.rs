use callbacks::callback_events;

#[callback_events]
mod vault {
    pub struct Opened<'a> {
        code: &'a str,
        pub door: u32,
    }

    pub fn opened(code: &str) -> Opened<'_> {
        Opened { code, door: 1 }
    }
}

fn main() {
    let twin = vault::owned::Opened { code: String::from("1234"), door: 1 };
    println!("{}", twin.code);
}
