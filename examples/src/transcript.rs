//! Recorded conversations, so that the examples need no network.

use std::io;

use serde::Deserialize;

const RECORDED: [&str; 3] = [
    include_str!("../transcripts/joke.en.json"),
    include_str!("../transcripts/joke.zh.json"),
    include_str!("../transcripts/mail.en.json"),
];

/// One answer of a model, token by token.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Transcript {
    pub(crate) model: String,
    pub(crate) prompt: String,
    pub(crate) tokens: Vec<String>,
}

impl Transcript {
    /// The recorded answer to `prompt`.
    pub(crate) fn find(prompt: &str) -> io::Result<Option<Self>> {
        for recorded in RECORDED {
            let transcript: Self = serde_json::from_str(recorded)?;
            if transcript.prompt == prompt {
                return Ok(Some(transcript));
            }
        }
        Ok(None)
    }
}
