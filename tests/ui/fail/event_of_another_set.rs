use callbacks::callback_handler;

struct Till;

#[callback_handler]
impl Till {
    fn on_sold(&self, item: &str) {
        print!("{item}");
    }
}

fn main() {}
