//! What came of tests, for people: failures side by side, a line a file, the sum.

use super::Tested;
use super::compare::{Difference, field, value_meets};
use super::run::{Failure, Wrong};
use crate::cli::terminal::Terminal;
use crate::config::Secrets;
use serde_json::Value;
use std::fmt::Write;

/// The most events that are shown of each sort.
const MOST_SHOWN: usize = 10;
/// What is wider is not lined up with what stands below it.
const WIDEST: usize = 40;

const RED: &str = "31";
const GREEN: &str = "32";
const BOLD: &str = "1";
const DIM: &str = "2";

/// The whole report.
pub fn text(tested: &[Tested], terminal: &Terminal) -> String {
    let paper = Paper { color: terminal.color_out };
    let mut text: String = tested.iter().map(|tested| paper.failures(tested)).collect();
    if !terminal.quiet {
        let width = tested.iter().map(|tested| tested.suite.file.name().chars().count()).max().unwrap_or(0);
        for tested in tested {
            text.push_str(&paper.file(tested, width, terminal.verbose));
        }
        text.push_str(&paper.sum(tested));
    }
    text
}

struct Paper {
    color: bool,
}

impl Paper {
    fn paint(&self, tone: &str, text: &str) -> String {
        if self.color { format!("\x1b[{tone}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Everything that failed in a file.
    fn failures(&self, tested: &Tested) -> String {
        let mut text = String::new();
        for ((case, _), failures) in tested.suite.cases.iter().zip(&tested.failures) {
            if failures.is_empty() {
                continue;
            }
            let title = self.paint(BOLD, &format!("{}: {}", case.file.name(), case.name));
            // Writing into a string does not fail.
            let _ = writeln!(text, "{} {title}", self.paint(RED, "FAIL"));
            for failure in failures {
                let line = case.file.mark(failure.place.start).line;
                let _ = writeln!(text, "  {}:{line}: {}", case.file.name(), self.headline(failure));
                text.push_str(&self.details(failure, &tested.suite.secrets));
            }
            text.push('\n');
        }
        text
    }

    fn headline(&self, failure: &Failure) -> String {
        let output = &failure.output;
        match &failure.what {
            Wrong::Other { difference, .. } => format!("`{output}` put out {}", counts(difference)),
            Wrong::Broken(why) => format!("state cannot be kept: {why}"),
            Wrong::Unseen(events) => {
                let it = if events.len() == 1 { "it" } else { "them" };
                let ask = self.paint(DIM, &format!("(expect {it}, or write `ignore: [{output}]`)"));
                format!("`{output}` received {}, which no `expect` looks at {ask}", events_of(events.len()))
            }
        }
    }

    fn details(&self, failure: &Failure, secrets: &Secrets) -> String {
        let mut text = String::new();
        match &failure.what {
            Wrong::Broken(_) => {}
            Wrong::Unseen(events) => self.list(&mut text, "", events.iter(), secrets),
            Wrong::Other { difference, exact } => {
                let all = difference.expected.len();
                for &(e, a) in difference.pairs.iter().take(MOST_SHOWN) {
                    if all > 1 {
                        let _ = writeln!(text, "    event {} of {all}", e + 1);
                    }
                    let (expected, actual) = (&difference.expected[e], &difference.actual[a]);
                    self.table(&mut text, &Row::all(expected, actual, *exact, secrets));
                }
                self.more(&mut text, difference.pairs.len());
                let missing = difference.missing.iter().map(|i| &difference.expected[*i]);
                self.list(&mut text, "missing       ", missing, secrets);
                let unexpected = difference.unexpected.iter().map(|i| &difference.actual[*i]);
                self.list(&mut text, "not expected  ", unexpected, secrets);
            }
        }
        text
    }

    fn list<'v>(
        &self,
        text: &mut String,
        what: &str,
        events: impl ExactSizeIterator<Item = &'v Value>,
        secrets: &Secrets,
    ) {
        let count = events.len();
        for event in events.take(MOST_SHOWN) {
            let _ = writeln!(text, "    {}{}", self.paint(RED, what), shown(event, secrets));
        }
        self.more(text, count);
    }

    fn more(&self, text: &mut String, count: usize) {
        if count > MOST_SHOWN {
            let _ = writeln!(text, "    … and {} more", count - MOST_SHOWN);
        }
    }

    /// Expected and actual side by side, a line a field; those that differ are marked.
    fn table(&self, text: &mut String, rows: &[Row]) {
        let width = |column: fn(&Row) -> &str, least: usize| {
            let widths = rows.iter().map(|row| column(row).chars().count());
            widths.filter(|width| *width <= WIDEST).max().unwrap_or(0).max(least)
        };
        let (name, expected) = (width(|row| &row.name, 0), width(|row| &row.expected, "expected".len()));
        let head = format!("      {:name$}  {:expected$}  actual", "", "expected");
        let _ = writeln!(text, "{}", self.paint(DIM, &head));
        for row in rows {
            let mark = if row.differs { '!' } else { ' ' };
            let line = format!("    {mark} {:name$}  {:expected$}  {}", row.name, row.expected, row.actual);
            let line = line.trim_end();
            let line = if row.differs { self.paint(RED, line) } else { line.to_owned() };
            let _ = writeln!(text, "{line}");
        }
    }

    fn file(&self, tested: &Tested, width: usize, verbose: bool) -> String {
        let (passed, failed) = tested.counts();
        let mut parts = Vec::new();
        if passed > 0 {
            parts.push(self.paint(GREEN, &format!("{passed} passed")));
        }
        if failed > 0 {
            parts.push(self.paint(RED, &format!("{failed} failed")));
        }
        if parts.is_empty() {
            parts.push(self.paint(DIM, "no tests"));
        }
        let mut text = format!("{:width$}  {}\n", tested.suite.file.name(), parts.join(", "));
        if verbose {
            for ((case, _), failures) in tested.suite.cases.iter().zip(&tested.failures) {
                let outcome =
                    if failures.is_empty() { self.paint(GREEN, "ok  ") } else { self.paint(RED, "FAIL") };
                let _ = writeln!(text, "  {outcome} {}", case.name);
            }
        }
        text
    }

    fn sum(&self, tested: &[Tested]) -> String {
        let counts = tested.iter().map(Tested::counts);
        let (passed, failed) = counts.fold((0, 0), |sum, file| (sum.0 + file.0, sum.1 + file.1));
        let all = passed + failed;
        let outcome = match (all, failed) {
            (0, _) => "no tests".to_owned(),
            (_, 0) => self.paint(GREEN, &format!("{} passed", count(all, "test"))),
            _ => self.paint(RED, &format!("{failed} of {} failed", count(all, "test"))),
        };
        let without = tested.iter().filter(|tested| tested.suite.cases.is_empty()).count();
        match without {
            0 => format!("{outcome}\n"),
            _ if all == 0 => format!("{outcome}\n"),
            _ => format!("{outcome}, {} without tests\n", count(without, "file")),
        }
    }
}

/// A field of an expected and an actual event.
struct Row {
    name: String,
    expected: String,
    actual: String,
    differs: bool,
}

impl Row {
    /// All fields that are expected, then those that came besides.
    fn all(expected: &Value, actual: &Value, exact: bool, secrets: &Secrets) -> Vec<Row> {
        let (Value::Object(expected), Value::Object(actual)) = (expected, actual) else {
            let differs = true;
            let (expected, actual) = (shown(expected, secrets), shown(actual, secrets));
            return vec![Row { name: String::new(), expected, actual, differs }];
        };
        let named = expected.iter().map(|(name, value)| Row {
            name: printable(name),
            expected: shown(value, secrets),
            actual: actual.get(name).map_or("(missing)".to_owned(), |value| shown(value, secrets)),
            differs: !value_meets(value, field(actual, name), exact),
        });
        let others = actual.iter().filter(|(name, _)| !expected.contains_key(*name));
        let others = others.map(|(name, value)| Row {
            name: printable(name),
            expected: if exact { "(none)".to_owned() } else { String::new() },
            actual: shown(value, secrets),
            differs: exact && !value.is_null(),
        });
        named.chain(others).collect()
    }
}

/// What came, in numbers.
fn counts(difference: &Difference) -> String {
    match (difference.expected.len(), difference.actual.len()) {
        (0, came) => format!("{}, expected none", events_of(came)),
        (expected, 0) => format!("nothing, expected {}", events_of(expected)),
        (1, 1) => "another event than expected".to_owned(),
        (expected, came) => {
            let as_expected = match difference.agreed {
                0 => "none is".to_owned(),
                1 => "1 is".to_owned(),
                agreed => format!("{agreed} are"),
            };
            format!("{}, expected {expected}; {as_expected} as expected", events_of(came))
        }
    }
}

fn events_of(number: usize) -> String {
    count(number, "event")
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A value as JSON, without secrets and anything that a terminal would obey.
fn shown(value: &Value, secrets: &Secrets) -> String {
    printable(&masked(value, secrets).to_string())
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A value with `***` for what must not be shown.
pub fn masked(value: &Value, secrets: &Secrets) -> Value {
    match value {
        Value::String(text) => Value::String(secrets.mask(text).into_owned()),
        Value::Number(number) => {
            let text = number.to_string();
            let mask = secrets.mask(&text);
            // Part of a number is no secret: a mask in every time that holds a port number would hide too much.
            if mask.bytes().all(|byte| byte == b'*') {
                Value::String(mask.into_owned())
            } else {
                value.clone()
            }
        }
        Value::Array(items) => items.iter().map(|item| masked(item, secrets)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), masked(value, secrets))).collect()
        }
        _ => value.clone(),
    }
}
