//! The tables of a pipeline: opened before anything else, kept up to date by threads of their own.

use crate::dataflow::{SharedTable, TableKeeper};
use crate::plan::Plan;
use crate::time::{Clock, Millis, SystemClock};
use std::sync::{Mutex, PoisonError};

/// How often a thread that rests looks whether it is to end.
const LOOK_EVERY: Millis = Millis(500);

/// The opened tables of a plan.
#[derive(Default)]
pub struct Tables {
    tables: Vec<SharedTable>,
    /// Those of them that nodes ask.
    used: Vec<SharedTable>,
    /// What keeps them, until that is started.
    keepers: Mutex<Vec<Kept>>,
}

/// The name of a table, the table, and what keeps it.
type Kept = (String, SharedTable, Box<dyn TableKeeper>);

impl Tables {
    /// Opens the tables that nodes ask; starts nothing.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub fn open(plan: &Plan) -> Result<Tables, String> {
        let (mut all, mut keepers) = (Tables::default(), Vec::new());
        for table in &plan.draft.tables {
            if !table.is_used {
                all.tables.push(SharedTable::default());
                continue;
            }
            let opened = table.plan.open(&table.layout);
            let opened = opened.map_err(|error| format!("table `{}`: {error}", table.name))?;
            let shared = match opened.asked {
                Some(asked) => SharedTable::of_asked(asked),
                None => SharedTable::new(opened.rows),
            };
            let kept = opened.keepers.into_iter();
            keepers.extend(kept.map(|keeper| (table.name.clone(), shared.clone(), keeper)));
            all.used.push(shared.clone());
            all.tables.push(shared);
        }
        Ok(Tables { keepers: Mutex::new(keepers), ..all })
    }

    /// What operators see of them, in the order of the plan.
    pub fn shared(&self) -> &[SharedTable] {
        &self.tables
    }

    /// Starts a thread for each that has something to be kept. They end soon behind [`Tables::close`]; nobody waits for that.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(&self) -> Result<(), String> {
        let keepers = std::mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        for (name, table, mut keeper) in keepers {
            let keep = move || {
                let clock = SystemClock::new();
                while !table.is_closed() {
                    let pause = keeper.keep(&table, (clock.wall(), clock.elapsed()));
                    let due = clock.elapsed().0.saturating_add(pause.0);
                    while !table.is_closed() && clock.elapsed().0 < due {
                        clock.doze(Millis(due - clock.elapsed().0).min(LOOK_EVERY));
                    }
                }
            };
            let spawned = std::thread::Builder::new().name(format!("table {name}")).spawn(keep);
            spawned.map_err(|error| format!("table `{name}`: cannot start a thread: {error}"))?;
        }
        Ok(())
    }

    /// Whether it is known of all that are asked what they hold.
    pub fn are_loaded(&self) -> bool {
        self.used.iter().all(SharedTable::is_loaded)
    }

    /// The same for others, also while nobody may look here.
    pub fn loading(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let used = self.used.clone();
        move || !used.iter().all(SharedTable::is_loaded)
    }

    /// Lets the threads end.
    pub fn close(&self) {
        self.tables.iter().for_each(SharedTable::close);
    }
}
