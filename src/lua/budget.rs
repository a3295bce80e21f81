//! What a script may use.

use std::time::Duration;

/// What a script may use. Going over any of these ends the call, and nothing in the script can catch that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes that the machine may hold at one time.
    pub memory: usize,
    /// Instructions of the interpreter for one call. Functions that work through text or lists are charged by what
    /// they work through, and memory by what is allocated: 64 bytes are an instruction.
    pub instructions: u64,
    /// How long one call may take on the clock. Instructions are what a script should run into: they are the same
    /// on every machine and under any load.
    pub time: Duration,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { memory: 16 << 20, instructions: 1_000_000, time: Duration::from_secs(1) }
    }
}
