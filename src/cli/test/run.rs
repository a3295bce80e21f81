//! Runs a test: step by step, on a pipeline of its own.

use super::case::{Case, Step};
use super::compare::{Difference, compare};
use super::rig::Rig;
use crate::config::{Place, Role};
use crate::plan::Plan;
use serde_json::Value;

/// Why a test failed.
#[derive(Debug)]
pub struct Failure {
    /// Where in the test's file.
    pub place: Place,
    /// The output it is about.
    pub output: String,
    /// What is wrong with it.
    pub what: Wrong,
}

/// What is wrong with an output.
#[derive(Debug)]
pub enum Wrong {
    /// It put out something else than expected.
    Other {
        /// What differs.
        difference: Difference,
        /// Whether other fields count.
        exact: bool,
    },
    /// State could not be kept or read.
    Broken(String),
    /// It is a sink and received what no `expect` looked at.
    Unseen(Vec<Value>),
}

/// Runs a test on a plan that taps all that it looks at and all sinks. It passed if there are no failures.
pub fn run(case: &Case, plan: &Plan) -> Vec<Failure> {
    let mut rig = Rig::start(plan, case);
    let mut failures = Vec::new();
    for step in &case.steps {
        match step {
            Step::Send(sent) => sent.iter().for_each(|sent| rig.send(&sent.source, sent.payload.clone())),
            Step::Watermark(all) => all.iter().for_each(|(source, time)| rig.watermark(source, *time)),
            Step::Advance(span) => rig.advance(*span),
            Step::Close(sources) => sources.iter().for_each(|source| rig.close(source)),
            Step::Checkpoint => failures.extend(rig.checkpoint().err().map(|why| broken(case, why))),
            Step::Restart => failures.extend(rig.restart().err().map(|why| broken(case, why))),
            Step::Expect(outputs) => failures.extend(outputs.iter().filter_map(|expected| {
                let difference = compare(expected, rig.take(&expected.output))?;
                let what = Wrong::Other { difference, exact: expected.exact };
                Some(Failure { place: expected.place, output: expected.output.clone(), what })
            })),
        }
    }
    for sink in plan.nodes.iter().filter(|node| node.role == Role::Sink) {
        let unseen = rig.take(&sink.name);
        if !unseen.is_empty() && !case.ignore.contains(&sink.name) {
            let what = Wrong::Unseen(unseen);
            failures.push(Failure { place: case.place, output: sink.name.clone(), what });
        }
    }
    failures
}

fn broken(case: &Case, why: String) -> Failure {
    Failure { place: case.place, output: "state".to_owned(), what: Wrong::Broken(why) }
}
