//! When things happen: timestamps, clocks, randomness, zones.

mod calendar;
mod clock;
mod env;
mod strptime;
mod timestamp;
mod zone;

pub use calendar::{CalendarCuts, Every};
pub use clock::{BUILD_TIME, Clock, Reading, SystemClock, VirtualClock};
pub use env::{Env, Random};
pub use strptime::parse_time;
pub use timestamp::{Millis, Timestamp};
pub use zone::{Cuts, Interval};
