//! `state check`, `state repair` and `state compact`.

use super::super::exit::Exit;
use super::super::terminal::Terminal;
use super::args::Chosen;
use super::folders::{Folders, said};
use crate::state::{CheckReport, OnCorruption, Repair, StateError, StateLimits, check as check_folder};
use serde_json::{Value, json};

/// Verifies all state of pipelines.
///
/// # Errors
/// Something is wrong.
pub fn check(folders: &Folders, chosen: &Chosen, terminal: &Terminal) -> Result<(), Exit> {
    folders.each(chosen, terminal, |pipeline| {
        let report = check_folder(&folders.disk(pipeline)?, StateLimits::default().cache_bytes);
        let report = report.map_err(|error| Exit::failed(said(pipeline, &error)))?;
        print(terminal, check_entry(pipeline, &report), || check_text(pipeline, &report));
        if report.faults.is_empty() { Ok(()) } else { Err(Exit::Failed) }
    })
}

fn print(terminal: &Terminal, entry: Value, text: impl FnOnce() -> String) {
    terminal.print(&if terminal.json { format!("{entry}\n") } else { text() });
}

fn check_entry(pipeline: &str, report: &CheckReport) -> Value {
    json!({
        "pipeline": pipeline,
        "segments": report.segments,
        "records": report.records,
        "keys": report.keys,
        "torn_bytes": report.torn_bytes,
        "faults": report.faults,
        "aside": report.aside,
    })
}

fn check_text(pipeline: &str, report: &CheckReport) -> String {
    let CheckReport { segments, records, keys, torn_bytes, faults, aside } = report;
    let verdict = if faults.is_empty() { "ok" } else { "corrupt" };
    let mut text = format!(
        "{pipeline}: {verdict}: {keys} keys in the store, {records} records in {segments} segments of the log\n"
    );
    faults.iter().for_each(|fault| text.push_str(&format!("  {fault}\n")));
    if *torn_bytes > 0 {
        text.push_str(&format!("  {torn_bytes} bytes of a commit that the power cut off: nothing is lost\n"));
    }
    aside.iter().for_each(|name| text.push_str(&format!("  set aside: {name}\n")));
    text
}

/// Does now what a start would do about what is corrupt.
///
/// # Errors
/// It cannot be done.
pub fn repair(folders: &Folders, chosen: &Chosen, terminal: &Terminal) -> Result<(), Exit> {
    folders.each(chosen, terminal, |pipeline| {
        let (state, recovery) = folders.open(pipeline, OnCorruption::SetAside)?;
        drop(state);
        let done: Vec<String> = recovery.repairs.iter().map(Repair::to_string).collect();
        let entry = json!({ "pipeline": pipeline, "repairs": done, "aside": recovery.aside });
        print(terminal, entry, || match done.is_empty() {
            true => format!("{pipeline}: there was nothing to repair\n"),
            false => done.iter().map(|done| format!("{pipeline}: {done}\n")).collect(),
        });
        still_wrong(folders, pipeline)
    })
}

/// A start sets aside what it cannot open: what is damaged inside the store is found when it is read.
fn still_wrong(folders: &Folders, pipeline: &str) -> Result<(), Exit> {
    let report = check_folder(&folders.disk(pipeline)?, StateLimits::default().cache_bytes);
    let report = report.map_err(|error| Exit::failed(said(pipeline, &error)))?;
    match report.faults.first() {
        None => Ok(()),
        Some(fault) => Err(Exit::failed(format!(
            "pipeline `{pipeline}`: {fault}; that cannot be repaired: `headwater savepoint restore --replace` puts a \
             savepoint in its place"
        ))),
    }
}

/// Folds the log and gives room back.
///
/// # Errors
/// The state cannot be read or written.
pub fn compact(folders: &Folders, chosen: &Chosen, terminal: &Terminal) -> Result<(), Exit> {
    folders.each(chosen, terminal, |pipeline| {
        let (mut state, _) = folders.open(pipeline, OnCorruption::Refuse)?;
        let mut compacted = || -> Result<(u64, u64), StateError> {
            let before = state.disk_bytes()?;
            state.fold()?;
            state.compact()?;
            Ok((before, state.disk_bytes()?))
        };
        let (before, after) = compacted().map_err(|error| Exit::failed(said(pipeline, &error)))?;
        let entry = json!({ "pipeline": pipeline, "bytes_before": before, "bytes": after });
        print(terminal, entry, || format!("{pipeline}: {before} bytes before, {after} now\n"));
        Ok(())
    })
}
