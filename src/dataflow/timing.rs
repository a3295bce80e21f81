//! `event_time`: where the time of events comes from and how far it is trusted.

use super::planning::NodePlanner;
use super::scope::Point;
use super::spec::{OptionKind, OptionSpec, open_options};
use crate::config::{Section, Setting, read};
use crate::event::Slot;
use crate::time::Millis;
use crate::watermark::{
    EventTime, Liveness, Progress, TimeAssigner, TimeForm, TimePattern, TimeReader, TimeUnit,
    WatermarkTracker, WhenAllIdle,
};

/// The options of `event_time`, at a source and as a transform.
pub const TIMING_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "field",
        OptionKind::Text,
        "The field that holds the event time; where it is null or unreadable, the event is rejected.",
    ),
    OptionSpec::optional(
        "expr",
        OptionKind::Expression,
        "An expression for the event time, instead of a field.",
    ),
    OptionSpec::or(
        "unit",
        "ms",
        OptionKind::Word(&["ms", "s", "us", "ns", "rfc3339"]),
        "What a number counts since the epoch, or `rfc3339` for text; finer than a millisecond is floored.",
    ),
    OptionSpec::optional(
        "format",
        OptionKind::Text,
        "A strftime pattern that reads text, instead of a unit: `%d/%b/%Y:%H:%M:%S %z`.",
    ),
    OptionSpec::or(
        "out_of_order",
        "0s",
        OptionKind::Duration,
        "How much earlier than the highest time so far an event may be: the watermark follows so far behind.",
    ),
    OptionSpec::optional(
        "partition_by",
        OptionKind::OneOrList(&OptionKind::Text),
        "Fields whose values have a watermark each; the lowest counts, but at a source a window whose key holds them follows each one's own.",
    ),
    OptionSpec::or(
        "bounded",
        "progressive",
        OptionKind::Word(&["progressive", "complete"]),
        "Whether the watermark of bounded input moves as it is read, or only at its end.",
    ),
    OptionSpec::optional(
        "align",
        OptionKind::Options(ALIGN_OPTIONS),
        "Holds the source back where it runs ahead of its group, so that less has to be kept of it.",
    ),
    OptionSpec::or(
        "idle_after",
        "60s",
        OptionKind::Duration,
        "Live input only: how long a partition may be quiet before it no longer holds the watermark.",
    ),
    OptionSpec::or(
        "when_all_idle",
        "advance",
        OptionKind::Word(&["advance", "hold"]),
        "Live input only: whether the watermark goes on with the clock when all are quiet, so that the last window closes.",
    ),
    OptionSpec::or(
        "max_ahead",
        "5m",
        OptionKind::Duration,
        "Live input only: an event further than this ahead of a synchronised system clock is rejected and moves no watermark.",
    ),
];

/// Those of them that it has inside a pipeline.
pub const TIMING_INSIDE: &[OptionSpec] = TIMING_OPTIONS.split_at(TIMING_OPTIONS.len() - LATER_INSIDE.len()).0;

/// The options of `align`.
const ALIGN_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "group",
        OptionKind::Text,
        "The sources of this pipeline that say the same go together.",
    ),
    OptionSpec::required(
        "max_drift",
        OptionKind::Duration,
        "How far a partition's watermark may be ahead of the lowest of the group before nothing more is read of it.",
    ),
];

/// Where `event_time` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimingPlace {
    /// At a source, which never ends by itself or does.
    Source {
        /// Whether it never ends by itself.
        live: bool,
    },
    /// Inside the pipeline, where nobody can tell an idle source from a slow one.
    Transform,
}

/// Options that need a source that never ends by itself: the last of [`TIMING_OPTIONS`].
const LIVE_OPTIONS: &[&str] = &["idle_after", "when_all_idle", "max_ahead"];
/// What this version does not have inside a pipeline: the last of [`TIMING_OPTIONS`].
const LATER_INSIDE: &[&str] = &["align", "idle_after", "when_all_idle", "max_ahead"];

