//! What a retriever finds.

use serde::{Deserialize, Serialize};

use super::Metadata;
use super::json::null_as_default;
use super::setters::{entries, setters};

/// A piece of text a retriever found.
///
/// ```
/// use callbacks::Document;
///
/// let document = Document::new("Cats sleep 15 hours a day.")
///     .with_id("cats-3")
///     .with_score(0.87)
///     .with_metadata("source", "cats.md");
/// assert_eq!(document.metadata["source"], "cats.md");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Document {
    /// The text.
    #[serde(deserialize_with = "null_as_default")]
    pub page_content: String,
    /// Where the text is from, and what else the store knows about it.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Metadata::is_empty"
    )]
    pub metadata: Metadata,
    /// The store's id for the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How well the document fits the query, on the retriever's own scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl Document {
    /// A document with this text.
    #[must_use]
    pub fn new(page_content: impl Into<String>) -> Self {
        Self {
            page_content: page_content.into(),
            ..Self::default()
        }
    }

    setters! {
        with_id(id: impl Into<String>) = Some(id.into());
        with_score(score: impl Into<f64>) = Some(score.into());
    }

    entries! {
        with_metadata => metadata;
        with_extra => extra;
    }
}
