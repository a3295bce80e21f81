//! What a window node does and keeps, in words, for `explain`.

use super::aggregates::{AggregateSpec, Own};
use super::plan::{Accumulation, FiringPlan, Gap, Grid, WindowKind, WindowPlan, gcd};
use crate::time::{Every, Millis};

impl WindowPlan {
    /// Whether sliding windows share slices: they do where nothing fires before or after a window's end.
    pub fn shares_slices(&self) -> bool {
        let overlaps = match self.kind {
            WindowKind::Sliding { size, every, .. } => every < size,
            WindowKind::Cumulate { .. } => true,
            _ => false,
        };
        overlaps
            && self.lateness == Millis::ZERO
            && self.firing.is_none()
            && self.own.is_none()
            && self.owns().next().is_none()
    }

    /// Those of plugins.
    fn owns(&self) -> impl Iterator<Item = &Own> {
        self.aggregates.iter().filter_map(|aggregate| aggregate.call.own.as_ref())
    }

    /// The names of aggregates that are so, those of plugins aside.
    fn those(&self, is_so: impl Fn(&AggregateSpec) -> bool) -> Vec<&'static str> {
        let known = self.aggregates.iter().filter(|aggregate| aggregate.call.own.is_none());
        let those = known.filter(|aggregate| is_so(aggregate.spec));
        those.map(|aggregate| aggregate.spec.name).collect()
    }

    /// The aggregates whose combinations have no fixed size.
    fn growing(&self) -> Vec<&'static str> {
        self.those(|spec| !spec.mergeable)
    }

    /// What the operator does, how, and what state it keeps: a line each.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = vec![self.kind_line()];
        lines.push(self.state_line());
        let keepers = self.those(|spec| !spec.mergeable || spec.carries);
        if !keepers.is_empty() {
            lines.push(format!("keeps every value for {}", keepers.join(", ")));
        }
        lines.extend(self.carry_line());
        lines.extend(
            self.owns().map(|own| format!("{}: of {}", own.aggregate.name(), own.aggregate.origin())),
        );
        lines.push(self.firing_line());
        if self.own.is_some() {
            let line = "each key follows the watermark of its own partition; the lowest of all fires what is left of idle ones";
            lines.push(line.to_owned());
        }
        lines
    }

    fn kind_line(&self) -> String {
        match &self.kind {
            WindowKind::Tumbling { size, grid } => format!("tumbling {size}{}", cut(grid)),
            WindowKind::Sliding { size, every, grid } => {
                format!("sliding {size} every {every}{}", cut(grid))
            }
            WindowKind::Cumulate { max, step, grid } => {
                format!("cumulate up to {max}, a window every {step}{}", cut(grid))
            }
            WindowKind::Calendar { every, grid } => format!("calendar {}{}", name(every), by_clock(grid)),
            WindowKind::Session { gap, max } => {
                let gap = match gap {
                    Gap::Fixed(gap) => format!("{gap}"),
                    Gap::Slot(_) => "of each event".to_string(),
                };
                let max = max.map_or(String::new(), |max| format!(", at most {max}"));
                format!("session with a gap {gap}{max}, merging")
            }
            WindowKind::Global => "global".to_string(),
            WindowKind::Count { size, every } => format!("the last {size} events, every {every}"),
        }
    }

    fn state_line(&self) -> String {
        match &self.kind {
            WindowKind::Sliding { size, every, .. } if self.shares_slices() => {
                let slice = Millis(gcd(size.0, every.0));
                let how = if self.growing().is_empty() {
                    "combined by two stacks"
                } else {
                    "combined anew for each window, because values are kept"
                };
                format!(
                    "state: a pane a key and slice of {slice} ({how}: it fires at the end and takes nothing late)"
                )
            }
            WindowKind::Sliding { every, size, .. } if every < size => {
                format!("state: a pane a key and window (no slices, because {})", self.apart())
            }
            WindowKind::Cumulate { step, .. } if self.shares_slices() => format!(
                "state: a pane a key and step of {step} ahead, merged into the running total as it fires"
            ),
            WindowKind::Cumulate { .. } => {
                format!("state: a pane a key and window (no running total, because {})", self.apart())
            }
            WindowKind::Tumbling { .. } | WindowKind::Sliding { .. } | WindowKind::Calendar { .. } => {
                "state: a pane a key and window".to_string()
            }
            WindowKind::Session { max: Some(_), .. } => {
                "state: a pane a session, and one a point in time ahead of the watermark".to_string()
            }
            WindowKind::Session { max: None, .. } => "state: a pane a session".to_string(),
            WindowKind::Global => "state: a pane a key, until the end of input".to_string(),
            WindowKind::Count { size, every } => {
                let slice = gcd(*size as i64, *every as i64);
                let until = match self.ttl.0 {
                    None => "as long as the input lasts".to_string(),
                    Some(_) => self.ttl.words(),
                };
                format!("state: a pane a key and slice of {slice} events, {until}")
            }
        }
    }

    /// Why windows that overlap have nothing in common.
    fn apart(&self) -> &'static str {
        if self.own.is_some() {
            "keys fire apart"
        } else if self.lateness > Millis::ZERO || self.firing.is_some() {
            "late events fire single windows"
        } else {
            "aggregates of plugins see each event"
        }
    }

    /// What windows start with.
    fn carry_line(&self) -> Option<String> {
        let carriers = self.those(|spec| spec.carries);
        let unbounded = matches!(self.kind, WindowKind::Global | WindowKind::Count { .. });
        let names = carriers.join(", ");
        let line = match unbounded {
            true => format!("{names}: from the first value on, nothing is carried in"),
            false => format!(
                "{names}: from the key's last value before the window, if at most {} older; keys without windows stay in \
                 memory",
                self.carry
            ),
        };
        (!carriers.is_empty()).then_some(line)
    }

    fn firing_line(&self) -> String {
        if let Some(firing) = &self.firing {
            return self.trigger_line(firing);
        }
        match self.kind {
            WindowKind::Global => "fires at the end of input, and holds the watermark until then".to_string(),
            WindowKind::Count { every, .. } => {
                let forgotten = if self.ttl.0.is_some() { ", when it is forgotten" } else { "" };
                format!("fires with every {every} events of a key{forgotten}, and at the end of input")
            }
            _ if self.lateness == Millis::ZERO => {
                "fires and closes when the watermark reaches window_end".to_string()
            }
            _ => {
                let panes = match self.accumulation {
                    Accumulation::Discarding => "what came since",
                    Accumulation::Accumulating | Accumulation::Retracting => "all",
                };
                format!(
                    "fires when the watermark reaches window_end, then {panes} for each late event; closes {} later",
                    self.lateness
                )
            }
        }
    }
}

