//! Sources that wait for each other: `align` holds those back that run ahead of their group.
//!
//! Each source on each worker is a member and says how far it has come. Who lags behind all others is never held, so some
//! member can always read on. One that has not had an event yet holds the others where they are, as it holds the
//! watermark; one that is idle or has ended does not.

use crate::plan::Plan;
use crate::time::{Millis, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How far the members of a group have come.
struct Group {
    /// The sources of the group, as positions among those of the plan.
    sources: Vec<usize>,
    /// What each has reached: for each worker, each source.
    reached: Vec<AtomicI64>,
}

/// A member of a group.
#[derive(Clone)]
pub struct Alignment {
    group: Arc<Group>,
    member: usize,
    max_drift: Millis,
}

/// The alignments of a plan's sources, by source; each for the first worker.
pub fn alignments(plan: &Plan, workers: usize) -> Vec<Option<Alignment>> {
    let group_of = |number: usize| plan.sources[number].timing.align.as_ref().map(|align| &align.group);
    let mut all: Vec<Option<Alignment>> = vec![None; plan.sources.len()];
    for first in 0..plan.sources.len() {
        if group_of(first).is_none() || all[first].is_some() {
            continue;
        }
        let sources: Vec<usize> =
            (first..plan.sources.len()).filter(|n| group_of(*n) == group_of(first)).collect();
        let members = sources.len() * workers;
        let reached = (0..members).map(|_| AtomicI64::new(i64::MIN)).collect();
        let group = Arc::new(Group { sources, reached });
        for (member, &number) in group.sources.iter().enumerate() {
            let align = plan.sources[number].timing.align.as_ref();
            let max_drift = align.map_or(Millis::ZERO, |align| align.max_drift);
            all[number] = Some(Alignment { group: group.clone(), member, max_drift });
        }
    }
    all
}

impl Alignment {
    /// The same source on some worker.
    pub fn on(&self, worker: usize) -> Alignment {
        Alignment { member: self.member + worker * self.group.sources.len(), ..self.clone() }
    }

    /// Says how far the source has come on this worker; [`Timestamp::MAX`] where nobody has to wait for it.
    pub fn reach(&self, watermark: Timestamp) {
        self.group.reached[self.member].store(watermark.0, Ordering::Relaxed);
    }

    /// Nothing is read of what has come further than this.
    pub fn limit(&self) -> Timestamp {
        Timestamp(self.least().0) + self.max_drift
    }

    /// The source that others wait for, as a position among those of the plan.
    pub fn last(&self) -> usize {
        self.group.sources[self.least().1 % self.group.sources.len()]
    }

    /// How far the member has come that is furthest behind, and which that is.
    fn least(&self) -> (i64, usize) {
        let reached = self.group.reached.iter().map(|reached| reached.load(Ordering::Relaxed));
        reached.zip(0..).min().unwrap_or((i64::MAX, 0))
    }
}
