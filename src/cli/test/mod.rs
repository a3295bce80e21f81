//! `test`: runs the tests of pipelines on a virtual clock. Nothing sleeps, nothing connects.
//!
//! A test is read ([`read`], [`case`]) and checked against what its pipeline has ([`shape`]), all faults at once
//! ([`suite`]). Then it is run ([`run`]) on a pipeline of its own ([`rig`]): the operators are those of a real run,
//! sources are fed by the test ([`feed`]), outputs are tapped ([`tap`]) and compared ([`compare`]).

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
mod value;

use super::args::Paths;
use super::exit::Exit;
use super::load::{self, Findings};
use super::terminal::Terminal;
use crate::config::Environment;
use run::Failure;
use suite::Suite;
pub use suite::find;

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
pub fn test(paths: &Paths, environment: &dyn Environment, terminal: &Terminal) -> Result<(), Exit> {
    let found = suite::find(paths, environment)?;
    load::report(&Findings { loaded: Vec::new(), diagnostics: found.diagnostics }, terminal)?;
    let tested: Vec<Tested> = found
        .suites
        .into_iter()
        .map(|suite| {
            let failures = suite.cases.iter().map(|(case, plan)| run::run(case, plan)).collect();
            Tested { suite, failures }
        })
        .collect();
    terminal.print(&match terminal.json {
        true => json::lines(&tested),
        false => report::text(&tested, terminal),
    });
    match tested.iter().all(|tested| tested.counts().1 == 0) {
        true => Ok(()),
        false => Err(Exit::Failed),
    }
}
