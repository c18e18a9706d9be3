use callbacks::testing::{Recorder, assert_events};

#[callbacks::callback_events]
pub mod shop {
    pub struct Sold<'a> {
        pub item: &'a str,
    }
}

fn main() {
    let recorder = Recorder::new();
    assert_events!(recorder, [LlmStart, LlmNewTokn { token: "Why" }]);
    assert_events!(recorder, [LlmNewToken { tokn: "Why", .. }]);
    assert_events!(recorder, [LlmNewToken { token: 7 } | LlmEnd { .. }]);
    assert_events!(recorder, [LlmEnd { response } if response.txt() == "Why"]);
    assert_events!(recorder, in shop, [Sold { item: "tea" }]);
}
