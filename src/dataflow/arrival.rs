//! The end of a sink whose target says what has arrived.

use super::sink::SinkError;
use crate::time::{Clock, Millis, SystemClock};

/// How long a stop waits: less than the process gives its pipelines.
const PATIENCE: Millis = Millis(5_000);

/// Output that has not arrived.
pub struct UnderWay {
    /// The target, as messages may show it.
    pub target: String,
    /// How many events it is.
    pub events: usize,
    /// Whether all of it outlives this run.
    pub is_kept: bool,
    /// Whether the target takes something, as far as is known.
    pub is_connected: bool,
}

/// Waits until nothing is under way. Behind a stop, nobody waits long, nor for a target that takes nothing, where nothing
/// is lost by it. `wait` returns when something may have changed, and before long in any case.
///
/// # Errors
/// Those of `under_way`; output is lost.
pub fn await_arrival(
    stopped: &dyn Fn() -> bool,
    under_way: impl Fn() -> Result<Option<UnderWay>, SinkError>,
    wait: impl Fn(),
) -> Result<(), SinkError> {
    let clock = SystemClock::new();
    let mut since = None;
    while let Some(UnderWay { target, events, is_kept, is_connected }) = under_way()? {
        if stopped() {
            let now = clock.elapsed();
            let has_waited = now - *since.get_or_insert(now) >= PATIENCE;
            if is_kept && (has_waited || !is_connected) {
                break;
            }
            if has_waited {
                return Err(SinkError::Failed(format!(
                    "{target} has not taken {events} events within {PATIENCE} of the stop: they are lost"
                )));
            }
        }
        wait();
    }
    Ok(())
}
