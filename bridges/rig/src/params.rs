//! How a model is called.

use callbacks::ModelParams;
use rig_core::completion::{CompletionRequest, ModelRef};
use serde_json::json;

/// What a model is called that nobody gave a name.
const UNNAMED: &str = "default";

/// The model that is called, if it has a name.
pub(crate) fn model(
    known: &ModelParams,
    selected: Option<&ModelRef>,
    request: &CompletionRequest,
) -> Option<String> {
    let selected = selected.map(ModelRef::as_str);
    let selected = selected.filter(|label| *label != UNNAMED);
    let model = request.model.as_deref().or(selected);
    model.or(known.model.as_deref()).map(str::to_owned)
}

/// What is known of a call: `known` by the user, and in its place what the request says.
pub(crate) fn params(
    known: &ModelParams,
    selected: Option<&ModelRef>,
    request: &CompletionRequest,
    stream: bool,
) -> ModelParams {
    let mut params = known.clone().with_stream(stream);
    params.model = model(known, selected, request);
    params.temperature = request.temperature.or(params.temperature);
    params.max_tokens = request.max_tokens.or(params.max_tokens);
    let options = &request.options;
    params.top_p = options.top_p.or(params.top_p);
    params.seed = options
        .seed
        .and_then(|seed| i64::try_from(seed).ok())
        .or(params.seed);
    if !options.stop.is_empty() {
        params.stop.clone_from(&options.stop);
    }
    params
        .tools
        .extend(request.tools.iter().map(|tool| json!(tool)));
    if let Some(choice) = &request.tool_choice {
        params = params.with_extra("tool_choice", json!(choice));
    }
    params
}
