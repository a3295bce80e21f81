//! Faults of the protocol, put in on purpose: the simulator must notice each of them. Only with the feature `simulation`.

use std::cell::Cell;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Senders are told that their frames are kept before they are.
    AcknowledgeBeforeCommit,
    /// A checkpoint does not hold what a target has not acknowledged.
    PassUnacknowledged,
    /// What a power cut left of a commit stays where it is.
    ForgetTornTail,
    /// One key of each checkpoint that is gone stays.
    LoseTombstone,
    /// Sources go on with a later event time than they had.
    RestoreNewWatermark,
}

thread_local! {
    static CURRENT: Cell<Option<Mutation>> = const { Cell::new(None) };
}

/// What is done wrong on this thread from now on.
pub fn set(mutation: Option<Mutation>) {
    CURRENT.set(mutation);
}

/// Whether that is done wrong.
pub fn is(mutation: Mutation) -> bool {
    CURRENT.get() == Some(mutation)
}

/// The checkpoint without one of the keys that are gone, where that is asked for.
pub fn mutated(mut checkpoint: super::Checkpoint) -> super::Checkpoint {
    let gone = checkpoint.entries.iter().rposition(|entry| entry.value.is_none());
    if let Some(gone) = gone.filter(|_| is(Mutation::LoseTombstone)) {
        checkpoint.entries.remove(gone);
    }
    checkpoint
}
