//! Triggers against a naive model: every part keeps all events that it was told of, and looks at them when it is asked.

use super::*;
use crate::event::RejectKind;
use crate::time::{Interval, Random};
use crate::windows::triggers::{Custom, CustomTrigger, Verdict};
use std::sync::Arc;

struct Naive {
    trigger: Trigger,
    /// Event time and the clock of each event.
    seen: Vec<(i64, i64)>,
    done: bool,
    /// Of phases: the end has fired.
    late: bool,
    parts: Vec<Naive>,
}

impl Naive {
    fn new(trigger: &Trigger) -> Naive {
        let parts = match trigger {
            Trigger::Phases { early, late } => {
                // Nothing fires early that never counts to the end.
                let never = Trigger::Count(u64::MAX);
                let early = early.as_deref().cloned().unwrap_or(never).repeating();
                let late = late.as_deref().cloned().unwrap_or(Trigger::Watermark).repeating();
                vec![Naive::new(&early), Naive::new(&late)]
            }
            other => other.parts().into_iter().map(Naive::new).collect(),
        };
        Naive { trigger: trigger.clone(), seen: Vec::new(), done: false, late: false, parts }
    }

    fn clear(&mut self) {
        *self = Naive::new(&self.trigger);
    }

    /// The numbers of the parts that matter now.
    fn active(&self) -> Vec<usize> {
        match self.trigger {
            Trigger::Phases { .. } => vec![usize::from(self.late)],
            Trigger::Each(_) => self.parts.iter().position(|part| !part.done).into_iter().collect(),
            _ => (0..self.parts.len()).collect(),
        }
    }

    fn event(&mut self, time: i64, now: i64) {
        if !self.done {
            self.seen.push((time, now));
            self.active().into_iter().for_each(|part| self.parts[part].event(time, now));
        }
    }

    fn is_ready(&self, moment: Moment) -> bool {
        let ready = |part: usize| self.parts[part].is_ready(moment);
        let active = self.active();
        !self.done
            && match &self.trigger {
                Trigger::Watermark => moment.watermark >= moment.end,
                Trigger::Count(count) => self.seen.len() as u64 >= *count,
                Trigger::ProcessingTime(span) => {
                    self.seen.first().is_some_and(|(_, now)| moment.clock.0 - now >= span.0)
                }
                Trigger::EventTime(span) => self
                    .seen
                    .iter()
                    .any(|(time, _)| moment.watermark.0.div_euclid(span.0) > time.div_euclid(span.0)),
                Trigger::All(_) => active.into_iter().all(|part| self.parts[part].done || ready(part)),
                Trigger::Phases { .. } => {
                    !self.late && moment.watermark >= moment.end || active.into_iter().any(ready)
                }
                _ => active.into_iter().any(ready),
            }
    }

    fn fire(&mut self, moment: Moment) {
        match &self.trigger {
            Trigger::Repeat(_) => {
                self.parts[0].fire(moment);
                if self.parts[0].done {
                    self.clear();
                }
            }
            Trigger::Until { .. } => {
                let ends = self.parts[1].is_ready(moment);
                if !ends {
                    self.parts[0].fire(moment);
                }
                self.done = ends || self.parts[0].done;
            }
            Trigger::Each(_) => {
                self.active().into_iter().for_each(|part| self.parts[part].fire(moment));
                self.done = self.parts.iter().all(|part| part.done);
            }
            Trigger::Phases { .. } if !self.late && moment.watermark >= moment.end => {
                self.clear();
                self.late = true;
            }
            Trigger::Phases { .. } => {
                let part = usize::from(self.late);
                self.parts[part].fire(moment);
                self.done = self.late && self.parts[1].done;
            }
            _ => self.done = true,
        }
    }
}

/// An event at that time, where the clock stands at `now`.
fn event(time: i64, watermark: i64, now: i64) -> Told<'static> {
    let [time, watermark] = [time, watermark].map(Timestamp);
    Told { time, watermark, now: Millis(now), window: Interval::NOTHING, event: None, fields: &[] }
}

fn pick(random: &mut Random, below: u64) -> u64 {
    random.bits() % below
}

