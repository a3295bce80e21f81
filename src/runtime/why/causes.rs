//! What keeps a node from going on, in words, with a remedy: what is most likely comes first.

use super::shown::{shown_span, shown_time};
use super::{Facts, NodeFacts, SourceFacts};
use crate::dataflow::OpenPane;
use crate::event::RejectKind;
use crate::time::{Millis, Timestamp};
use crate::watermark::{BEYOND_CALENDAR, Hold, Progress, TOO_FAR_AHEAD, WhenAllIdle};

/// A cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// For programs.
    pub code: &'static str,
    /// What is the matter.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Seconds since the epoch of the years 1973 to 2286 are milliseconds of January to April 1970.
const SECONDS: std::ops::Range<i64> = 100_000_000..10_000_000_000;
/// Before this nobody has a clock that is right.
const SANE_CLOCK: Timestamp = Timestamp(1_600_000_000_000);
/// How far event time may be beyond the clock before that is a fault.
const AHEAD: Millis = Millis(300_000);

impl Facts {
    /// What keeps the node from going on.
    pub fn causes(&self) -> Vec<Cause> {
        let mut causes: Vec<Cause> = self.path.iter().filter_map(stopped_at).collect();
        causes.extend(self.sources.iter().filter_map(|source| self.wrong_unit(source)));
        causes.extend(self.sources.iter().filter_map(|source| self.future(source)));
        causes.extend(self.late());
        if causes.is_empty() {
            causes.extend(self.waits());
        }
        if causes.is_empty() {
            causes.push(self.nothing_wrong());
        }
        causes
    }

    fn wrong_unit(&self, source: &SourceFacts) -> Option<Cause> {
        (SECONDS.contains(&source.highest.0) && self.now > SANE_CLOCK).then(|| Cause {
            code: "seconds_for_milliseconds",
            what: format!(
                "the latest event time of `{}` is {}: seconds are taken for milliseconds, so event time goes on a \
                 thousand times too slowly",
                source.name,
                shown_time(source.highest)
            ),
            remedy: "write `unit: s` in the source's `event_time`".to_owned(),
        })
    }

    /// Event time beyond the clock, though nothing was refused for that.
    fn future(&self, source: &SourceFacts) -> Option<Cause> {
        let ahead = Millis(source.highest.0.saturating_sub(self.now.0));
        (source.highest > Timestamp::MIN && ahead > AHEAD && self.now > SANE_CLOCK).then(|| Cause {
            code: "future_clock",
            what: format!(
                "an event of `{}` said {}, {} ahead of the clock here: the clock of a device is wrong, and all that \
                 follows with the right time is late",
                source.name,
                shown_time(source.highest),
                shown_span(ahead)
            ),
            remedy: "set the device's clock; `max_ahead` in `event_time` rejects such events, once the system clock here \
                     is synchronised; then start over with `--fresh`, as a watermark never goes back"
                .to_owned(),
        })
    }

    fn late(&self) -> Option<Cause> {
        let node = self.path.iter().find(|node| node.late > 0)?;
        let (late, received) = (node.late, node.counts.received);
        let takes_late = !node.kind.split(", ").any(|kind| ["join", "lookup"].contains(&kind));
        (late * 2 >= received).then(|| Cause {
            code: "late",
            what: format!(
                "{late} of {received} events came to `{}` {}: they are late",
                node.name,
                if takes_late { "when their windows were closed" } else { "behind the watermark" }
            ),
            remedy: format!(
                "raise `out_of_order` in the source's `event_time` to how far events come out of order{}; read what is \
                 late from `.late`",
                if takes_late { ", or give the window `allowed_lateness`" } else { "" }
            ),
        })
    }

    /// Nobody does anything wrong, and time does not go on.
    fn waits(&self) -> Option<Cause> {
        if self.trigger.as_deref() == Some("count") {
            return None;
        }
        let earliest = self.earliest.as_ref()?;
        let due = earliest.due;
        if due == Timestamp::MAX && earliest.trigger.is_some() {
            return None;
        }
        if due == Timestamp::MAX || self.sources.iter().any(|source| source.progress == Progress::Explicit) {
            return Some(Cause {
                code: "end_of_input",
                what: "it acts at the end of input, and there is more to come".to_owned(),
                remedy: "wait for the end; windows of a live source need an end in time".to_owned(),
            });
        }
        // Of some sources nothing is kept.
        let idle = |source: &&SourceFacts| {
            source.is_idle || source.counts[Hold::Holds as usize] == 0 && source.counts != [0; 3]
        };
        self.one_holds(due).or_else(|| self.sources.iter().find(idle).map(all_idle))
    }

