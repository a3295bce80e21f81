//! `state_ttl`: how long nodes keep what they have of a key that has no events any more.

use super::read;
use super::section::Setting;
use crate::time::Millis;

/// For how long; None: as long as the input lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateTtl(pub Option<Millis>);

impl StateTtl {
    /// Reads it as it is written: a duration, or `unlimited`.
    pub fn read(setting: Setting<'_>) -> Option<StateTtl> {
        if setting.node.scalar() == Some("unlimited") {
            return Some(StateTtl(None));
        }
        read::positive_duration(setting).map(|span| StateTtl(Some(span)))
    }

    /// The same behind what is said of state that may also end by itself; nothing where it does not end by time.
    pub fn words_behind(self) -> String {
        if self.0.is_some() { format!("; {}", self.words()) } else { String::new() }
    }

    /// What becomes of state by it, in words.
    pub fn words(self) -> String {
        match self.0 {
            None => "never forgotten".to_owned(),
            Some(span) => format!("forgotten when its key had no event for {span}"),
        }
    }
}
