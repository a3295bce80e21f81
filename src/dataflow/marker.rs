//! What a target holds of a sink, written in one transaction with its output.

use std::fmt;

/// How far output has come, as it stands in the target itself: a sink whose target has transactions writes it together
/// with each chunk, and after a crash the target tells what has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marker {
    /// The life of the state that it was written by: a random number, renewed when state starts afresh.
    pub life: u64,
    /// The checkpoint that the last chunk belongs to.
    pub epoch: u64,
    /// Which of its chunks that is.
    pub chunk: u32,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Marker { life, epoch, chunk } = self;
        write!(f, "{life:016x}-{epoch}-{chunk}")
    }
}

impl Marker {
    /// Reads what [`Marker`] is shown as.
    pub fn parse(text: &str) -> Option<Marker> {
        let mut parts = text.split('-');
        let (life, epoch, chunk) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = life.len() == 16 && parts.next().is_none();
        let life = u64::from_str_radix(life, 16).ok().filter(|_| is_whole)?;
        Some(Marker { life, epoch: epoch.parse().ok()?, chunk: chunk.parse().ok()? })
    }
}

/// What is known of the marker that stands in a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Nothing yet: the target has not been asked, or is away.
    Unknown,
    /// There is none.
    Absent,
    /// This one.
    At(Marker),
}

/// What to do where it is unknown whether output has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDoubt {
    /// Stop, and ask somebody.
    #[default]
    Ask,
    /// Write what waits, though it may be there twice.
    Duplicates,
    /// Leave out what waits, though it may be missing.
    Gap,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_is_shown() {
        let marker = Marker { life: 0xab, epoch: 12, chunk: 3 };
        assert_eq!(marker.to_string(), "00000000000000ab-12-3");
        assert_eq!(Marker::parse("00000000000000ab-12-3"), Some(marker));
        for wrong in ["", "ab-12-3", "00000000000000ab-12", "00000000000000ab-12-3-4", "00000000000000ab-x-3"]
        {
            assert_eq!(Marker::parse(wrong), None, "{wrong}");
        }
    }
}