fn tree(random: &mut Random, depth: u32) -> Trigger {
    let kinds = if depth == 0 { 4 } else { 11 };
    let boxed = |random: &mut Random| Box::new(tree(random, depth.saturating_sub(1)));
    let list = |random: &mut Random| {
        (0..=pick(random, 2)).map(|_| tree(random, depth.saturating_sub(1))).collect::<Vec<_>>()
    };
    match pick(random, kinds) {
        0 => Trigger::Watermark,
        1 => Trigger::Count(1 + pick(random, 4)),
        2 => Trigger::ProcessingTime(Millis(1 + pick(random, 6) as i64)),
        3 => Trigger::EventTime(Millis(1 + pick(random, 6) as i64)),
        4 => Trigger::Any(list(random)),
        5 => Trigger::All(list(random)),
        6 => Trigger::Each(list(random)),
        7 => Trigger::Repeat(boxed(random)),
        8 => Trigger::Once(boxed(random)),
        9 => Trigger::Until { work: boxed(random), until: boxed(random) },
        _ => Trigger::Phases {
            early: (pick(random, 2) == 0).then(|| boxed(random)),
            late: (pick(random, 2) == 0).then(|| boxed(random)),
        },
    }
}

#[test]
fn they_do_what_the_naive_model_does() {
    for seed in 0..3_000 {
        let mut random = Random::seeded(seed);
        let trigger = tree(&mut random, 3);
        let machine = Machine::new(&trigger);
        let mut naive = Naive::new(&trigger.clone().repeating());
        let mut cells = machine.cells();
        let mut moment = Moment { end: Timestamp(30), ..OPEN };
        for _ in 0..60 {
            match pick(&mut random, 4) {
                0 => moment.watermark.0 += pick(&mut random, 4) as i64,
                1 => moment.clock.0 += pick(&mut random, 4) as i64,
                _ => {
                    let time = moment.watermark.0 + pick(&mut random, 6) as i64 - 2;
                    let told = event(time, moment.watermark.0, moment.clock.0);
                    machine.event(&mut cells, &told).expect("nothing custom");
                    naive.event(time.max(moment.watermark.0), moment.clock.0);
                }
            }
            assert_eq!(machine.is_ready(&cells, moment), naive.is_ready(moment), "{seed}: {trigger}");
            if machine.is_ready(&cells, moment) {
                let done = machine.fire(&mut cells, moment);
                naive.fire(moment);
                assert_eq!(done, naive.done, "{seed}: {trigger}");
            }
            let mut bytes = Vec::new();
            machine.save(&cells, &mut bytes);
            let again = machine.load(&mut Reader::new(&bytes)).expect("readable");
            assert_eq!(again, cells);
        }
    }
}

/// A machine and what it keeps of so many events.
fn told(trigger: &Trigger, events: usize) -> (Machine, Cells) {
    let machine = Machine::new(trigger);
    let mut cells = machine.cells();
    (0..events).for_each(|_| machine.event(&mut cells, &event(5, 0, 7)).expect("nothing custom"));
    (machine, cells)
}

const OPEN: Moment =
    Moment { watermark: Timestamp(0), start: Timestamp(0), end: Timestamp(10), clock: Millis(0) };
const PAST: Moment = Moment { watermark: Timestamp(10), ..OPEN };

#[test]
fn merging_adds_counts_and_keeps_the_earlier_deadline() {
    let both = Trigger::All(vec![Trigger::Count(3), Trigger::ProcessingTime(Millis(2))]);
    let (machine, mut one) = told(&both, 1);
    let (_, two) = told(&both, 2);
    machine.merge(&mut one, &two, &mut Vec::new());
    assert_eq!(machine.next_clock(&one, Millis(0)), Some(Millis(9)));
    assert!(!machine.is_ready(&one, Moment { clock: Millis(8), ..OPEN }));
    assert!(machine.is_ready(&one, Moment { clock: Millis(9), ..OPEN }));
}

