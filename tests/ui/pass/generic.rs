#![deny(warnings)]

use std::fmt::Debug;
use std::sync::Mutex;

use callbacks::{Callbacks, callback_handler};

struct Log<T, const N: usize>(Mutex<[Option<T>; N]>);

#[callback_handler]
impl<T, const N: usize> Log<T, N>
where
    T: Debug + Send + for<'t> From<&'t str>,
{
    fn on_llm_new_token(&self, token: &str) {
        for line in self.0.lock().unwrap().iter_mut() {
            *line = Some(T::from(token));
        }
    }

    async fn on_llm_end(&self) {
        std::future::ready(()).await;
        drop(self.0.lock());
    }
}

struct Borrowing<'l>(&'l str);

#[callback_handler]
impl<'l> Borrowing<'l> {
    fn on_llm_new_token(&self, token: &str) {
        let _ = self.0 == token;
    }

    async fn on_llm_end(&self) {
        std::future::ready(self.0).await;
    }
}

fn main() {
    let _callbacks = Callbacks::new()
        .with(Log(Mutex::new([None::<String>])))
        .with(Borrowing("for ever"));
}