impl WindowPlan {
    fn trigger_line(&self, firing: &FiringPlan) -> String {
        let holds = match self.accumulation {
            Accumulation::Discarding => "what came since the last one",
            Accumulation::Accumulating => "all so far",
            Accumulation::Retracting => "all so far, behind the last one taken back",
        };
        let empty = if firing.emit_empty { ", and one on time even if nothing came" } else { "" };
        let closes = match self.kind {
            WindowKind::Global => "at the end of input".to_string(),
            _ if self.lateness == Millis::ZERO => "at window_end".to_string(),
            _ => format!("{} behind window_end", self.lateness),
        };
        format!("fires on {}; a pane holds {holds}{empty}; closes {closes}", firing.trigger)
    }
}

/// What an interval of the calendar is called.
fn name(every: &Every) -> String {
    let time = |time: &Millis| {
        let (minutes, seconds) = (time.0 / 60_000, time.0 / 1000 % 60);
        let seconds = if seconds == 0 { String::new() } else { format!(":{seconds:02}") };
        format!("{:02}:{:02}{seconds}", minutes / 60, minutes % 60)
    };
    match every {
        Every::Day => "day".to_string(),
        Every::Week => "week, from Monday".to_string(),
        Every::Month => "month".to_string(),
        Every::Year => "year".to_string(),
        Every::At(times) => format!("from {}", times.iter().map(time).collect::<Vec<_>>().join(", ")),
    }
}

fn shift(grid: &Grid) -> String {
    if grid.offset == Millis::ZERO { String::new() } else { format!(" + {}", grid.offset) }
}

