use std::sync::Arc;

use callbacks::Callbacks;
use callbacks::handlers::Usage;

fn main() {
    let usage = Arc::new(Usage::new());
    let _ = Callbacks::new().with(usage.clone());
}
