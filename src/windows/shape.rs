//! What the bytes of a window's state mean, as text: state goes back only to a window of the same shape.

use super::plan::{Accumulation, Gap, Grid, WindowKind, WindowPlan};
use crate::time::Every;

/// The version of the bytes of panes and aggregates. To be raised when any of them changes its form.
const VERSION: u32 = 1;

impl WindowPlan {
    /// The shape of the state, with these names of key fields and calls of aggregates as they were written. It leaves out
    /// what may change and state go on: lateness, accumulation, how old what is carried may be, the gap of sessions.
    pub fn shape(&self, key: &[String], calls: &[String]) -> String {
        let parts = if self.shares_slices() { "shared" } else { "whole" };
        let kind = self.kind.shape();
        let fields = self.key.len();
        let trigger = self.firing.as_ref().map_or(String::new(), |firing| {
            let retracting = self.accumulation == Accumulation::Retracting;
            let shown =
                if retracting { format!(", takes back {}", self.shown().len()) } else { String::new() };
            format!("; fires {}{shown}", firing.trigger)
        });
        format!(
            "windows {VERSION}; {kind}; {parts} panes; key {fields} ({}); {}{trigger}",
            key.join(", "),
            calls.join(", ")
        )
    }
}

impl WindowKind {
    fn shape(&self) -> String {
        match self {
            WindowKind::Tumbling { size, grid } => format!("tumbling {}{}", size.0, cuts(grid)),
            WindowKind::Sliding { size, every, grid } => {
                format!("sliding {} every {}{}", size.0, every.0, cuts(grid))
            }
            WindowKind::Cumulate { max, step, grid } => {
                format!("cumulate {} every {}{}", max.0, step.0, cuts(grid))
            }
            WindowKind::Calendar { every, grid } => format!("calendar {}{}", calendar(every), cuts(grid)),
            WindowKind::Session { gap, max } => {
                let gap = if matches!(gap, Gap::Fixed(_)) { "one gap" } else { "gaps of events" };
                let max = max.map_or(String::new(), |max| format!(", at most {}", max.0));
                format!("session with {gap}{max}")
            }
            WindowKind::Global => "global".into(),
            WindowKind::Count { size, every } => format!("count {size} every {every}"),
        }
    }
}

fn calendar(every: &Every) -> String {
    match every {
        Every::Day => "day".into(),
        Every::Week => "week".into(),
        Every::Month => "month".into(),
        Every::Year => "year".into(),
        Every::At(times) => {
            let times: Vec<String> = times.iter().map(|time| time.0.to_string()).collect();
            format!("at {}", times.join(" "))
        }
    }
}

fn cuts(grid: &Grid) -> String {
    let zone = grid.zone.as_ref().and_then(|zone| zone.iana_name()).unwrap_or("UTC");
    format!(" from {} in {zone}", grid.offset.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;
    use crate::windows::{CARRY, PaneOutput};

    /// Texts of state that stands on disks: whoever changes them has it refused.
    #[test]
    fn shapes_stay_what_they_are() {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").ok();
        let (utc, berlin) = (Grid::default(), Grid { offset: Millis(60_000), zone });
        let [size, every] = [Millis(60_000), Millis(10_000)];
        let shapes = [
            (
                WindowKind::Tumbling { size, grid: berlin },
                "tumbling 60000 from 60000 in Europe/Berlin; whole",
            ),
            (
                WindowKind::Sliding { size, every, grid: utc.clone() },
                "sliding 60000 every 10000 from 0 in UTC; shared",
            ),
            (
                WindowKind::Cumulate { max: size, step: every, grid: utc.clone() },
                "cumulate 60000 every 10000 from 0 in UTC; shared",
            ),
            (
                WindowKind::Calendar { every: Every::At(vec![Millis(5), size]), grid: utc },
                "calendar at 5 60000 from 0 in UTC; whole",
            ),
            (
                WindowKind::Session { gap: Gap::Fixed(every), max: Some(size) },
                "session with one gap, at most 60000; whole",
            ),
            (WindowKind::Global, "global; whole"),
            (WindowKind::Count { size: 10, every: 2 }, "count 10 every 2; whole"),
        ];
        for (kind, shape) in shapes {
            let plan = WindowPlan {
                kind,
                key: vec![crate::event::Slot(3)],
                own: None,
                aggregates: Vec::new(),
                lateness: Millis::ZERO,
                accumulation: Accumulation::Accumulating,
                firing: None,
                carry: CARRY,
                ttl: crate::config::StateTtl::default(),
                output: PaneOutput::default(),
                late: None,
            };
            let text = plan.shape(&["device".into()], &["sum(x)".into(), "count(*)".into()]);
            assert_eq!(text, format!("windows 1; {shape} panes; key 1 (device); sum(x), count(*)"));
        }
    }
}
