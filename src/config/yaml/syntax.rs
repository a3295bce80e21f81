//! What stops libyaml, in words that help whoever wrote the text.

use super::events::Problem;
use crate::config::diagnostic::Faults;
use crate::config::source::{Place, SourceFile};

/// What is said about a problem: where, what, what to do.
struct Said {
    at: usize,
    message: String,
    hint: &'static str,
}

const QUOTE_IN_FLOW: &str =
    "inside `{…}` and `[…]` quote every value that holds one of `, : # [ ] { }`, or use block style";
const SPACES: &str = "indent with spaces";
const QUOTE_PLAIN: &str = "quote the value, with the quotes that do not occur in it";

/// Reports the problem.
pub fn report(faults: &Faults, problem: &Problem) {
    let file = faults.file();
    let said = tab(file, problem).unwrap_or_else(|| say(file, problem));
    let reported = faults.error(one_character(file, said.at), said.message);
    if !said.hint.is_empty() {
        reported.hint(said.hint);
    }
}

fn say(file: &SourceFile, problem: &Problem) -> Said {
    let context = problem.context.map_or("", |(text, _)| text);
    let since = problem.context.map_or(problem.at, |(_, at)| at);
    let said = |at: usize, message: &str, hint: &'static str| Said { at, message: message.to_owned(), hint };
    match problem.text {
        "found character that cannot start any token" => forbidden_start(file, problem.at),
        "mapping values are not allowed in this context" => stray_colon(file, problem.at),
        "could not find expected ':'" => no_entry(file, since),
        "did not find expected key" | "did not find expected '-' indicator" => {
            unexpected_in_block(file, problem.at)
        }
        "did not find expected ',' or '}'" => unexpected_in_flow(file, problem.at, since, '{', '}'),
        "did not find expected ',' or ']'" => unexpected_in_flow(file, problem.at, since, '[', ']'),
        "did not find expected node content" if rest(file, problem.at).starts_with(':') => {
            said(problem.at, "a key is missing before the `:`", QUOTE_PLAIN)
        }
        "did not find expected node content" => said(problem.at, "a value is missing here", QUOTE_PLAIN),
        "block sequence entries are not allowed in this context" => {
            said(problem.at, "a list item cannot start here", "put each `- item` on a line of its own")
        }
        "mapping keys are not allowed in this context" => {
            said(problem.at, "a `?` followed by a space cannot start a value", QUOTE_PLAIN)
        }
        "found unexpected end of stream" | "found unexpected document indicator" => {
            said(since, "the quote that opens here is never closed", "close it on the same line")
        }
        "found unknown escape character" | "did not find expected hexadecimal number" => said(
            problem.at,
            "in double quotes a backslash starts an escape, and this is none",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        "control characters are not allowed" => said(
            problem.at,
            "a control character stands here",
            "remove it, or write it as an escape in double quotes",
        ),
        "did not find expected <document start>" => said(
            problem.at,
            "nothing can follow here: the document has ended above",
            "is this line indented too little?",
        ),
        "did not find expected alphabetic or numeric character" => said(
            since,
            "a value that starts with `*` or `&` is an alias or anchor to YAML, and this is none",
            QUOTE_PLAIN,
        ),
        _ if context == "while scanning a block scalar" => {
            said(since, "a value that starts with `>` or `|` is a text of several lines to YAML", QUOTE_PLAIN)
        }
        _ if context.contains("tag") => {
            said(since, "a value that starts with `!` is a tag to YAML, and this is none", QUOTE_PLAIN)
        }
        _ if context.contains("directive") || problem.text.contains("directive") => {
            said(since, "a line that starts with `%` is a directive to YAML, and this is none", QUOTE_PLAIN)
        }
        other => said(problem.at, &format!("this is not YAML: {other}"), ""),
    }
}

/// A tab in the indentation of the line that the parser complains about is what is really wrong, but for the
/// lines of a flow map or list, where it is allowed.
fn tab(file: &SourceFile, problem: &Problem) -> Option<Said> {
    if problem.text.starts_with("did not find expected ','") {
        return None;
    }
    let line = file.line_of(problem.at as u32);
    let text = file.line(line);
    let indent = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
    let at = file.line_place(line).start as usize + indent.find('\t')?;
    Some(Said { at, message: "a tab stands in the indentation".to_owned(), hint: SPACES })
}

/// A line that is text alone where an entry should be.
fn no_entry(file: &SourceFile, at: usize) -> Said {
    let line = rest(file, at).lines().next().unwrap_or_default();
    let message = "this is neither `key: value` nor a list item `- value`".to_owned();
    let hint = if line.contains(':') { "a space must follow the `:`" } else { "is the `:` missing?" };
    Said { at, message, hint }
}

fn forbidden_start(file: &SourceFile, at: usize) -> Said {
    if let Some(said) = behind_closing(file, at) {
        return said;
    }
    let (message, hint) = match rest(file, at).chars().next().unwrap_or(' ') {
        '\t' => ("a tab stands where YAML wants spaces".to_owned(), SPACES),
        '`' => ("a value without quotes cannot start with a backtick".to_owned(), QUOTE_PLAIN),
        c => (format!("a value without quotes cannot start with `{c}`"), QUOTE_PLAIN),
    };
    Said { at, message, hint }
}

/// `key: a: b`, or a key that is indented below a value.
fn stray_colon(file: &SourceFile, at: usize) -> Said {
    let line = file.line(file.line_of(at as u32));
    let before = &line[..line.len().min(at - file.line_place(file.line_of(at as u32)).start as usize)];
    if before.contains(": ") {
        return Said {
            at,
            message: "a `:` stands inside a value without quotes".to_owned(),
            hint: QUOTE_PLAIN,
        };
    }
    let message = "a key cannot stand here".to_owned();
    Said { at, message, hint: "the line above has a value already: is this line indented too much?" }
}

/// Something in a block map or list that is neither the next entry nor its end.
fn unexpected_in_block(file: &SourceFile, at: usize) -> Said {
    if let Some(said) = behind_closing(file, at) {
        return said;
    }
    let line = file.line_place(file.line_of(at as u32)).start;
    let is_first = file.slice(Place { start: line, end: at as u32 }).trim().is_empty();
    let (message, hint) = match is_first {
        true if rest(file, at).starts_with(':') => ("a key is missing before the `:`", QUOTE_PLAIN),
        true => {
            ("this line is indented unlike the lines above it", "indent all entries of a map or list alike")
        }
        false => ("this cannot stand here", QUOTE_PLAIN),
    };
    Said { at, message: message.to_owned(), hint }
}

/// Text behind a closing quote or bracket on the same line.
fn behind_closing(file: &SourceFile, at: usize) -> Option<Said> {
    let text = file.text();
    let at = file.place(at, at).start as usize;
    let line = file.line_place(file.line_of(at as u32)).start as usize;
    let (message, hint) = match text[line..at].trim_end().chars().next_back()? {
        '"' | '\'' => (
            "text follows the closing quote, which ends the value",
            "quote the value as a whole, with the other quotes: `\"'a' || b\"`",
        ),
        '}' | ']' => (
            "text follows the closing bracket, which ends the value",
            "quote a template or expression that starts with `{` or `[`: `\"{site}/{device}\"`",
        ),
        _ => return None,
    };
    Some(Said { at, message: message.to_owned(), hint })
}

/// Something in `{…}` or `[…]` that is neither a comma nor the closing bracket.
fn unexpected_in_flow(file: &SourceFile, at: usize, since: usize, open: char, close: char) -> Said {
    let text = file.text();
    let at = file.place(at, at).start as usize;
    let (before, rest) = text.split_at(at);
    if rest.starts_with('{') && before.ends_with('$') {
        let kind = if open == '{' { "map" } else { "list" };
        let message = format!("`${{…}}` without quotes breaks a flow {kind}");
        return Said { at: at - 1, message, hint: "quote it: `\"${NAME}\"`" };
    }
    let inside = before.get(since..).unwrap_or_default();
    let other = if close == '}' { ']' } else { '}' };
    if rest.starts_with(['[', '{']) && !inside.trim_end().ends_with([',', ':']) {
        let message = format!("this bracket cuts an expression inside `{open}…{close}`");
        return Said { at, message, hint: QUOTE_IN_FLOW };
    }
    if inside.matches('(').count() > inside.matches(')').count() {
        let message = format!("an expression is cut before this, inside `{open}…{close}`");
        return Said { at, message, hint: QUOTE_IN_FLOW };
    }
    if rest.trim().is_empty()
        || rest.starts_with(other)
        || file.line_of(at as u32) > file.line_of(since as u32)
    {
        let message = format!("the `{open}` that opens here is not closed by `{close}`");
        return Said { at: since, message, hint: QUOTE_IN_FLOW };
    }
    if let Some(said) = behind_closing(file, at) {
        return said;
    }
    let message =
        format!("this cannot stand here inside `{open}…{close}`: a comma or `{close}` was expected");
    Said { at, message, hint: QUOTE_IN_FLOW }
}

/// The text from an offset on.
fn rest(file: &SourceFile, at: usize) -> &str {
    &file.text()[file.place(at, at).start as usize..]
}

/// The character at an offset.
fn one_character(file: &SourceFile, at: usize) -> Place {
    let start = file.place(at, at).start as usize;
    let width = file.text()[start..].chars().next().map_or(0, char::len_utf8);
    file.place(start, start + width)
}
