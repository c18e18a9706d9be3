use callbacks::{Callbacks, handler, on, on_async};

fn unused(callbacks: Callbacks) -> Callbacks {
    callbacks.with(on(|_| println!("a token")))
}

fn used(callbacks: Callbacks) -> Callbacks {
    callbacks.with(on(|event| print!("{}", event.token)))
}

fn with_options(callbacks: Callbacks) -> Callbacks {
    callbacks.with(handler(on(|event, run| print!("{}: {}", run.name(), event.token))).inline())
}

fn asynchronous(callbacks: Callbacks) -> Callbacks {
    callbacks.with(on_async(|_| async {}))
}

fn main() {
    let _callbacks = asynchronous(with_options(used(unused(Callbacks::new()))));
}
