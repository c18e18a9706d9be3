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

/// The candidate that `name` most likely means: the one it is a misspelling of, otherwise the only
/// one that has all its words, as `on_llm_new_token` has those of `on_token`.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = bare(name);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let limit = name.chars().count().div_ceil(3);
    let misspelt = candidates
        .iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(name, bare(candidate)),
                *candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, candidate)) = misspelt {
        return Some(candidate);
    }
    let mut longer = candidates.iter().filter(|candidate| {
        let words: Vec<&str> = bare(candidate).split('_').collect();
        name.split('_').all(|word| words.contains(&word))
    });
    match (longer.next(), longer.next()) {
        (Some(candidate), None) => Some(candidate),
        _ => None,
    }
}

/// A prefix that all handler methods share says nothing about how near two of them are.
fn bare(name: &str) -> &str {
    name.strip_prefix("on_").unwrap_or(name)
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

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = ["on_llm_start", "on_llm_new_token", "on_llm_end", "on_text"];
        for (name, suggestion) in [
            ("on_llm_new_tokn", Some("on_llm_new_token")),
            ("on_lmm_end", Some("on_llm_end")),
            ("onllm_end", Some("on_llm_end")),
            ("on_token", Some("on_llm_new_token")),
            ("on_new_token", Some("on_llm_new_token")),
            ("on_llm", None),
            ("on_zebra", None),
        ] {
            assert_eq!(closest(name, known), suggestion, "{name}");
        }
    }
}
