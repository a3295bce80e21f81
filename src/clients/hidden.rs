//! Secrets in memory.

use sha2::{Digest, Sha256};
use std::fmt;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl Hidden {
    /// Whether somebody knows it. How long that takes to say tells nothing of the secret: what is compared are hashes, and
    /// nobody can choose where theirs begins to differ.
    pub fn is(&self, claimed: &[u8]) -> bool {
        Sha256::digest(self.0.as_bytes()) == Sha256::digest(claimed)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
