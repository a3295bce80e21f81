//! A trigger as it was written.

use super::custom::Custom;
use crate::time::Millis;
use std::fmt;

/// When a window puts out what it has. Parts are at least one where there is a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The watermark has reached the window's end.
    Watermark,
    /// The same, with firings before it and for what comes behind it. Without `late` each late event fires.
    Phases {
        /// What fires until then.
        early: Option<Box<Trigger>>,
        /// What fires from then on.
        late: Option<Box<Trigger>>,
    },
    /// So long after the first event, by the clock.
    ProcessingTime(Millis),
    /// The watermark has reached the end of the stretch of event time in which the first event lay; stretches are cut
    /// from the epoch on.
    EventTime(Millis),
    /// So many events have come.
    Count(u64),
    /// One of these fires.
    Any(Vec<Trigger>),
    /// All of these are ready to fire.
    All(Vec<Trigger>),
    /// One fires after the other.
    Each(Vec<Trigger>),
    /// Begins anew whenever it is done.
    Repeat(Box<Trigger>),
    /// Done when it has fired once.
    Once(Box<Trigger>),
    /// Fires as `work` does, until `until` fires or `work` is done.
    Until {
        /// What fires.
        work: Box<Trigger>,
        /// What ends it.
        until: Box<Trigger>,
    },
    /// As a plugin says.
    Custom(Custom),
}

impl Trigger {
    /// The trigger as it works where triggers repeat by themselves: at the top, and as `early` and `late`.
    pub fn repeating(self) -> Trigger {
        match self {
            Trigger::Phases { .. }
            | Trigger::Repeat(_)
            | Trigger::Once(_)
            | Trigger::Until { .. }
            | Trigger::Custom(_) => self,
            other => Trigger::Repeat(Box::new(other)),
        }
    }

    /// Whether it may fire a window more than once even if nothing is late.
    pub fn fires_early(&self) -> bool {
        !matches!(self, Trigger::Once(_)) && self.precedes_end()
    }

    /// Whether it may be ready before the end of the window.
    pub fn precedes_end(&self) -> bool {
        match self {
            Trigger::Watermark => false,
            Trigger::Phases { early, .. } => early.is_some(),
            Trigger::Repeat(part) | Trigger::Once(part) => part.precedes_end(),
            _ => true,
        }
    }

    /// Whether it may be done, and so close a window before its time.
    pub fn closes(&self) -> bool {
        match self {
            Trigger::Once(_) | Trigger::Until { .. } | Trigger::Custom(_) => true,
            Trigger::Phases { late, .. } => late.as_ref().is_some_and(|late| late.closes()),
            _ => false,
        }
    }

    /// Those that it is made of.
    pub fn parts(&self) -> Vec<&Trigger> {
        match self {
            Trigger::Phases { early, late } => early.iter().chain(late.iter()).map(|part| &**part).collect(),
            Trigger::Any(parts) | Trigger::All(parts) | Trigger::Each(parts) => parts.iter().collect(),
            Trigger::Repeat(part) | Trigger::Once(part) => vec![part],
            Trigger::Until { work, until } => vec![work, until],
            _ => Vec::new(),
        }
    }

    /// The shortest time of the clock that it waits for, if it waits for any.
    pub fn shortest_wait(&self) -> Option<Millis> {
        match self {
            Trigger::ProcessingTime(span) => Some(*span),
            Trigger::Custom(custom) => custom.0.waits(),
            _ => self.parts().into_iter().filter_map(Trigger::shortest_wait).min(),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name: &str, parts: &[Trigger]| {
            let parts: Vec<String> = parts.iter().map(Trigger::to_string).collect();
            write!(f, "{name} of ({})", parts.join(", "))
        };
        match self {
            Trigger::Watermark => write!(f, "watermark"),
            Trigger::Phases { early, late } => {
                write!(f, "watermark")?;
                early.iter().try_for_each(|early| write!(f, ", early {early}"))?;
                late.iter().try_for_each(|late| write!(f, ", late {late}"))
            }
            Trigger::ProcessingTime(span) => write!(f, "{span} of processing time"),
            Trigger::EventTime(span) => write!(f, "each {span} of event time"),
            Trigger::Count(1) => write!(f, "1 event"),
            Trigger::Count(count) => write!(f, "{count} events"),
            Trigger::Any(parts) => list(f, "any", parts),
            Trigger::All(parts) => list(f, "all", parts),
            Trigger::Each(parts) => list(f, "each", parts),
            Trigger::Repeat(part) => write!(f, "repeat ({part})"),
            Trigger::Once(part) => write!(f, "once ({part})"),
            Trigger::Until { work, until } => write!(f, "({work}) until ({until})"),
            Trigger::Custom(custom) => write!(f, "{}", custom.0.name()),
        }
    }
}
