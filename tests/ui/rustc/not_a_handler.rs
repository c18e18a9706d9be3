use callbacks::Callbacks;

struct Printer;

fn main() {
    let _callbacks = Callbacks::new().with(Printer);
}
