//! Run trees that span machines: a context as the headers of W3C Trace Context, and back.

use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// The header that says which span is the parent.
pub const TRACEPARENT: &str = "traceparent";
/// The header with what vendors have to add.
pub const TRACESTATE: &str = "tracestate";

/// Writes the span that is active in this context into the headers; nothing if there is none.
///
/// For that of a run there is [`Otel::inject`](crate::Otel::inject). This needs no propagator to be set
/// up, and writes nothing but `traceparent` and `tracestate`.
///
/// ```
/// use std::collections::HashMap;
/// use callbacks_otel::propagation::{extract, inject};
/// use opentelemetry::Context;
///
/// let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
/// let incoming = HashMap::from([("traceparent".to_owned(), parent)]);
/// let context = extract(&incoming).unwrap_or_default();
///
/// let mut outgoing = HashMap::new();
/// inject(&context, &mut outgoing);
/// assert_eq!(outgoing, incoming);
///
/// outgoing.clear();
/// inject(&Context::new(), &mut outgoing);
/// assert!(outgoing.is_empty());
/// ```
pub fn inject(context: &Context, headers: &mut dyn Injector) {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return;
    }
    let flags = span.trace_flags() & TraceFlags::SAMPLED;
    let (trace, id) = (span.trace_id(), span.span_id());
    let parent = format!("00-{trace}-{id}-{:02x}", flags.to_u8());
    headers.set(TRACEPARENT, parent);
    let state = span.trace_state().header();
    if !state.is_empty() {
        headers.set(TRACESTATE, state);
    }
}

/// The context of the remote span that the headers name; `None` if they name none, or not properly.
///
/// As W3C Trace Context wants it, a `traceparent` that is malformed is none, and one of a later version
/// is read as far as it is known. A malformed `tracestate` is left out.
///
/// ```
/// use std::collections::HashMap;
/// use callbacks_otel::propagation::extract;
///
/// let parent = "00-00000000000000000000000000000000-b7ad6b7169203331-01".to_owned();
/// let headers = HashMap::from([("traceparent".to_owned(), parent)]);
/// assert!(extract(&headers).is_none());
/// ```
#[must_use]
pub fn extract(headers: &dyn Extractor) -> Option<Context> {
    // Which one of several would be a guess.
    let [parent] = headers.get_all(TRACEPARENT)?[..] else {
        return None;
    };
    let (trace, span, flags) = parse(parent.trim())?;
    let state = headers.get_all(TRACESTATE).map(|all| all.join(","));
    let state = state.filter(|state| state.bytes().all(is_printable));
    let state = state.and_then(|state| TraceState::from_str(&state).ok());
    let remote = SpanContext::new(trace, span, flags, true, state.unwrap_or_default());
    Some(Context::new().with_remote_span_context(remote))
}

/// The API takes any character, and what is passed on is a header again.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

fn parse(parent: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut parts = parent.splitn(5, '-');
    let version = hex(parts.next()?, 2)?;
    let trace = u128::from_str_radix(hex(parts.next()?, 32)?, 16).ok()?;
    let span = u64::from_str_radix(hex(parts.next()?, 16)?, 16).ok()?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    let more = parts.next();
    if version == "ff" || (version == "00" && more.is_some()) || trace == 0 || span == 0 {
        return None;
    }
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    Some((trace.into(), span.into(), flags))
}

/// Digits as the standard writes them: so many, and no capitals.
fn hex(text: &str, len: usize) -> Option<&str> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == len && text.bytes().all(digit)).then_some(text)
}