    /// One partition is behind what the node waits for while others are beyond it, or have had nothing for long.
    fn one_holds(&self, due: Timestamp) -> Option<Cause> {
        let (source, name, holder) = self.holder()?;
        let others = self.sources.iter().any(|source| source.highest >= due);
        if holder.watermark >= due || !(others || holder.quiet > Millis(1_000)) {
            return None;
        }
        let reached = match holder.highest {
            Timestamp::MIN => "has not given an event yet".to_owned(),
            highest => format!("has come to {}", shown_time(highest)),
        };
        let quiet = match holder.quiet {
            Millis(..=999) => String::new(),
            quiet => format!(", and has had nothing for {}", shown_span(quiet)),
        };
        let idle = source.liveness.map(|live| {
            format!(
                "; it is left out when it has had nothing for {} (`idle_after`)",
                shown_span(live.idle_after)
            )
        });
        Some(Cause {
            code: if others { "slow_partition" } else { "quiet" },
            what: format!("`{name}` holds the watermark back: it {reached}{quiet}"),
            remedy: format!("look why `{name}` gives nothing, or nothing newer{}", idle.unwrap_or_default()),
        })
    }

    fn nothing_wrong(&self) -> Cause {
        let begun = self.sources.iter().any(|source| source.highest.max(source.watermark) > Timestamp::MIN);
        let received = self.path.iter().any(|node| node.counts.received > 0) || self.is_kept && begun;
        let (code, what, remedy) = match (&self.earliest, self.missing()) {
            _ if !received => (
                "no_input",
                "nothing has come in yet".to_owned(),
                "look whether the source has anything to read",
            ),
            (Some(pane), Some(missing)) => (
                "waits",
                format!(
                    "nothing is wrong: event time is {} before {}",
                    shown_span(missing),
                    if pane.window.is_some() { "the end of the window" } else { "what it waits for" }
                ),
                "wait; `out_of_order` in `event_time` holds the watermark that far behind the events",
            ),
            (Some(_), None) if self.trigger.as_deref() == Some("count") => (
                "waits",
                "its windows fire by number of events, not by time".to_owned(),
                "wait for more events",
            ),
            (Some(OpenPane { trigger: Some(trigger), .. }), None) => (
                "waits",
                format!("nothing is wrong: its trigger waits for {trigger}"),
                "wait for more events, or for the clock",
            ),
            (Some(_), None) => ("waits", "event time has not begun".to_owned(), "wait for the first events"),
            (None, _) => {
                ("nothing_open", "no window is open that has not fired".to_owned(), "wait for events")
            }
        };
        Cause { code, what, remedy: remedy.to_owned() }
    }
}

/// All that comes into a node stays there.
fn stopped_at(node: &NodeFacts) -> Option<Cause> {
    let (name, counts) = (&node.name, &node.counts);
    if counts.received == 0 {
        return None;
    }
    if counts.sent == 0 && counts.discarded.get("filtered").copied().unwrap_or_default() == counts.received {
        let what = format!("none of {} events passes the filter `{name}`: it is never true", counts.received);
        let remedy = format!(
            "look at the condition of `{name}`: a name that no event has is null, and null is not true; text and numbers \
             are never equal"
        );
        return Some(Cause { code: "filter_never_true", what, remedy });
    }
    let rejected = counts.all_rejected();
    if rejected < counts.received {
        return None;
    }
    let reason = counts.samples.back().map(|(reason, _)| reason.as_str()).unwrap_or_default();
    let times = counts.rejected.contains_key(&RejectKind::Time);
    let (code, remedy) = match times {
        true if reason.contains(TOO_FAR_AHEAD) => (
            "future_clock",
            "set the clock of the device, or that of this machine; with milliseconds for `unit: s` times are in the future \
             as well",
        ),
        true if reason.contains(BEYOND_CALENDAR) => {
            ("wrong_unit", "the numbers are of a finer unit than `unit` in the source's `event_time` says")
        }
        true => (
            "unreadable_times",
            "look at `field` or `expr`, `unit` and `format` in the source's `event_time`: the name, and how the time is \
             written in events",
        ),
        false => ("all_rejected", "look at rejected events: `headwater dlq list`, or read `.rejected`"),
    };
    let what = format!("`{name}` rejects all of {} events: {reason}", counts.received);
    Some(Cause { code, what, remedy: remedy.to_owned() })
}

fn all_idle(source: &SourceFacts) -> Cause {
    let quiet = source.slowest.iter().map(|(_, holder)| holder.quiet).min().unwrap_or_default();
    let holds = source.liveness.is_some_and(|live| live.when_all_idle == WhenAllIdle::Hold);
    let then = match holds {
        true => "event time stays where it is (`when_all_idle: hold`)",
        false => "event time goes on with the clock only",
    };
    let name = &source.name;
    Cause {
        code: "all_idle",
        what: match quiet {
            Millis::ZERO => format!("`{name}` has nothing that is not idle or at its end: {then}"),
            quiet => format!("`{name}` has had nothing for {}: {then}", shown_span(quiet)),
        },
        remedy: match holds {
            true => "look why nothing comes, or write `when_all_idle: advance` in `event_time`",
            false => "look why nothing comes; the window ends when the clock has gone far enough",
        }
        .to_owned(),
    }
}
