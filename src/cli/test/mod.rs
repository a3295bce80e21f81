//! `test`: runs the tests of pipelines on a virtual clock. Nothing sleeps, nothing connects.
//!
//! A test is read ([`read`], [`case`]) and checked against what its pipeline has ([`shape`]), all faults at once
//! ([`suite`]). Then it is run ([`run`]) on a pipeline of its own ([`rig`]): the operators are those of a real run,
//! sources are fed by the test ([`feed`]), outputs are tapped ([`tap`]) and compared ([`compare`]). On request
//! expectations are rewritten ([`update`]).

mod case;
mod compare;
mod feed;
mod json;
mod matching;
mod read;
mod report;
mod rig;
mod run;
mod shape;
mod suite;
mod tap;
mod update;
mod value;

use super::args::{Paths, TestArgs};
use super::exit::Exit;
use super::load::{self, Findings};
use super::process::Process;
use super::terminal::Terminal;
#[cfg(test)]
pub use read::{ACTIONS, CASE_KEYS, WORDS};
use run::Failure;
use suite::Suite;
pub use suite::find;
#[cfg(test)]
pub use value::value;

/// A suite that was run.
pub struct Tested {
    suite: Suite,
    /// Of each test, why it failed.
    failures: Vec<Vec<Failure>>,
}

impl Tested {
    /// How many passed and failed.
    fn counts(&self) -> (usize, usize) {
        let failed = self.failures.iter().filter(|failures| !failures.is_empty()).count();
        (self.failures.len() - failed, failed)
    }
}

/// Runs the tests of pipelines.
///
/// # Errors
/// If a test fails, or a file is wrong: then none is run.
pub fn test(args: &TestArgs, process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    let mut tested = run_all(&args.paths, process, terminal)?;
    if args.update && update::update(&tested, terminal) > 0 {
        // What the files say now counts; warnings were given already.
        tested = run_all(&args.paths, process, &Terminal { quiet: true, ..terminal.clone() })?;
    }
    terminal.print(&match terminal.json {
        true => json::lines(&tested),
        false => report::text(&tested, terminal),
    });
    match tested.iter().all(|tested| tested.counts().1 == 0) {
        true => Ok(()),
        false => Err(Exit::Failed),
    }
}

/// Reads all tests and runs them.
fn run_all(paths: &Paths, process: &Process, terminal: &Terminal) -> Result<Vec<Tested>, Exit> {
    let found = suite::find(paths, process)?;
    load::report(&Findings { loaded: Vec::new(), diagnostics: found.diagnostics }, terminal)?;
    let run = |suite: Suite| {
        let failures = suite.cases.iter().map(|(case, plan)| run::run(case, plan)).collect();
        Tested { suite, failures }
    };
    Ok(found.suites.into_iter().map(run).collect())
}
