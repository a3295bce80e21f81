//! What pipelines, nodes and parameters may be called.

use super::diagnostic::Faults;
use super::source::Place;

/// The longest name, in bytes.
pub(super) const MAX_BYTES: usize = 100;

/// Whether a character may stand in a name behind its first.
pub(super) fn is_inner(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether it can be a name: a letter or `_`, then letters, digits, `_`, `-`. A name is part of paths,
/// metrics, and references such as `name.port`, so nothing else can be in it.
pub fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.len() <= MAX_BYTES && text.chars().all(is_inner)
}

/// Reports what cannot be a name; `what` is what it would name: `source`.
pub(super) fn check(text: &str, what: &str, place: Place, faults: &Faults) {
    if !is_name(text) {
        let reported =
            faults.error(place, format!("`{}` cannot name a {what}", super::node::shortened(text)));
        let hint = "a name is a letter followed by letters, digits, `_` and `-`, at most 100 of them";
        let tidy: String = text.chars().map(|c| if is_inner(c) { c } else { '_' }).collect();
        match is_name(&tidy) {
            true => reported.hint(format!("call it `{tidy}`: {hint}")),
            false => reported.hint(hint),
        }
    }
}
