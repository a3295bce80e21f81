//! Words that must not stand in the code, and words that need a reason beside them.

use super::source::{Fault, Source};

/// What says "not finished" or "look away", in code.
const BANNED_CODE: [&str; 9] = [
    "todo!",
    "unimplemented!",
    "dbg!",
    "allow(dead_code",
    "allow(unused",
    "allow(clippy",
    "expect(dead_code",
    "expect(unused",
    "#[ignore",
];

/// The same in comments.
const BANNED_COMMENTS: [&str; 2] = ["FIXME", "XXX"];

/// The only file of the crate that may read a clock or sleep, by expecting clippy's refusal (see clippy.toml).
const CLOCK: &str = "src/time/clock.rs";
const CLOCK_EXCEPTION: &str = "clippy::disallowed_methods";

/// How many lines above an `unsafe` its reason may stand.
const SAFETY_LINES: usize = 8;

pub fn check_banned(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let views = [(source.code_lines(), &BANNED_CODE[..]), (source.comment_lines(), &BANNED_COMMENTS[..])];
    for (lines, banned) in views {
        for (number, line) in lines.iter().enumerate() {
            let found = banned.iter().filter(|word| holds(line, word));
            faults
                .extend(found.map(|word| source.fault(number + 1, format!("`{word}` must not stand here"))));
        }
    }
    if source.path.starts_with("src/") && source.path != CLOCK {
        let exceptions = source.find_word(CLOCK_EXCEPTION).into_iter();
        let message = format!("only {CLOCK} may read a clock or sleep");
        faults.extend(exceptions.map(|at| source.fault(source.line_of(at), message.clone())));
    }
    faults
}

/// Whether a line holds a banned word that is no part of a longer one.
fn holds(line: &str, word: &str) -> bool {
    let is_part = |at: usize| line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| !is_part(at))
}

/// Outside tests an `unwrap` or `expect` has a comment on its line or above its statement.
pub fn check_unwraps(source: &Source) -> Vec<Fault> {
    let code = source.code_lines();
    let comments = source.comment_lines();
    let mut faults = Vec::new();
    for (number, line) in code.iter().enumerate().filter(|(number, _)| !source.test[*number]) {
        let word = [".unwrap()", ".expect("].into_iter().find(|word| line.contains(word));
        if let Some(word) = word.filter(|_| !has_reason(&code, &comments, number)) {
            faults
                .push(source.fault(number + 1, format!("`{word}` without a comment that says why it holds")));
        }
    }
    faults
}

/// Looks upward from a line for a comment, as far as its statement reaches and one comment line further.
fn has_reason(code: &[&str], comments: &[&str], line: usize) -> bool {
    let is_reason = |at: usize| {
        let comment = comments[at].trim();
        !comment.is_empty() && !comment.starts_with("///") && !comment.starts_with("//!")
    };
    let mut at = line;
    while !is_reason(at) {
        let above = at.wrapping_sub(1);
        let Some(previous) = code.get(above).map(|line| line.trim()) else { return false };
        if previous.ends_with([';', '{', '}']) || (previous.is_empty() && !is_reason(above)) {
            return false;
        }
        at = above;
    }
    true
}

/// Every block and implementation that is `unsafe` has its `SAFETY:` on its line or close above. A function that is
/// unsafe to call is none of these: what is unsafe in it stands in blocks (the compiler sees to that).
pub fn check_unsafe(source: &Source) -> Vec<Fault> {
    let comments = source.comment_lines();
    let has_reason = |line: usize| {
        let near = &comments[line.saturating_sub(SAFETY_LINES + 1)..comments.len().min(line)];
        near.iter().any(|comment| comment.contains("SAFETY:"))
    };
    let is_promise = |at: &usize| {
        let next = source.code[at + "unsafe".len()..].trim_start();
        ["fn ", "fn(", "extern ", "trait "].iter().any(|word| next.starts_with(word))
    };
    let uses = source.find_word("unsafe").into_iter().filter(|at| !is_promise(at));
    let bare = uses.map(|at| source.line_of(at)).filter(|&line| !has_reason(line));
    bare.map(|line| source.fault(line, "`unsafe` without a `SAFETY:` comment")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/a.rs", text)
    }

    #[test]
    fn unfinished_work_is_refused() {
        for word in BANNED_CODE {
            assert_eq!(check_banned(&source(&format!("fn f() {{\n    {word}\n}}"))).len(), 1, "{word}");
        }
        for word in BANNED_COMMENTS {
            assert_eq!(check_banned(&source(&format!("// {word} later"))).len(), 1, "{word}");
        }
        assert!(check_banned(&source("\"todo! FIXME\" // a todo! macro, and \\uXXXX")).is_empty());
    }

    #[test]
    fn clocks_are_read_in_one_place() {
        let text = "#[expect(clippy::disallowed_methods)]\nfn now() {}";
        assert_eq!(check_banned(&source(text)).len(), 1);
        assert!(check_banned(&Source::new(CLOCK, text)).is_empty());
    }

    #[test]
    fn a_bare_unwrap_is_refused() {
        assert_eq!(check_unwraps(&source("fn f() {\n    a.unwrap();\n}")).len(), 1);
        assert_eq!(
            check_unwraps(&source("// far\nfn f() {\n    b();\n\n    a\n        .expect(\"x\");\n}")).len(),
            1
        );
        assert_eq!(check_unwraps(&source("/// Docs are no reason.\nfn f() -> u8 { a.unwrap() }")).len(), 1);
        assert_eq!(check_unwraps(&source("b(); // of b\na.unwrap();")).len(), 1);
    }

    #[test]
    fn an_unwrap_with_its_reason_passes() {
        assert!(check_unwraps(&source("a.unwrap(); // never empty")).is_empty());
        assert!(
            check_unwraps(&source("b();\n// Never empty.\nlet x = a\n    .b()\n    .unwrap();")).is_empty()
        );
        assert!(check_unwraps(&source("#[cfg(test)]\nmod tests {\n    fn f() { a.unwrap() }\n}")).is_empty());
        assert!(check_unwraps(&source("// a.unwrap()\n\"a.unwrap()\"")).is_empty());
    }

    #[test]
    fn unsafe_needs_its_reason() {
        assert_eq!(check_unsafe(&source("fn f() {\n    unsafe { g() }\n}")).len(), 1);
        assert!(check_unsafe(&source("// SAFETY: g asks nothing.\nunsafe { g() }")).is_empty());
        assert_eq!(check_unsafe(&source("unsafe impl Send for A {}")).len(), 1);
        assert!(check_unsafe(&source("unsafe fn f(g: unsafe fn(u8)) {}")).is_empty());
        assert!(check_unsafe(&source("// unsafe\n\"unsafe\"; unsafe_op();")).is_empty());
    }
}
