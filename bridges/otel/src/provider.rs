//! Who serves a model, in the conventions' word, for where they have one it has to be used.

use std::collections::HashMap;

use crate::names::provider;

/// What providers are called, by what an application calls them.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    /// Where a call does not say.
    pub(crate) default: Option<String>,
    pub(crate) renamed: HashMap<String, String>,
}

impl Providers {
    /// The provider by its name in the conventions: that of a call, or the default; `None` if there is
    /// neither.
    pub(crate) fn of<'a>(&'a self, said: Option<&'a str>) -> Option<&'a str> {
        let said = said.or(self.default.as_deref())?;
        let renamed = self.renamed.get(said).map(|name| &**name);
        renamed.or_else(|| known(said)).or(Some(said))
    }
}

/// Names that frameworks have, and no one else could mean.
fn known(name: &str) -> Option<&'static str> {
    Some(match name {
        "bedrock" | "amazon_bedrock" | "aws_bedrock" => provider::AWS_BEDROCK,
        "azure" | "azure_openai" | "azure-openai" => provider::AZURE_AI_OPENAI,
        "azure_ai" => provider::AZURE_AI_INFERENCE,
        "gemini" | "google_genai" => provider::GCP_GEMINI,
        "vertex_ai" | "vertexai" | "google_vertexai" => provider::GCP_VERTEX_AI,
        "watsonx" => provider::IBM_WATSONX_AI,
        "mistral" | "mistralai" => provider::MISTRAL_AI,
        "xai" => provider::X_AI,
        _ => return None,
    })
}
