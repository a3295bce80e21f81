//! The limit of aggregates that keep every value.

use crate::event::{Reason, RejectKind};

/// Memory that one aggregate of one operator may hold over all its panes. An event that would go beyond is rejected.
pub const HELD_BYTES: usize = 256 << 20;

/// Account of what an aggregate holds.
pub struct Budget {
    name: &'static str,
    held: usize,
}

impl Budget {
    /// An account for the named aggregate.
    pub fn new(name: &'static str) -> Budget {
        Budget { name, held: 0 }
    }

    /// Whether an event may add so many bytes.
    pub fn check(&self, bytes: usize) -> Result<(), Reason> {
        if self.held.saturating_add(bytes) <= HELD_BYTES {
            return Ok(());
        }
        let text = format!("{}: its windows hold 256 MiB already", self.name);
        Err(Reason::new(RejectKind::Aggregate, text))
    }

    /// So many bytes are held now in addition.
    pub fn take(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// So many bytes are held no more.
    pub fn give_back(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }
}