/// How far a source may run ahead of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Align {
    /// The group that it belongs to.
    pub group: String,
    /// How far a partition may be ahead of the one of the group that is furthest behind.
    pub max_drift: Millis,
}

/// Where times come from and how watermarks move; planned, not running.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Where an event's time stands.
    pub time: EventTime,
    /// Fields whose values have a watermark each: their names and where they stand.
    pub partition_by: Vec<(String, Slot)>,
    /// Where those watermarks go, if anything follows them.
    pub own: Option<Slot>,
    /// What moves the watermark.
    pub progress: Progress,
    /// What holds for live sources.
    pub liveness: Option<Liveness>,
    /// Whom it waits for.
    pub align: Option<Align>,
}

impl Timing {
    /// Ingestion time: the clock, where nothing else is said.
    pub fn ingestion(live: bool) -> Timing {
        let progress = if live { Progress::Clock } else { Progress::Explicit };
        let liveness = live.then(Liveness::default);
        Timing {
            time: EventTime::Ingestion,
            partition_by: Vec::new(),
            own: None,
            progress,
            liveness,
            align: None,
        }
    }

    /// Reads the options at a point, behind which they are needed. Computed times are attached there.
    pub fn plan(
        planner: &mut NodePlanner<'_>,
        at: &mut Point,
        setting: Setting<'_>,
        place: TimingPlace,
    ) -> Option<Timing> {
        let later: &[&str] = if place == TimingPlace::Transform { LATER_INSIDE } else { &[] };
        let section = open_options(setting, "`event_time`", TIMING_OPTIONS, later);
        let live = place == TimingPlace::Source { live: true };
        let time = time(planner, at, &section);
        let partition_by = section.optional("partition_by", |setting| partitions(planner, at, setting));
        let out_of_order = section.or("out_of_order", Millis::ZERO, read::duration);
        let complete =
            section.or("bounded", false, read::word(&[("progressive", false), ("complete", true)], &[]));
        let liveness = liveness(&section, place);
        let align = section.get("align").map(|setting| align(setting, complete));
        let progress = match complete && !live {
            true => Progress::Explicit,
            false => Progress::Events { out_of_order },
        };
        let align = align.flatten();
        let partition_by = partition_by.unwrap_or_default();
        Some(Timing { time: time?, partition_by, own: None, progress, liveness, align })
    }

    /// Assigns times as planned.
    pub fn assigner(&self) -> TimeAssigner {
        let partition_by = self.partition_by.iter().map(|(_, slot)| *slot).collect();
        TimeAssigner::new(self.time.clone(), partition_by).telling(self.own)
    }

    /// Tracks watermarks over that many partitions as planned.
    pub fn tracker(&self, partitions: u32) -> WatermarkTracker {
        WatermarkTracker::new(self.progress, self.liveness, partitions)
    }

    /// For `explain`: where the time of an event comes from.
    pub fn describe_time(&self) -> String {
        let EventTime::Read { reader, .. } = &self.time else { return "when it is read".to_owned() };
        let form = match &reader.form {
            TimeForm::Unit(unit) => unit.name().to_owned(),
            TimeForm::Rfc3339 => "rfc3339".to_owned(),
            TimeForm::Pattern(pattern) => pattern.as_str().to_owned(),
        };
        format!("{} ({form})", reader.name)
    }

    /// For `explain`: what moves the watermark, a line a rule.
    pub fn describe_watermark(&self) -> Vec<String> {
        let names: Vec<&str> = self.partition_by.iter().map(|(name, _)| name.as_str()).collect();
        let out_of_order = match self.progress {
            Progress::Events { out_of_order } => out_of_order,
            Progress::Clock => return vec!["the clock".to_owned()],
            Progress::Explicit => return vec!["at the end of input".to_owned()],
        };
        let highest = match names.is_empty() {
            true => "the highest".to_owned(),
            false => format!("the highest of each {}, the lowest of these", names.join(", ")),
        };
        let mut lines = match out_of_order {
            Millis::ZERO => vec![highest],
            behind => vec![format!("{behind} behind {highest}")],
        };
        if let Some(live) = self.liveness {
            let idle = match live.when_all_idle {
                WhenAllIdle::Advance => "it goes on with the clock",
                WhenAllIdle::Hold => "it stays",
            };
            lines.push(format!(
                "a partition idle for {} does not hold it; when all are, {idle}",
                live.idle_after
            ));
            lines.push(format!("an event more than {} ahead of the clock is rejected", live.max_ahead));
        }
        if let Some(Align { group, max_drift }) = &self.align {
            lines.push(format!("nothing is read that is more than {max_drift} ahead of the group `{group}`"));
        }
        lines
    }
}

