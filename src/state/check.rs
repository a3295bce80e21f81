//! Everything in a folder read and verified; nothing is mended.

use super::disk::Disk;
use super::error::StateError;
use super::ledger::Ledger;
use super::log::{LogScan, RecordPlace};
use super::progress::Progress;
use super::recovery::{hold, ledger_of, log_fault, names_aside};
use super::replacement::finish_replacement;
use super::salvage::SALVAGE_FILE;
use super::store::{Checked, STORE_FILE, Store, StoreMeta};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What was found in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Segments of the log.
    pub segments: usize,
    /// Valid records in them.
    pub records: usize,
    /// Keys in the store.
    pub keys: u64,
    /// What a power cut left of a commit that was acknowledged to nobody: the next start cuts it off.
    pub torn_bytes: u64,
    /// What is wrong, a line each. None: all is well.
    pub faults: Vec<String>,
    /// Files that were set aside.
    pub aside: Vec<String>,
}

/// Reads and verifies every record of the log and every page and value of the store.
///
/// # Errors
/// The folder cannot be read, or another process holds it. What is corrupt is no error but part of the report.
pub fn check(disk: &Arc<dyn Disk>, cache_bytes: usize) -> Result<CheckReport, StateError> {
    let _held = hold(&**disk)?;
    finish_replacement(&**disk)?;
    let names = disk.list().map_err(|error| StateError::disk("reading the folder", error))?;
    let has = |name| names.iter().any(|found| found == name);
    let mut report = CheckReport { aside: names_aside(&**disk)?, ..CheckReport::default() };
    if has(SALVAGE_FILE) {
        report.faults.push("a log that replaces a corrupt one waits for the next start".to_string());
    }
    let meta = match has(STORE_FILE) {
        true => {
            let checked = check_store(disk, cache_bytes, &mut report);
            found(checked, &mut report)?
        }
        false => None,
    };
    let scan = LogScan::read(&**disk, meta.as_ref().map(|meta| meta.incarnation))?;
    if meta.is_none() && !has(STORE_FILE) && scan.numbers().next().is_some() {
        report.faults.push(format!("{STORE_FILE} is missing, but there is a log"));
    }
    report.segments = scan.numbers().count();
    report.records = scan.all_records().len();
    report.torn_bytes = scan.torn_bytes;
    if let Some((file, what)) = log_fault(&scan, meta.as_ref().unwrap_or(&StoreMeta::default())) {
        // Without a store nobody knows where the log should begin.
        if meta.is_some() || scan.fault.is_some() {
            report.faults.push(StateError::corrupt(file, what).to_string());
        }
    }
    let ledger = match &meta {
        Some(meta) => ledger_of(meta),
        None => Ok(Ledger::new(Progress::default(), scan.last())),
    };
    if let Some(mut ledger) = found(ledger, &mut report)? {
        let apply = &mut |place: &RecordPlace, payload: &[u8]| Ok(ledger.apply(place, payload)?);
        let read = scan.visit(&**disk, scan.records(), apply);
        found(read, &mut report)?;
    }
    Ok(report)
}

/// What is corrupt goes into the report; what cannot be read ends the check.
fn found<T>(outcome: Result<T, StateError>, report: &mut CheckReport) -> Result<Option<T>, StateError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error @ (StateError::Corrupt { .. } | StateError::Newer { .. })) => {
            report.faults.push(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn check_store(
    disk: &Arc<dyn Disk>,
    cache_bytes: usize,
    report: &mut CheckReport,
) -> Result<StoreMeta, StateError> {
    let verify = || {
        let mut store = Store::open(disk.clone(), cache_bytes)?;
        let checked = store.check()?;
        let mut keys = 0;
        store.scan(&mut |_, _| {
            keys += 1;
            Ok(())
        })?;
        Ok((checked, keys, store.meta()?))
    };
    // redb may panic over pages that something else altered. Nothing is shared with it but the file.
    let verified = catch_unwind(AssertUnwindSafe(verify));
    let (checked, keys, meta) = verified
        .unwrap_or_else(|_| Err(StateError::corrupt(STORE_FILE, "it is not what a store looks like")))?;
    report.keys = keys;
    if checked == Checked::Repaired {
        report.faults.push(format!("{STORE_FILE} had pages with a wrong checksum; it was repaired"));
    }
    Ok(meta)
}