fn by_clock(grid: &Grid) -> String {
    let zone = grid.zone.as_ref().map_or("UTC", |zone| zone.iana_name().unwrap_or("a zone"));
    format!("{} in {zone}", shift(grid))
}

fn cut(grid: &Grid) -> String {
    let offset = shift(grid);
    match grid.zone.as_ref().map(|zone| zone.iana_name().unwrap_or("a zone")) {
        Some(zone) => format!(" from local midnight{offset} in {zone}"),
        None => offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StateTtl;
    use crate::event::Slot;
    use crate::windows::aggregates::{self, Call};
    use crate::windows::plan::{Aggregate, CARRY, PaneOutput};

    fn plan(kind: WindowKind, name: &str, lateness: i64) -> WindowPlan {
        let spec = aggregates::find(name).expect("known");
        let aggregate = Aggregate { spec, call: Call::default(), filter: None, into: Slot(0) };
        WindowPlan {
            kind,
            key: Vec::new(),
            own: None,
            aggregates: vec![aggregate],
            lateness: Millis(lateness),
            accumulation: Accumulation::Discarding,
            firing: None,
            carry: CARRY,
            ttl: StateTtl::default(),
            output: PaneOutput::default(),
            late: None,
        }
    }

    fn sliding() -> WindowKind {
        WindowKind::Sliding { size: Millis(60_000), every: Millis(25_000), grid: Grid::default() }
    }

    #[test]
    fn sliding_windows_say_how_and_why() {
        let lines = plan(sliding(), "sum", 0).describe();
        assert_eq!(lines[0], "sliding 1m every 25s");
        assert!(lines[1].contains("a pane a key and slice of 5s (combined by two stacks"), "{}", lines[1]);
        let lines = plan(sliding(), "collect", 0).describe();
        assert!(lines[1].contains("combined anew"), "{}", lines[1]);
        assert_eq!(lines[2], "keeps every value for collect");
        let lines = plan(sliding(), "sum", 1_000).describe();
        assert!(lines[1].contains("no slices, because late events"), "{}", lines[1]);
        assert!(lines[2].ends_with("closes 1s later"), "{}", lines[2]);
    }

    #[test]
    fn cumulating_and_calendar_windows_say_how() {
        let cumulate =
            WindowKind::Cumulate { max: Millis(3_600_000), step: Millis(60_000), grid: Grid::default() };
        let lines = plan(cumulate.clone(), "sum", 0).describe();
        assert_eq!(lines[0], "cumulate up to 1h, a window every 1m");
        assert!(lines[1].contains("running total as it fires"), "{}", lines[1]);
        assert!(plan(cumulate, "sum", 5).describe()[1].contains("no running total"));
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("bundled");
        let grid = Grid { offset: Millis(60_000), zone: Some(zone) };
        let shifts = Every::At(vec![Millis(21_600_000), Millis(50_430_000)]);
        let lines = plan(WindowKind::Calendar { every: shifts, grid }, "delta", 0).describe();
        assert_eq!(lines[0], "calendar from 06:00, 14:00:30 + 1m in Europe/Berlin");
        assert_eq!(lines[2], "keeps every value for delta");
        assert!(
            lines[3]
                .starts_with("delta: from the key's last value before the window, if at most 7d older; keys")
        );
        let lines = plan(WindowKind::Global, "delta", 0).describe();
        assert!(lines[3].ends_with("nothing is carried in"), "{}", lines[3]);
    }

    #[test]
    fn lengths_are_checked() {
        let sliding = |size, every| WindowKind::Sliding {
            size: Millis(size),
            every: Millis(every),
            grid: Grid::default(),
        };
        assert!(sliding(86_400_000, 1_000).check().is_ok());
        assert!(sliding(86_400_000, 1).check().is_err());
        assert!(sliding(0, 1).check().is_err());
        assert!(WindowKind::Session { gap: Gap::Fixed(Millis(0)), max: None }.check().is_err());
        assert!(WindowKind::Count { size: 0, every: 1 }.check().is_err());
        assert!(WindowKind::Global.check().is_ok());
    }
}