fn time(planner: &mut NodePlanner<'_>, at: &mut Point, section: &Section<'_>) -> Option<EventTime> {
    let form = form(section);
    let setting = section.exactly_one(&["field", "expr"], "time")?;
    let expr = planner.parse(setting)?;
    if setting.name == "field" && expr.as_path().is_none() {
        setting.error("expected the name of a field").hint("an expression goes under `expr`");
        return None;
    }
    let slot = planner.slot_of(at, setting, &expr, "event time")?;
    Some(EventTime::Read { slot, reader: TimeReader { name: expr.to_string(), form: form? } })
}

fn form(section: &Section<'_>) -> Option<TimeForm> {
    let setting = section.at_most_one(&["unit", "format"], "time form");
    let Some(setting) = setting else { return Some(TimeForm::Unit(TimeUnit::Millis)) };
    if setting.name == "unit" {
        let words = ["ms", "s", "us", "ns", "rfc3339"].map(|word| (word, TimeUnit::named(word)));
        let unit = read::word(&words, &[])(setting)?;
        return Some(unit.map_or(TimeForm::Rfc3339, TimeForm::Unit));
    }
    match TimePattern::new(read::text(setting)?) {
        Ok(pattern) => Some(TimeForm::Pattern(pattern)),
        Err(message) => {
            setting
                .error(format!(
                    "this is no time pattern: {}",
                    message.rsplit(": ").next().unwrap_or_default()
                ))
                .hint("it is like '%Y-%m-%d %H:%M:%S'");
            None
        }
    }
}

fn partitions(
    planner: &mut NodePlanner<'_>,
    at: &mut Point,
    setting: Setting<'_>,
) -> Option<Vec<(String, Slot)>> {
    setting
        .one_or_items()
        .into_iter()
        .map(|item| {
            let expr = planner.parse(item)?;
            Some((expr.to_string(), planner.slot_of(at, item, &expr, "partition")?))
        })
        .collect()
}

fn align(setting: Setting<'_>, complete: bool) -> Option<Align> {
    let section = open_options(setting, "`align`", ALIGN_OPTIONS, &[]);
    let group = section.required("group", |setting| read::text(setting).map(str::to_owned));
    let max_drift = section.required("max_drift", read::positive_duration);
    if complete {
        let message = "`align` follows a watermark that moves as events are read: it does not go with `bounded: complete`";
        setting.faults.error(setting.key, message).hint("leave `bounded` out");
        return None;
    }
    Some(Align { group: group?, max_drift: max_drift? })
}

/// What is said for live sources; said of bounded input it is a warning, since it changes nothing there.
fn liveness(section: &Section<'_>, place: TimingPlace) -> Option<Liveness> {
    let default = Liveness::default();
    let idle_after = section.or("idle_after", default.idle_after, read::positive_duration);
    let words = [("advance", WhenAllIdle::Advance), ("hold", WhenAllIdle::Hold)];
    let when_all_idle = section.or("when_all_idle", WhenAllIdle::Advance, read::word(&words, &[]));
    let max_ahead = section.or("max_ahead", default.max_ahead, read::duration);
    match place {
        TimingPlace::Source { live: true } => Some(Liveness { idle_after, when_all_idle, max_ahead }),
        TimingPlace::Source { live: false } => {
            for setting in section.settings().filter(|setting| LIVE_OPTIONS.contains(&setting.name)) {
                let message = format!("`{}` means nothing here: this input is bounded", setting.name);
                section.faults().warning(setting.key, message);
            }
            None
        }
        TimingPlace::Transform => None,
    }
}
