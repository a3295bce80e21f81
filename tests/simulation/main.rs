//! The simulator: a seed draws a pipeline, its input and everything that goes wrong; workers and whoever keeps the state
//! step in random order under a clock of the simulator's; in the end what stands in the sinks must be what an oracle
//! says. A failure prints its seed, and how to replay it.

mod branch;
mod copies;
mod coverage;
mod draw;
mod events;
mod oracle;
mod run;
mod scenario;
mod sinks;
mod sources;
mod topics;
mod whole;
mod world;

use coverage::Coverage;
use headwater::state::mutation::{self, Mutation};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().expect(name))
}

/// Runs a seed; says what went wrong.
fn attempt(seed: u64, trace: bool, coverage: &Coverage) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| run::run(seed, trace, coverage))).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// Each fault of the protocol must be noticed within so many seeds.
const MUTATION_SEEDS: u64 = 1_000;

fn notice(mutation: Mutation) {
    let coverage = Coverage::default();
    let noticed = (0..MUTATION_SEEDS).find_map(|seed| {
        mutation::set(Some(mutation));
        let fault = attempt(seed, false, &coverage).err();
        mutation::set(None);
        fault.filter(|_| attempt(seed, false, &coverage).is_ok()).map(|fault| (seed, fault))
    });
    let (seed, fault) = noticed.unwrap_or_else(|| panic!("nobody notices {mutation:?}"));
    println!("seed {seed} notices {mutation:?}: {fault}");
}

#[test]
fn an_acknowledgement_before_the_commit_is_noticed() {
    notice(Mutation::AcknowledgeBeforeCommit);
}

#[test]
fn offsets_past_unacknowledged_output_are_noticed() {
    notice(Mutation::PassUnacknowledged);
}

#[test]
fn a_forgotten_torn_tail_is_noticed() {
    notice(Mutation::ForgetTornTail);
}

#[test]
fn a_lost_tombstone_is_noticed() {
    notice(Mutation::LoseTombstone);
}

#[test]
fn a_watermark_that_is_too_new_is_noticed() {
    notice(Mutation::RestoreNewWatermark);
}

#[test]
fn whatever_goes_wrong_sinks_get_what_they_must() {
    let coverage = Coverage::default();
    if let Some(seed) = number("SIMULATE_SEED") {
        let outcome = attempt(seed, true, &coverage);
        println!("{}", coverage.summary());
        return outcome.unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
    }
    let (first, count) = (number("SIMULATE_FROM").unwrap_or(0), number("SIMULATE_SEEDS").unwrap_or(200));
    let next = AtomicU64::new(first);
    let failures = AtomicU64::new(0);
    let threads = number("SIMULATE_THREADS").map(|threads| threads as usize);
    let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    if let Err(fault) = attempt(seed, false, &coverage) {
                        failures.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed}: {fault}\n    replay: make simulate SEED={seed}");
                    }
                }
            });
        }
    });
    println!("{count} seeds from {first} on\n{}", coverage.summary());
    let failures = failures.into_inner();
    assert_eq!(failures, 0, "of {count} seeds {failures} fail");
    if count >= 200 {
        assert_eq!(coverage.missing(), [""; 0], "what no seed has seen is not simulated");
    }
}
