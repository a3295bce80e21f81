//! When things happen: timestamps, clocks, randomness, zones.

mod clock;
mod env;
mod timestamp;
mod zone;

pub use clock::{BUILD_TIME, Clock, Reading, SystemClock, VirtualClock};
pub use env::{Env, Random};
pub use timestamp::{Millis, Timestamp};
pub use zone::{Cuts, Interval};