#[test]
fn a_sequence_goes_back_where_merging_opens_its_first_part_again() {
    let each = Trigger::Once(Box::new(Trigger::Each(vec![Trigger::Watermark, Trigger::Count(1)])));
    let each_alone = Trigger::Until {
        work: Box::new(Trigger::Each(vec![Trigger::Watermark, Trigger::Count(2)])),
        until: Box::new(each),
    };
    let (machine, mut past) = told(&each_alone, 1);
    assert!(machine.is_ready(&past, PAST));
    let (_, open) = told(&each_alone, 1);
    machine.merge(&mut past, &open, &mut Vec::new());
    assert!(!machine.is_ready(&past, OPEN));
    assert!(machine.is_ready(&past, PAST));
}

#[test]
fn they_say_what_they_wait_for() {
    let early = Trigger::All(vec![Trigger::Count(3), Trigger::ProcessingTime(Millis(2_000))]);
    let phases = Trigger::Phases { early: Some(Box::new(early)), late: None };
    let (machine, mut cells) = told(&phases, 1);
    let words = "any of (the end of the window, all of (2 more of 3 events, 1s of processing time))";
    assert_eq!(machine.waits(&cells, Moment { clock: Millis(1_007), ..OPEN }), words);
    machine.fire(&mut cells, PAST);
    assert_eq!(machine.waits(&cells, PAST), "an event");
    let each = Trigger::Each(vec![Trigger::EventTime(Millis(60_000)), Trigger::Count(2)]);
    let (machine, cells) = told(&Trigger::Once(Box::new(each)), 1);
    assert_eq!(machine.waits(&cells, OPEN), "event time 1970-01-01T00:01:00Z");
}

#[test]
fn late_phases_begin_anew_when_the_end_moves() {
    let phases = Trigger::Phases { early: Some(Box::new(Trigger::Count(2))), late: None };
    let (machine, mut cells) = told(&phases, 1);
    assert!(!machine.fire(&mut cells, PAST));
    machine.event(&mut cells, &event(5, 10, 0)).expect("nothing custom");
    assert!(machine.is_ready(&cells, PAST), "each late event fires");
    machine.reopen(&mut cells);
    machine.event(&mut cells, &event(5, 10, 0)).expect("nothing custom");
    assert!(!machine.is_ready(&cells, OPEN));
    machine.event(&mut cells, &event(5, 10, 0)).expect("nothing custom");
    assert!(machine.is_ready(&cells, OPEN));
}

#[test]
fn what_is_no_state_is_refused() {
    let (machine, cells) = told(&Trigger::Count(2), 1);
    let mut bytes = Vec::new();
    machine.save(&cells, &mut bytes);
    assert!(machine.load(&mut Reader::new(&bytes[..bytes.len() - 1])).is_err());
    bytes[0] = 9;
    assert!(machine.load(&mut Reader::new(&bytes)).is_err());
}

/// A part of the language as a plugin would write it.
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
            Trigger::Count(_) => {
                pane.state.push(1);
                return self.count(pane);
            }
            Trigger::ProcessingTime(span) => {
                pane.clock_timer.get_or_insert(Millis(told.now.0 + span.0));
            }
            Trigger::EventTime(span) => {
                let end = (told.time.max(told.watermark).0.div_euclid(span.0) + 1) * span.0;
                let earlier = pane.timer.filter(|timer| timer.0 < end);
                pane.timer = Some(earlier.unwrap_or(Timestamp(end)));
            }
            _ => return Err(Reason::new(RejectKind::Expression, "never")),
        }
        Ok(Verdict::Continue)
    }

    fn on_event_time(&self, _: &mut Held, _: Timestamp, _: Moment) -> Result<Verdict, Reason> {
        Ok(Verdict::FireAndClose)
    }

    fn on_clock(&self, _: &mut Held, _: Moment) -> Result<Verdict, Reason> {
        Ok(Verdict::FireAndClose)
    }

    fn on_merge(&self, pane: &mut Held, other: &Held) -> Result<Verdict, Reason> {
        pane.state.extend(&other.state);
        self.count(pane)
    }
}

