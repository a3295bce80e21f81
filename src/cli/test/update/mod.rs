//! `test --update`: rewrites what failing steps expect to what came.
//!
//! Only what differs is touched ([`rows`]): values of fields, then whole events that came or did not. Everything else,
//! comments and layout too, stays byte for byte. The files are read again afterwards, and the report is about what they
//! say then, so that a rewrite that went wrong would show.

mod edit;
mod render;
mod rows;

use super::Tested;
use super::case::{Case, Expected, Step};
use super::report::masked;
use super::run::{Failure, Wrong};
use crate::cli::rewrite::rewrite;
use crate::cli::terminal::Terminal;
use crate::config::{Faults, Secrets, SourceFile, parse};
use edit::{Edit, apply, overlap};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file with what is to change in it.
struct Draft {
    file: Arc<SourceFile>,
    edits: Vec<Edit>,
    /// Where expectations change: line, test, output.
    changes: Vec<(u32, String, String)>,
}

/// Rewrites the expectations of failing steps and says which; how many there were.
pub fn update(tested: &[Tested], terminal: &Terminal) -> usize {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for tested in tested {
        for ((case, _), failures) in tested.suite.cases.iter().zip(&tested.failures) {
            for failure in failures {
                note(case, failure, &tested.suite.secrets, &mut drafts, terminal);
            }
        }
    }
    drafts.values().map(|draft| write(draft, terminal)).sum()
}

/// Notes how one expectation changes; says it if it cannot.
fn note(
    case: &Case,
    failure: &Failure,
    secrets: &Secrets,
    drafts: &mut BTreeMap<String, Draft>,
    terminal: &Terminal,
) {
    let line = case.file.mark(failure.place.start).line;
    let place = format!("{}:{line}", case.file.name());
    if let Wrong::Broken(why) = &failure.what {
        return refuse(terminal, &place, why);
    }
    let Wrong::Other { difference, .. } = &failure.what else {
        let advice = "add an `expect` of it, or `ignore` it";
        return refuse(
            terminal,
            &place,
            &format!("no step expects anything of `{}`: {advice}", failure.output),
        );
    };
    let Some(expected) = expectation(case, failure) else { return };
    if difference.actual.iter().any(|event| masked(event, secrets) != *event) {
        return refuse(terminal, &place, "what came holds a secret, which is not written into a file");
    }
    let draft = drafts.entry(case.file.name().to_owned()).or_insert_with(|| Draft {
        file: case.file.clone(),
        edits: Vec::new(),
        changes: Vec::new(),
    });
    match rows::edits(expected, difference, &case.file) {
        Err(reason) => refuse(terminal, &place, reason),
        Ok(edits) if overlap(&draft.edits, &edits) => {
            refuse(terminal, &place, "it shares its text with another expectation");
        }
        Ok(edits) => {
            draft.edits.extend(edits);
            draft.changes.push((line, case.name.clone(), failure.output.clone()));
        }
    }
}

fn expectation<'c>(case: &'c Case, failure: &Failure) -> Option<&'c Expected> {
    let expected = case.steps.iter().filter_map(|step| match step {
        Step::Expect(expected) => Some(expected),
        _ => None,
    });
    expected.flatten().find(|expected| expected.place == failure.place)
}

fn refuse(terminal: &Terminal, place: &str, reason: &str) {
    terminal.say(&format!("{place}: not rewritten: {reason}\n"));
}

/// Writes a file; how many expectations changed in it.
fn write(draft: &Draft, terminal: &Terminal) -> usize {
    let file = &draft.file;
    let text = apply(file.text(), &draft.edits);
    let written = readable(file.name(), &text).and_then(|()| rewrite(file, &text));
    if let Err(reason) = written {
        refuse(terminal, file.name(), &reason);
        return 0;
    }
    for (line, test, output) in &draft.changes {
        let name = file.name();
        terminal.print(&match terminal.json {
            true => {
                let change = json!({ "rewritten": output, "test": test, "file": name, "line": line });
                format!("{change}\n")
            }
            false => format!("{name}:{line}: rewrote what `{output}` is expected to put out in `{test}`\n"),
        });
    }
    draft.changes.len()
}

/// Whether the new text can be read at all: what YAML lets people write is more than what is understood here.
fn readable(name: &str, text: &str) -> Result<(), String> {
    let unreadable = || "the file could not be read any more".to_owned();
    let file = SourceFile::new(name, text.as_bytes().to_vec()).map_err(|_| unreadable())?;
    let faults = Faults::new(file);
    match parse(&faults) {
        Some(_) if !faults.has_errors() => Ok(()),
        _ => Err(unreadable()),
    }
}
