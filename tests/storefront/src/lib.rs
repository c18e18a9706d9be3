//! Handlers of a framework's events, in a crate that depends on nothing but the framework.

use std::sync::Mutex;

/// Remembers what happened.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: Mutex<Vec<String>>,
}

#[shop::callback_handler(events = shop::trade)]
impl Ledger {
    fn on_sold(&self, item: &str, count: u32) {
        self.add(format!("{count} {item}"));
    }

    async fn on_tick(&self) {
        self.add("tick".to_owned());
    }

    fn on_refund(&self, item: &str) -> shop::Verdict {
        self.add(format!("refund of {item}"));
        shop::Verdict::No("all sales are final".to_owned())
    }

    /// What happened so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .map(|lines| lines.clone())
            .unwrap_or_default()
    }

    fn add(&self, line: String) {
        if let Ok(mut lines) = self.lines.lock() {
            lines.push(line);
        }
    }
}

#[shop::callback_handler(events = shop::happenings)]
impl Ledger {
    async fn on_llm_end(&self, response: &shop::LlmResult) {
        self.add(response.text().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Ledger;

    #[tokio::test]
    async fn a_user_of_a_framework_needs_no_runtime_in_its_manifest() {
        let ledger = Arc::new(Ledger::default());
        let callbacks = shop::Callbacks::new()
            .with::<shop::trade::Events, _>(ledger.clone())
            .with::<shop::happenings::Events, _>(ledger.clone());
        shop::sell_tea(&callbacks).await.unwrap();
        shop::answer(&callbacks).await.unwrap();
        let (verdict, _) = shop::refund(&callbacks, "tea", 1).await.unwrap();
        assert_eq!(verdict, shop::Verdict::No("all sales are final".to_owned()));
        assert_eq!(
            ledger.lines(),
            ["2 tea", "tick", "Because", "refund of tea"]
        );
    }
}
