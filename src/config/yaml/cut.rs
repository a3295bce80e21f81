//! Expressions that YAML has cut: a flow map or list at their commas (`{ x: if(a, b) }` is `x: if(a` and a key
//! `b)` without a value), a comment at their `#` (`where: x = 'a #b'` is `x = 'a`). They are put together
//! again, so that only this one fault is reported.

use std::collections::BTreeSet;

use crate::config::diagnostic::Faults;
use crate::config::node::{Content, Entry, Node, Style};
use crate::config::source::Place;

/// An expression is looked for in no more pieces than this,
const MAX_PIECES: usize = 64;
/// and no more bytes: what is cut is short, and a file may be one long line.
const MAX_BYTES: usize = 4096;

pub fn mend_map(entries: &mut Vec<Entry>, faults: &Faults) {
    let mut tails = BTreeSet::new();
    let mut at = 0;
    while at < entries.len() {
        let ends = entries[at + 1..].iter().take_while(|entry| entry.bare).map(|entry| entry.place.end);
        let mut count = 0;
        if !entries[at].bare
            && let Some((pieces, whole)) = cut(&entries[at].value, ends, faults)
        {
            report(Some(&entries[at].key), whole, "map", faults);
            mend(&mut entries[at].value, whole, faults);
            count = pieces;
        }
        tails.extend(at + 1..=at + count);
        at += 1 + count;
    }
    remove(entries, &tails);
}

pub fn mend_list(items: &mut Vec<Node>, faults: &Faults) {
    let mut tails = BTreeSet::new();
    let mut at = 0;
    while at < items.len() {
        let ends = items[at + 1..].iter().take_while(|item| is_plain(item)).map(|item| item.place.end);
        let mut count = 0;
        if let Some((pieces, whole)) = cut(&items[at], ends, faults) {
            report(None, whole, "list", faults);
            mend(&mut items[at], whole, faults);
            count = pieces;
        }
        tails.extend(at + 1..=at + count);
        at += 1 + count;
    }
    remove(items, &tails);
}

/// Removes what stands at the given indexes.
fn remove<T>(from: &mut Vec<T>, indexes: &BTreeSet<usize>) {
    if !indexes.is_empty() {
        let mut index = 0..;
        from.retain(|_| index.next().is_none_or(|index| !indexes.contains(&index)));
    }
}

/// Reports and mends a value that leaves something open which the comment behind it closes.
pub fn mend_comment(value: &mut Node, faults: &Faults) {
    let file = faults.file();
    let line_end = file.line_place(file.line_of(value.place.end)).end;
    let behind = file.slice(Place { start: value.place.end, end: line_end });
    if !is_plain(value) || !behind.trim_start().starts_with('#') || value.scalar().is_none_or(is_balanced) {
        return;
    }
    let upto = |length: usize| Place { start: value.place.start, end: value.place.end + length as u32 };
    let ends = behind.match_indices(" #").skip(1).map(|(at, _)| at).chain([behind.trim_end().len()]);
    let near = |end: &usize| *end <= MAX_BYTES;
    let closed =
        ends.take(MAX_PIECES).take_while(near).map(upto).find(|whole| is_balanced(file.slice(*whole)));
    if let Some(whole) = closed {
        let reported = faults.error(whole, "this expression is cut at its `#`, which starts a comment");
        reported.hint(format!("quote it: `{}`", quoted(file.slice(whole))));
        mend(value, whole, faults);
    }
}

/// Whether a value leaves something open that a later piece closes: how many pieces, and where the whole
/// stands. Looks at no more than 64 pieces and 4 KiB.
fn cut(value: &Node, tails: impl Iterator<Item = u32>, faults: &Faults) -> Option<(usize, Place)> {
    if !is_plain(value) || is_balanced(value.scalar()?) {
        return None;
    }
    let place = |end| Place { start: value.place.start, end };
    let closes = |(_, end): &(usize, u32)| is_balanced(faults.file().slice(place(*end)));
    let near = |end: &u32| end.saturating_sub(value.place.start) as usize <= MAX_BYTES;
    let (index, end) = tails.take(MAX_PIECES).take_while(near).enumerate().find(closes)?;
    Some((index + 1, place(end)))
}

fn is_plain(node: &Node) -> bool {
    node.style == Style::Plain && matches!(node.content, Content::Scalar(_))
}

fn mend(value: &mut Node, whole: Place, faults: &Faults) {
    let words: Vec<&str> = faults.file().slice(whole).split_whitespace().collect();
    value.content = Content::Scalar(words.join(" "));
    value.place = whole;
}

fn report(key: Option<&str>, whole: Place, what: &str, faults: &Faults) {
    let brackets = if what == "map" { "{…}" } else { "[…]" };
    let message =
        format!("this expression is cut at its comma, which ends a value inside a flow {what} `{brackets}`");
    let words: Vec<&str> = faults.file().slice(whole).split_whitespace().collect();
    let quoted = quoted(&words.join(" "));
    let quoted = key.map_or(quoted.clone(), |key| format!("{key}: {quoted}"));
    faults.error(whole, message).hint(format!("quote it: `{quoted}`, or write the {what} in block style"));
}

/// A text as a YAML scalar in the quotes that suit it.
pub fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}

/// Whether all parentheses, brackets and quotes of an expression are closed.
fn is_balanced(text: &str) -> bool {
    let mut open = Vec::new();
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => open.push(')'),
            (None, '[') => open.push(']'),
            (None, '{') => open.push('}'),
            (None, ')' | ']' | '}') if open.pop() != Some(c) => return false,
            _ => {}
        }
    }
    quote.is_none() && open.is_empty()
}
