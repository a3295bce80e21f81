//! Triggers that are written by hand fire as those of the language do, in any kind of window.

use headwater::event::Reason;
use headwater::time::{Millis, Timestamp};
use headwater::windows::triggers::{Custom, CustomTrigger, Held, Moment, Running, Told, Trigger, Verdict};
use std::sync::Arc;

/// A part of the language, written by hand.
#[derive(Debug)]
struct Written(Trigger);

impl CustomTrigger for Written {
    fn name(&self) -> String {
        format!("own {}", self.0)
    }

    fn waits(&self) -> Option<Millis> {
        self.0.shortest_wait()
    }

    fn start(&self) -> Box<dyn Running> {
        Box::new(Written(self.0.clone()))
    }
}

impl Running for Written {
    fn on_event(&self, pane: &mut Held, told: &Told<'_>) -> Result<Verdict, Reason> {
        match &self.0 {
            // It waits for nothing more once a deadline has passed.
            Trigger::ProcessingTime(_) | Trigger::EventTime(_) if !pane.state.is_empty() => {}
            Trigger::ProcessingTime(span) => {
                pane.clock_timer.get_or_insert(Millis(told.now.0 + span.0));
            }
            Trigger::EventTime(span) => {
                let end = (told.time.max(told.watermark).0.div_euclid(span.0) + 1) * span.0;
                let earlier = pane.timer.filter(|timer| timer.0 < end);
                pane.timer = Some(earlier.unwrap_or(Timestamp(end)));
            }
            _ => {
                pane.state.push(told.event.map_or(0, |event| event.order as u8));
                return self.count(pane);
            }
        }
        Ok(Verdict::Continue)
    }

    fn on_event_time(&self, pane: &mut Held, _: Timestamp, _: Moment) -> Result<Verdict, Reason> {
        pane.state.push(0);
        Ok(Verdict::FireAndClose)
    }

    fn on_clock(&self, pane: &mut Held, _: Moment) -> Result<Verdict, Reason> {
        pane.state.push(0);
        Ok(Verdict::FireAndClose)
    }

    fn on_merge(&self, pane: &mut Held, other: &Held) -> Result<Verdict, Reason> {
        pane.state.extend(&other.state);
        if !pane.state.is_empty() && !matches!(self.0, Trigger::Count(_)) {
            (pane.timer, pane.clock_timer) = (None, None);
        }
        self.count(pane)
    }
}

impl Written {
    fn count(&self, pane: &Held) -> Result<Verdict, Reason> {
        let full = matches!(self.0, Trigger::Count(count) if pane.state.len() as u64 >= count);
        Ok(if full { Verdict::FireAndClose } else { Verdict::Continue })
    }
}

/// The same trigger with such parts. At the top, and as phases, they are repeated as those of the language are.
pub fn written(trigger: &Trigger) -> Trigger {
    let whole = part(trigger);
    if matches!(whole, Trigger::Custom(_)) { Trigger::Repeat(Box::new(whole)) } else { whole }
}

fn part(trigger: &Trigger) -> Trigger {
    let boxed = |of: &Trigger| Box::new(part(of));
    let phase = |of: &Option<Box<Trigger>>| of.as_ref().map(|of| Box::new(written(of)));
    let all = |parts: &[Trigger]| parts.iter().map(part).collect();
    match trigger {
        Trigger::Count(_) | Trigger::ProcessingTime(_) | Trigger::EventTime(_) => {
            Trigger::Custom(Custom(Arc::new(Written(trigger.clone()))))
        }
        Trigger::Any(parts) => Trigger::Any(all(parts)),
        Trigger::All(parts) => Trigger::All(all(parts)),
        Trigger::Each(parts) => Trigger::Each(all(parts)),
        Trigger::Repeat(of) => Trigger::Repeat(boxed(of)),
        Trigger::Once(of) => Trigger::Once(boxed(of)),
        Trigger::Until { work, until } => Trigger::Until { work: boxed(work), until: boxed(until) },
        Trigger::Phases { early, late } => Trigger::Phases { early: phase(early), late: phase(late) },
        Trigger::Custom(_) | Trigger::Watermark => trigger.clone(),
    }
}
