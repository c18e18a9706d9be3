use std::fmt;

use callbacks::callback_handler;

#[derive(Debug)]
struct Unreadable<'a>(&'a str);

impl fmt::Display for Unreadable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unreadable<'_> {}

struct Reader;

#[callback_handler]
impl Reader {
    fn on_text<'a>(&self, text: &'a str) -> Result<(), Unreadable<'a>> {
        Err(Unreadable(text))
    }
}

fn main() {
    let _ = Reader;
}
