//! Diagnostics as people and programs read them.

use std::fmt::Write;

use super::diagnostic::{Diagnostic, Severity};
use super::source::Mark;

/// The most characters of a source line that are shown around a place.
const SHOWN_CHARS: usize = 160;
/// How many of them stand before the place at the most.
const BEFORE_CHARS: usize = 100;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[34m";
const PLAIN: &str = "\x1b[0m";

/// `file:line:column: error: message`.
pub(super) fn headline(diagnostic: &Diagnostic, color: bool) -> String {
    let file = printable(diagnostic.file.name());
    let at = match diagnostic.mark() {
        Some(Mark { line, column }) => format!("{file}:{line}:{column}"),
        None => file,
    };
    let severity = painted(diagnostic.severity.name(), tone(diagnostic.severity), color);
    format!("{at}: {severity}: {}", printable(&diagnostic.message))
}

pub(super) fn for_people(diagnostic: &Diagnostic, color: bool) -> String {
    let mut out = headline(diagnostic, color);
    out.push('\n');
    if let Some(mark) = diagnostic.mark() {
        quote_line(diagnostic, mark, color, &mut out);
    }
    if let Some(hint) = &diagnostic.hint {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {}: {}", painted("hint", BLUE, color), printable(hint));
    }
    out
}

pub(super) fn for_programs(diagnostic: &Diagnostic) -> serde_json::Value {
    let mark = diagnostic.mark();
    serde_json::json!({
        "severity": diagnostic.severity.name(),
        "file": diagnostic.file.name(),
        "line": mark.map(|mark| mark.line),
        "column": mark.map(|mark| mark.column),
        "length": mark.map(|_| diagnostic.width()),
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    })
}

/// The offending line with its number, and below it the place underlined.
fn quote_line(diagnostic: &Diagnostic, mark: Mark, color: bool, out: &mut String) {
    let line = diagnostic.file.line(mark.line);
    let column = line.char_indices().nth(mark.column as usize - 1).map_or(line.len(), |(at, _)| at);
    let (before, behind) = line.split_at(column);
    let skipped = before.char_indices().rev().nth(BEFORE_CHARS - 1).map_or(0, |(at, _)| at);
    let (cut, before) = if skipped > 0 { ("…", &before[skipped..]) } else { ("", before) };
    let room = SHOWN_CHARS - before.chars().count();
    let (behind, rest) = match behind.char_indices().nth(room) {
        Some((end, _)) => (&behind[..end], "…"),
        None => (behind, ""),
    };
    let shown: String = before.chars().chain(behind.chars()).map(visible).collect();
    let number = mark.line.to_string();
    let margin = " ".repeat(number.len());
    // Tabs stay tabs in the margin of the underline, so that it stands below what it means in any terminal.
    let indent = cut.chars().chain(before.chars()).map(|c| if c == '\t' { '\t' } else { ' ' });
    let indent: String = indent.collect();
    let carets = "^".repeat(diagnostic.width().min(behind.chars().count()).max(1));
    let carets = painted(&carets, tone(diagnostic.severity), color);
    let _ = writeln!(out, " {} {cut}{shown}{rest}", painted(&format!("{number} |"), BLUE, color));
    let _ = writeln!(out, " {} {indent}{carets}", painted(&format!("{margin} |"), BLUE, color));
}

fn tone(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    }
}

fn painted(text: &str, tone: &str, color: bool) -> String {
    if color { format!("{tone}{text}{PLAIN}") } else { text.to_owned() }
}

/// A message on one line, without anything that a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\t' || c == '\n' { ' ' } else { visible(c) }).collect()
}

/// Control characters and those that turn the direction of writing become a replacement character.
fn visible(c: char) -> char {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if (c.is_control() && c != '\t') || turns { char::REPLACEMENT_CHARACTER } else { c }
}

#[cfg(test)]
mod tests {
    use crate::config::{Faults, Place, SourceFile};

    fn faults(text: &str) -> Faults {
        Faults::new(SourceFile::new("p.yaml", text.as_bytes().to_vec()).unwrap())
    }

    fn rendered(faults: Faults) -> String {
        faults.diagnostics().iter().map(|d| d.render(false)).collect()
    }

    #[test]
    fn a_fault_is_shown_with_its_line_and_hint() {
        let faults = faults("sources:\n  in: x\n");
        faults.error(Place { start: 11, end: 13 }, "no `in`").hint("leave it out");
        let want = "p.yaml:2:3: error: no `in`\n 2 |   in: x\n   |   ^^\n  hint: leave it out\n";
        assert_eq!(rendered(faults), want);
    }

    #[test]
    fn faults_come_in_the_order_of_the_file_and_once() {
        let faults = faults("a: 1\nb: 2\n");
        faults.warning(Place { start: 5, end: 6 }, "second");
        faults.error(Place { start: 0, end: 1 }, "first");
        faults.error(Place { start: 0, end: 1 }, "first");
        faults.file_error("whole");
        let lines = "p.yaml: error: whole\np.yaml:1:1: error: first\n 1 | a: 1\n   | ^\n\
                     p.yaml:2:1: warning: second\n 2 | b: 2\n   | ^\n";
        assert_eq!(rendered(faults), lines);
    }

    #[test]
    fn tabs_and_wide_lines_keep_the_underline_in_place() {
        let faults = faults(&format!("\ta: {}b", "x".repeat(300)));
        faults.error(Place { start: 1, end: 2 }, "tab");
        faults.error(Place { start: 304, end: 305 }, "far");
        let text = rendered(faults);
        assert!(text.contains("   | \t^\n"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[4], format!(" 1 | …{}b", "x".repeat(100)));
        assert_eq!(lines[5], format!("   | {}^", " ".repeat(101)));
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        let faults = faults("a: \u{1b}[2J\n");
        faults.error(Place { start: 3, end: 4 }, "bad\n\u{7}\u{202e}");
        assert_eq!(
            rendered(faults),
            "p.yaml:1:4: error: bad \u{fffd}\u{fffd}\n 1 | a: \u{fffd}[2J\n   |    ^\n"
        );
    }

    #[test]
    fn colour_is_only_paint() {
        let faults = faults("a: 1\n");
        faults.error(Place { start: 0, end: 1 }, "m").hint("h");
        let diagnostics = faults.diagnostics();
        let painted = diagnostics[0].render(true);
        assert!(painted.contains("\x1b[1;31merror\x1b[0m"));
        let mut bare = painted;
        for tone in [super::RED, super::YELLOW, super::BLUE, super::PLAIN] {
            bare = bare.replace(tone, "");
        }
        assert_eq!(bare, diagnostics[0].render(false));
    }

    #[test]
    fn programs_get_an_object() {
        let faults = faults("a: 1\n");
        faults.error(Place { start: 3, end: 4 }, "m").hint("h");
        let json = faults.diagnostics()[0].to_json().to_string();
        let want =
            r#"{"severity":"error","file":"p.yaml","line":1,"column":4,"length":1,"message":"m","hint":"h"}"#;
        assert_eq!(json, want);
    }

    #[test]
    fn faults_beyond_counting_are_counted() {
        let faults = faults(&"a\n".repeat(500));
        for n in 0..500 {
            faults.error(Place { start: n * 2, end: n * 2 + 1 }, "m");
        }
        assert!(faults.has_errors());
        let diagnostics = faults.diagnostics();
        assert_eq!(diagnostics.len(), 201);
        assert_eq!(diagnostics[200].to_string(), "p.yaml: error: has 300 further faults that are not shown");
    }
}
