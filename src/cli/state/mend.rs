//! `state check`, `state repair` and `state compact`.

use super::super::exit::Exit;
use super::super::remote;
use super::super::terminal::Terminal;
use super::args::Chosen;
use super::folders::{Folders, said};
use crate::state::{CheckReport, OnCorruption, Repair, StateError, StateLimits, check as check_folder};
use serde_json::{Value, json};
use std::path::Path;

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

/// The same of a running process. False if none uses the data directory.
///
/// # Errors
/// Something is wrong, or it refuses.
pub fn check_live(data_dir: &Path, chosen: &Chosen, terminal: &Terminal) -> Result<bool, Exit> {
    remote::ask_each(data_dir, chosen.pipeline.as_deref(), ("POST", "state/check"), |pipeline, entry| {
        let texts = |name: &str| {
            let all = entry[name].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let count = |name: &str| entry[name].as_u64().unwrap_or_default();
        let report = CheckReport {
            segments: count("segments") as usize,
            records: count("records") as usize,
            keys: count("keys"),
            torn_bytes: 0,
            faults: texts("faults"),
            aside: texts("aside"),
        };
        print(terminal, check_entry(pipeline, &report), || check_text(pipeline, &report));
        if report.faults.is_empty() { Ok(()) } else { Err(Exit::Failed) }
    })
}

/// Repairs are made where nobody uses the state.
///
/// # Errors
/// Somebody does.
pub fn refuse_live(data_dir: &Path) -> Result<(), Exit> {
    let running = remote::ask_some(data_dir, "GET", "/live", String::new())?;
    match running {
        None => Ok(()),
        Some(_) => Err(Exit::failed(
            "a process uses this state: stop it first; its next start sets aside what it cannot read by itself",
        )),
    }
}

/// Has a running process fold the log and give room back. False if none uses the data directory.
///
/// # Errors
/// It refuses.
pub fn compact_live(data_dir: &Path, chosen: &Chosen, terminal: &Terminal) -> Result<bool, Exit> {
    remote::ask_each(data_dir, chosen.pipeline.as_deref(), ("POST", "state/compact"), |pipeline, entry| {
        let (before, after) = (entry["bytes_before"].clone(), entry["bytes"].clone());
        print(terminal, compact_entry(pipeline, &before, &after), || compact_text(pipeline, &before, &after));
        Ok(())
    })
}

fn compact_entry(pipeline: &str, before: &Value, after: &Value) -> Value {
    json!({ "pipeline": pipeline, "bytes_before": before, "bytes": after })
}

fn compact_text(pipeline: &str, before: &Value, after: &Value) -> String {
    format!("{pipeline}: {before} bytes before, {after} now\n")
}

fn print(terminal: &Terminal, entry: Value, text: impl FnOnce() -> String) {
    terminal.print(&if terminal.json { format!("{entry}\n") } else { text() });
}

/// As programs read it.
pub fn check_entry(pipeline: &str, report: &CheckReport) -> Value {
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
        let (before, after) = (before.into(), after.into());
        print(terminal, compact_entry(pipeline, &before, &after), || compact_text(pipeline, &before, &after));
        Ok(())
    })
}
