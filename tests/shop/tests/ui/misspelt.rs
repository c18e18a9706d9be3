struct Clerk;

#[shop::callback_handler(events = shop::trade)]
impl Clerk {
    fn on_slod(&self) {}

    fn on_sold(&self, itm: &str) {
        println!("{itm}");
    }
}

fn main() {}
