//! What names mean: the one place where case is converted, and "did you mean".

/// The name of the handler method of an event: `LlmNewToken` is handled by `on_llm_new_token`,
/// `HTTPFailed` by `on_http_failed`.
pub(crate) fn handler_method(event: &str) -> String {
    let chars: Vec<char> = event.chars().collect();
    let mut name = String::from("on_");
    for (at, &c) in chars.iter().enumerate() {
        let starts_word = at > 0
            && c.is_uppercase()
            && (!chars[at - 1].is_uppercase()
                || chars.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if starts_word && !name.ends_with('_') {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

/// The candidate that `name` most likely means: the only one that has all its words, as `on_llm_new_token`
/// has those of `on_token`, otherwise the one it is a misspelling of.
///
/// That is told word by word: `on_chain_end` is no misspelling of `on_chain_error`, and `on_tool_end` none
/// of `on_llm_end`, however few letters that takes.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = bare(name);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let mut longer = candidates.iter().filter(|candidate| {
        let words: Vec<&str> = bare(candidate).split('_').collect();
        name.split('_').all(|word| words.contains(&word))
    });
    if let (Some(candidate), None) = (longer.next(), longer.next()) {
        return Some(candidate);
    }
    let misspelt = candidates
        .iter()
        .filter_map(|candidate| Some((misspelling(name, bare(candidate))?, *candidate)));
    let (_, candidate) = misspelt.min_by_key(|(distance, _)| *distance)?;
    Some(candidate)
}

/// How far `name` is from `meant`, if it can be a misspelling of it.
fn misspelling(name: &str, meant: &str) -> Option<usize> {
    let words = |name: &str| name.split('_').map(str::to_owned).collect::<Vec<_>>();
    let (written, right) = (words(name), words(meant));
    if written.len() == right.len() {
        let words = written.iter().zip(&right);
        return words.map(|(word, right)| misspelt_word(word, right)).sum();
    }
    // An `_` too few or too many.
    let joined = (written.concat(), right.concat());
    let distance = strsim::damerau_levenshtein(&joined.0, &joined.1);
    (distance <= 1).then_some(distance + 1)
}

/// The same of a word. Another ending makes it no other word: `started`, `ends`, `replies`, `err`.
fn misspelt_word(word: &str, meant: &str) -> Option<usize> {
    let (mut short, mut long) = (word, meant);
    if short.chars().count() > long.chars().count() {
        (short, long) = (long, short);
    }
    let length = short.chars().count();
    let distance = strsim::damerau_levenshtein(short, long);
    let stem = if length < 5 { length } else { length - 1 };
    let ending = length >= 3 && short.chars().take(stem).eq(long.chars().take(stem));
    (distance <= length.div_ceil(3).min(2) || ending).then_some(distance)
}

/// A prefix that all handler methods share says nothing about how near two of them are.
fn bare(name: &str) -> &str {
    name.strip_prefix("on_").unwrap_or(name)
}

/// What other systems call the same, LangChain first of all.
const SYNONYMS: [(&str, &str); 10] = [
    ("chat", "chat_model"),
    ("chat_model", "llm"),
    ("model", "llm"),
    ("agent", "chain"),
    ("begin", "start"),
    ("stream", "new_token"),
    ("result", "end"),
    ("response", "end"),
    ("finish", "end"),
    ("fail", "error"),
];

/// The candidate that `name` is another word for: `on_chat_model_end` means `on_llm_end`, and
/// `on_agent_start` means `on_chain_start`, where there is nothing of these names.
pub(crate) fn synonym<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let mut names = vec![name.to_owned()];
    for (word, same) in SYNONYMS {
        let others = names.iter().filter_map(|name| {
            // Whole words: there is one before these, `on`.
            let other = format!("{name}_").replace(&format!("_{word}_"), &format!("_{same}_"));
            let other = other.trim_end_matches('_');
            (other != name).then(|| other.to_owned())
        });
        names.extend(others.collect::<Vec<_>>());
    }
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let mut found = names
        .iter()
        .filter_map(|name| candidates.iter().find(|candidate| *candidate == name));
    found.next().copied()
}

/// `` an `Arc` ``, `` a `Mutex` ``
pub(crate) fn indefinite(name: &str) -> String {
    let article = if name.starts_with(['A', 'E', 'I', 'O']) {
        "an"
    } else {
        "a"
    };
    format!("{article} `{name}`")
}

/// `` `a`, `b`, `c` ``
pub(crate) fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_name_their_methods() {
        for (event, method) in [
            ("LlmNewToken", "on_llm_new_token"),
            ("HTTPFailed", "on_http_failed"),
            ("Ping", "on_ping"),
            ("Utf8Error", "on_utf8_error"),
            ("Got_Mail", "on_got_mail"),
            ("X", "on_x"),
        ] {
            assert_eq!(handler_method(event), method);
        }
    }

    const KNOWN: [&str; 11] = [
        "on_llm_start",
        "on_chat_model_start",
        "on_llm_new_token",
        "on_llm_end",
        "on_llm_error",
        "on_chain_start",
        "on_chain_end",
        "on_tool_end",
        "on_text",
        "on_tool_request",
        "on_llm_request",
    ];

    #[test]
    fn only_what_is_near_is_suggested() {
        for (name, suggestion) in [
            ("on_llm_new_tokn", Some("on_llm_new_token")),
            ("on_lmm_end", Some("on_llm_end")),
            ("on_llmend", Some("on_llm_end")),
            ("on_l_lm_end", Some("on_llm_end")),
            ("on_token", Some("on_llm_new_token")),
            ("on_new_token", Some("on_llm_new_token")),
            ("on_chat_start", Some("on_chat_model_start")),
            ("on_tool_ended", Some("on_tool_end")),
            ("on_llm_err", Some("on_llm_error")),
            ("on_texting", Some("on_text")),
            ("on_chain_strat", Some("on_chain_start")),
            ("on_llm", None),
            ("on_zebra", None),
            // Another verb, and another thing, is another event.
            ("on_chat_model_end", None),
            ("on_tool_result", None),
            ("on_tool_start", None),
            ("on_chain_request", None),
            ("on_retriever_request", None),
        ] {
            assert_eq!(closest(name, KNOWN), suggestion, "{name}");
        }
        assert_eq!(closest("replies", ["reply"]), Some("reply"));
    }

    #[test]
    fn other_words_for_an_event_are_known() {
        for (name, suggestion) in [
            ("on_chat_model_end", Some("on_llm_end")),
            ("on_chat_model_error", Some("on_llm_error")),
            ("on_chat_model_request", Some("on_llm_request")),
            ("on_chat_model_stream", Some("on_llm_new_token")),
            ("on_chat_start", Some("on_chat_model_start")),
            ("on_chat_end", Some("on_llm_end")),
            ("on_model_start", Some("on_llm_start")),
            ("on_agent_start", Some("on_chain_start")),
            ("on_agent_result", Some("on_chain_end")),
            ("on_tool_result", Some("on_tool_end")),
            ("on_llm_fail", Some("on_llm_error")),
            ("on_agent_error", None), // not in this set
            ("on_chain_request", None),
            ("on_remodel_start", None),
        ] {
            assert_eq!(synonym(name, KNOWN), suggestion, "{name}");
        }
    }
}
