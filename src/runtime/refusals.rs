//! What of a batch just read is to be rejected, in its place among the rows.

use crate::dataflow::Refused;
use crate::event::{Reason, Row, Unreadable};

/// Something to be rejected.
pub enum Refusal {
    /// Input that became no row.
    Unreadable(Unreadable),
    /// A row that cannot go on.
    Row(Row, Reason),
}

impl Refusal {
    /// How many rows stand before it; and input that became no row stands before the next that did.
    fn place(&self) -> (usize, bool) {
        match self {
            Refusal::Unreadable(unreadable) => (unreadable.rows_before, false),
            Refusal::Row(row, _) => (row.index(), true),
        }
    }
}

/// All refusals of a batch, the next at the end.
#[derive(Default)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Takes over what was refused.
    pub fn take(refused: &mut Refused) -> Refusals {
        let unreadable = refused.unreadable.drain(..).map(Refusal::Unreadable);
        let mut all: Vec<Refusal> = unreadable.collect();
        all.extend(refused.rows.drain(..).map(|(row, reason)| Refusal::Row(row, reason)));
        // What has the same place stays in its order.
        all.sort_by_key(Refusal::place);
        all.reverse();
        Refusals(all)
    }

    /// How many rows of the batch stand before the next refusal; without one, more than there can be.
    pub fn rows_before(&self) -> usize {
        self.0.last().map_or(usize::MAX, |next| next.place().0)
    }

    /// The next refusal.
    pub fn next(&mut self) -> Option<Refusal> {
        self.0.pop()
    }
}