impl Written {
    fn count(&self, pane: &Held) -> Result<Verdict, Reason> {
        let full = matches!(self.0, Trigger::Count(count) if pane.state.len() as u64 >= count);
        Ok(if full { Verdict::FireAndClose } else { Verdict::Continue })
    }
}

/// The same trigger with parts that are written by hand. They repeat by themselves where the language's are repeated.
fn written(trigger: &Trigger, repeats: bool) -> Trigger {
    let part = |part: &Trigger| Box::new(written(part, false));
    let phase = |part: &Option<Box<Trigger>>| part.as_ref().map(|part| Box::new(written(part, true)));
    let all = |parts: &[Trigger]| parts.iter().map(|part| written(part, false)).collect();
    let own = match trigger {
        Trigger::Count(_) | Trigger::ProcessingTime(_) | Trigger::EventTime(_) => {
            Trigger::Custom(Custom(Arc::new(Written(trigger.clone()))))
        }
        Trigger::Any(parts) => Trigger::Any(all(parts)),
        Trigger::All(parts) => Trigger::All(all(parts)),
        Trigger::Each(parts) => Trigger::Each(all(parts)),
        Trigger::Repeat(of) => Trigger::Repeat(part(of)),
        Trigger::Once(of) => Trigger::Once(part(of)),
        Trigger::Until { work, until } => Trigger::Until { work: part(work), until: part(until) },
        Trigger::Phases { early, late } => Trigger::Phases { early: phase(early), late: phase(late) },
        Trigger::Custom(_) | Trigger::Watermark => trigger.clone(),
    };
    if repeats && matches!(own, Trigger::Custom(_)) { Trigger::Repeat(Box::new(own)) } else { own }
}

/// Two machines that are told the same, one of them of a trigger written by hand.
struct Pair {
    machines: [Machine; 2],
    faults: Vec<Reason>,
}

impl Pair {
    fn event(&self, panes: &mut [Cells; 2], told: &Told<'_>) {
        for (machine, cells) in self.machines.iter().zip(panes) {
            machine.event(cells, told).expect("none fails");
        }
    }

    fn ask(&mut self, panes: &mut [Cells; 2], moment: Moment) -> [(bool, bool); 2] {
        let mut answers = [(false, false); 2];
        for (i, (machine, cells)) in self.machines.iter().zip(panes).enumerate() {
            machine.advance(cells, moment, &mut self.faults);
            let ready = machine.is_ready(cells, moment);
            answers[i] = (ready, ready && machine.fire(cells, moment));
            let mut bytes = Vec::new();
            machine.save(cells, &mut bytes);
            assert_eq!(machine.load(&mut Reader::new(&bytes)).expect("readable"), *cells);
        }
        answers
    }
}

#[test]
fn custom_triggers_do_what_the_same_of_the_language_do() {
    for seed in 0..3_000 {
        let mut random = Random::seeded(seed);
        let trigger = tree(&mut random, 3);
        let machines = [Machine::new(&trigger), Machine::new(&written(&trigger, true))];
        let fresh = || machines.each_ref().map(Machine::cells);
        let mut panes = [fresh(), fresh()];
        let mut pair = Pair { machines, faults: Vec::new() };
        let mut moment = Moment { end: Timestamp(30), ..OPEN };
        for _ in 0..80 {
            let of = pick(&mut random, 2) as usize;
            match pick(&mut random, 16) {
                0..4 => moment.watermark.0 += pick(&mut random, 4) as i64,
                4..8 => moment.clock.0 += pick(&mut random, 4) as i64,
                8 => {
                    let [into, from] = &mut panes;
                    for ((machine, into), from) in pair.machines.iter().zip(into).zip(from) {
                        machine.merge(into, from, &mut pair.faults);
                        *from = machine.cells();
                    }
                }
                _ => {
                    let time = moment.watermark.0 + pick(&mut random, 6) as i64 - 2;
                    pair.event(&mut panes[of], &event(time, moment.watermark.0, moment.clock.0));
                }
            }
            for pane in &mut panes {
                let [expected, found] = pair.ask(pane, moment);
                assert_eq!(found, expected, "{seed}: {trigger}");
            }
        }
        assert_eq!(pair.faults, []);
    }
}
