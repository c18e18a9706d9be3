//! What of the content is recorded, and where: nothing, unless the user says so.

/// Where prompts, answers, arguments, results, queries, documents and error messages are recorded.
///
/// It is set with [`Builder::capture`](crate::Builder::capture), or else by the environment variable
/// [`Capture::VARIABLE`], in which the names are those of OpenTelemetry's own instrumentations, in whatever
/// case. What is no such name captures nothing, and is warned of through `tracing`: neither is `true`, which
/// earlier instrumentations took, for it does not say where.
///
/// ```
/// use callbacks_otel::Capture;
///
/// assert_eq!(Capture::default(), Capture::NoContent);
/// assert_eq!(Capture::from_name("SPAN_ONLY"), Some(Capture::SpanOnly));
/// assert_eq!(Capture::from_name("everything"), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capture {
    /// `NO_CONTENT`: nowhere.
    #[default]
    NoContent,
    /// `SPAN_ONLY`: in attributes of spans, as JSON.
    SpanOnly,
    /// `EVENT_ONLY`: in events, structured. Those of models have some, and no others.
    EventOnly,
    /// `SPAN_AND_EVENT`: in both.
    SpanAndEvent,
}

impl Capture {
    /// `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`
    pub const VARIABLE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

    /// The one with this name, in whatever case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match &*name.trim().to_ascii_lowercase() {
            "no_content" => Some(Self::NoContent),
            "span_only" => Some(Self::SpanOnly),
            "event_only" => Some(Self::EventOnly),
            "span_and_event" => Some(Self::SpanAndEvent),
            _ => None,
        }
    }

    pub(crate) fn on_spans(self) -> bool {
        matches!(self, Self::SpanOnly | Self::SpanAndEvent)
    }

    pub(crate) fn on_events(self) -> bool {
        matches!(self, Self::EventOnly | Self::SpanAndEvent)
    }

    /// What the environment says. What it does not say properly is not taken for a yes.
    pub(crate) fn from_env() -> Self {
        let Some(name) = variable(Self::VARIABLE) else {
            return Self::NoContent;
        };
        Self::from_name(&name).unwrap_or_else(|| {
            tracing::warn!(
                "no content is captured: `{}` is `{name}`, and should be one of `NO_CONTENT`, \
                 `SPAN_ONLY`, `EVENT_ONLY`, `SPAN_AND_EVENT`",
                Self::VARIABLE
            );
            Self::NoContent
        })
    }
}

/// What is recorded only if the user says so, by the names of attributes.
pub(crate) type Content = Vec<(&'static str, serde_json::Value)>;

/// Where there is no content, or none that the conventions have a name for.
pub(crate) fn nothing() -> Content {
    Vec::new()
}

/// Empty is as good as unset, as everywhere in OpenTelemetry.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}
