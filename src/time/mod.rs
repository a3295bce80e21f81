//! When things happen: timestamps, clocks, randomness, zones.

mod clock;
mod env;
mod strptime;
mod timestamp;
mod zone;

pub use clock::{BUILD_TIME, Clock, Reading, SystemClock, VirtualClock};
pub use env::{Env, Random};
pub use strptime::parse_time;
pub use timestamp::{Millis, Timestamp};
pub use zone::{Cuts, Interval};
