//! How much of the store's file is used, as far as that can be told without reading it.

/// Bytes of keys and values in the store: kept up to date by every transaction that changes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveBytes(pub u64);

/// What an entry takes beside its key and its value, about.
const ENTRY: usize = 24;
/// A smaller file is left as it is.
const LEAST_FILE: u64 = 8 << 20;
/// So much of a file is not used that giving it back is worth what it writes. Half of it can be empty by itself: pages are
/// half full at worst.
const WASTED: u64 = 4;
/// More is not moved for the sake of room alone: commits wait meanwhile.
const MOST_MOVED: u64 = 64 << 20;

impl LiveBytes {
    /// An entry comes, or goes.
    pub fn of_entry(key: &[u8], stored: &[u8]) -> u64 {
        (key.len() + stored.len() + ENTRY) as u64
    }

    /// Whether a file of that length should be compacted, which it last was at that length.
    pub fn are_few_in(self, file: u64, compacted: u64) -> bool {
        let is_worth_it = file >= LEAST_FILE && self.0 <= MOST_MOVED && self.0 * WASTED <= file;
        is_worth_it && file >= 2 * compacted
    }
}

/// An entry had these bytes and has those; None where there is none.
pub fn count(live: &mut Option<LiveBytes>, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
    if let Some(LiveBytes(bytes)) = live {
        let size = |stored: Option<&[u8]>| stored.map_or(0, |stored| LiveBytes::of_entry(key, stored));
        *bytes = (*bytes + size(new)).saturating_sub(size(old));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compacted_where_it_gives_much_back() {
        const MIB: u64 = 1 << 20;
        assert!(LiveBytes(2 * MIB).are_few_in(8 * MIB, 0));
        assert!(!LiveBytes(3 * MIB).are_few_in(8 * MIB, 0), "too much is used");
        assert!(!LiveBytes(0).are_few_in(8 * MIB - 1, 0), "too small");
        assert!(!LiveBytes(65 * MIB).are_few_in(1 << 40, 0), "it would take too long");
        assert!(!LiveBytes(MIB).are_few_in(9 * MIB, 5 * MIB), "it was compacted lately");
        assert!(LiveBytes(MIB).are_few_in(10 * MIB, 5 * MIB));
    }
}
