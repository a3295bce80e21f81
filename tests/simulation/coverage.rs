//! What seeds have drawn and what has gone wrong in them: a feature that no seed draws proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What pipelines are made of.
const FEATURES: &[&str] = &[
    "bounded files",
    "live files",
    "server",
    "server with ids",
    "union",
    "one worker",
    "exchange between workers",
    "workers change",
    "no node",
    "dedupe",
    "changed",
    "throttle first",
    "throttle last",
    "top_n",
    "running_sum",
    "ordered",
    "tumbling",
    "sliding",
    "cumulate",
    "session",
    "count",
    "node before a window",
    "allowed_lateness",
    "discarding",
    "accumulating",
    "late port",
    "trigger by the clock",
    "trigger by event time",
    "trigger by number",
    "trigger that closes",
    "trigger in phases",
    "trigger in Lua",
    "triggered tumbling",
    "triggered sliding",
    "triggered session",
    "retracting",
    "interval join",
    "join in windows",
    "temporal join",
    "table",
    "script",
    "exactly once",
    "at least once",
    "topic",
    "block, little room",
    "drop_oldest",
    "drop_newest",
    "max_age",
    "live_first",
];

/// What goes wrong, and what else happens while a pipeline runs.
const INCIDENTS: &[&str] = &[
    "power cut",
    "power cut of the disk",
    "disk broken",
    "disk full",
    "no room for a while",
    "disk refuses a start",
    "torn tail",
    "target away",
    "target away in the middle of a write",
    "target refuses",
    "file of a sink broken",
    "power cut behind a write",
    "acknowledgement lost",
    "message sent again",
    "stop",
    "clock jumps",
    "clock jumps while it runs",
    "late event",
    "late event within the lateness",
    "event at the end of a session",
    "early pane",
    "late pane",
    "pane taken back",
    "event behind a trigger's window",
    "output given up",
    "savepoint",
    "savepoint restored",
    "savepoint put in the place of a state",
    "power cut while a savepoint is restored",
    "snapshot",
    "commit while a snapshot is copied",
    "snapshot restored",
    "topic ahead of a restored state",
    "topic shuts out",
    "event refused",
    "event refused, to come back",
    "marker forgotten",
    "transaction aborted",
    "answer of a commit lost",
    "power cut behind a transaction",
    "duplicates accepted",
    "gap accepted",
];

/// What one seed or all of them have seen.
#[derive(Debug, Default)]
pub struct Coverage(Mutex<BTreeMap<&'static str, usize>>);

impl Coverage {
    /// Something was drawn or happened.
    pub fn note(&self, what: &'static str) {
        debug_assert!(FEATURES.contains(&what) || INCIDENTS.contains(&what), "{what}");
        *self.seen().entry(what).or_default() += 1;
    }

    /// A seed has seen that.
    pub fn add(&self, seed: &Coverage) {
        let seen: BTreeSet<&'static str> = seed.seen().keys().copied().collect();
        let mut all = self.seen();
        seen.into_iter().for_each(|what| *all.entry(what).or_default() += 1);
    }

    /// What no seed has seen.
    pub fn missing(&self) -> Vec<&'static str> {
        let seen = self.seen();
        FEATURES.iter().chain(INCIDENTS).filter(|what| !seen.contains_key(*what)).copied().collect()
    }

    /// How many seeds have seen what.
    pub fn summary(&self) -> String {
        let seen = self.seen();
        let shown = |all: &[&'static str]| {
            let each = all.iter().map(|what| format!("{what} {}", seen.get(what).copied().unwrap_or(0)));
            each.collect::<Vec<_>>().join(", ")
        };
        format!("drawn: {}\nhappened: {}", shown(FEATURES), shown(INCIDENTS))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, usize>> {
        // A seed that panicked left whole counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
