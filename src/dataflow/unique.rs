//! `id` of a source: drops events that came before, which makes a source exact that repeats what it is not sure about.
//!
//! How long an id is remembered is a span of time that the pipeline runs. Event time would not do: a repetition may come
//! when events of other devices have moved the watermark far beyond it. Nor would the time of day: what was under way
//! when the power went is repeated when it is back, days later, and only then can be known again.

use super::key_fields::KeyField;
use super::planning::NodePlanner;
use super::scope::Point;
use super::{
    Codec, ColdKeys, KeyedState, MAIN, Operator, Output, Saved, Saving, Signal, StartContext, StepPlan,
};
use crate::event::bytes::{Malformed, Reader, put_signed};
use crate::event::{Batch, Row, Slot};
use crate::time::{Env, Millis, Timestamp};
use std::cell::RefCell;

/// How long an id is remembered where nothing else is said.
pub const USUAL_WITHIN: Millis = Millis(60 * 60 * 1000);

impl NodePlanner<'_> {
    /// Drops events whose id was seen within a span. The id stands in a slot of the point.
    pub fn unique(&mut self, at: &Point, id: KeyField, within: Millis) -> Point {
        let mut key = [id];
        let at = self.exchange(at, &mut key);
        let name = key[0].written(&self.draft.at(at.stage).slots);
        let step = self.attach(&at, Box::new(UniquePlan { slot: key[0].slot, name, within }));
        self.behind(&at, step, MAIN, at.scope.clone())
    }
}

#[derive(Debug)]
struct UniquePlan {
    slot: Slot,
    name: String,
    within: Millis,
}

impl StepPlan for UniquePlan {
    fn describe(&self) -> String {
        format!("once by id {}, within {}", self.name, self.within)
    }

    fn details(&self) -> Vec<String> {
        vec![format!("state: each id, for {} of running time since it was seen last", self.within)]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 id {}", self.name))
    }

    fn drops_repeats(&self) -> Option<Millis> {
        Some(self.within)
    }

    fn spills(&self) -> bool {
        true
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let seen = KeyedState::durable(vec![self.slot], context.hash_seed, context.durable);
        Box::new(Unique {
            seen,
            slot: self.slot,
            within: self.within,
            before: Millis::ZERO,
            now: Timestamp(0),
        })
    }
}

struct Unique {
    /// The ids; each is due when it is to be forgotten, in running time.
    seen: KeyedState<()>,
    slot: Slot,
    within: Millis,
    /// How long earlier runs were running, before the clock that never goes back began.
    before: Millis,
    /// The time that the pipeline has been running by now.
    now: Timestamp,
}

impl Unique {
    /// Forgets ids whose time is up.
    fn reach(&mut self, elapsed: Millis) {
        self.now = self.now.max(Timestamp(self.before.0.saturating_add(elapsed.0)));
        while let Some((_, key)) = self.seen.take_due(self.now) {
            self.seen.forget(key);
        }
    }

    /// Whether the event was not seen before. One without an id is not known from others.
    fn passes(&mut self, batch: &Batch, row: Row) -> bool {
        if batch.get(row, self.slot).is_null() {
            return true;
        }
        let found = self.seen.find();
        let key = found.unwrap_or_else(|| self.seen.insert(batch, row));
        self.seen.set_due(key, self.now + self.within);
        found.is_none()
    }
}

fn put(due: Option<Timestamp>, into: &mut Vec<u8>) {
    put_signed(into, due.unwrap_or(Timestamp(0)).0);
}

impl Operator for Unique {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.reach(out.env().elapsed);
        self.seen.read(batch, rows);
        let before = rows.len();
        rows.retain(|&row| {
            let passes = self.passes(batch, row);
            self.seen.advance();
            passes
        });
        if rows.len() < before {
            out.discard("duplicate", (before - rows.len()) as u64);
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if signal == Signal::Tick {
            self.reach(out.env().elapsed);
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        let (mut gone, mut changed) = (Vec::new(), Vec::new());
        let cold = RefCell::new(&mut changed);
        self.seen.take_changes(
            &mut |key| gone.push(key.to_vec()),
            &mut |key, value| cold.borrow_mut().push((key.to_vec(), value.to_vec())),
            &mut |entry, due| {
                let mut value = Vec::new();
                put(due, &mut value);
                cold.borrow_mut().push((entry.bytes().to_vec(), value));
            },
        );
        if gone.is_empty() && changed.is_empty() {
            return;
        }
        gone.iter().for_each(|key| into.remove(key, b""));
        changed.iter().for_each(|(key, value)| into.put(key, b"", |into| into.extend_from_slice(value)));
        into.put_own(b"", |value| put_signed(value, self.now.0));
    }

    fn load(&mut self, saved: Saved<'_>, env: &Env) -> Result<(), Malformed> {
        let (Saved::Keyed { value, .. } | Saved::Own { value, .. }) = saved;
        let mut reader = Reader::new(value);
        let time = reader.signed()?;
        reader.finish()?;
        match saved {
            // All workers have run as long as the one that has noted it last.
            Saved::Own { .. } => {
                self.now = self.now.max(Timestamp(time));
                self.before = Millis(self.now.0.saturating_sub(env.elapsed.0));
            }
            Saved::Keyed { key, .. } => _ = self.seen.restore(key, (), Some(Timestamp(time))),
        }
        Ok(())
    }

    fn unsaved(&mut self) -> usize {
        self.seen.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.seen.spill(
            cold,
            Codec {
                put: Box::new(|(), due, into| put(due, into)),
                take: Box::new(|reader| Ok(((), Some(Timestamp(reader.signed()?))))),
                stays: |()| false,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::Port;
    use crate::event::{Reason, Value};
    use crate::state::{KeyGroup, NodeId};
    use crate::time::Random;
    use std::collections::BTreeMap;

    struct Around {
        env: Env,
        dropped: u64,
    }

    impl Output for Around {
        fn env(&mut self) -> &mut Env {
            &mut self.env
        }

        fn pass(&mut self, _: Port, _: &[Row]) {}

        fn emit(&mut self, _: Port) -> &mut Batch {
            unreachable!("it passes events on")
        }

        fn signal(&mut self, _: Port, _: Signal) {}

        fn reject(&mut self, _: &Batch, _: Row, _: Reason) {}

        fn discard(&mut self, _: &'static str, rows: u64) {
            self.dropped += rows;
        }
    }

    fn around(elapsed: i64) -> Around {
        let env = Env { now: Timestamp(0), elapsed: Millis(elapsed), random: Random::seeded(1) };
        Around { env, dropped: 0 }
    }

    fn unique() -> Unique {
        let seen = KeyedState::durable(vec![Slot(0)], 1, true);
        Unique { seen, slot: Slot(0), within: Millis(100), before: Millis::ZERO, now: Timestamp(0) }
    }

    /// The ids that pass; 0 is none.
    fn pass(unique: &mut Unique, elapsed: i64, ids: &[i64]) -> Vec<i64> {
        let (mut batch, mut around) = (Batch::new(1, b""), around(elapsed));
        let mut rows = Vec::new();
        for id in ids {
            let row = batch.push_row(Timestamp(0), Timestamp(0));
            batch.set(row, Slot(0), if *id == 0 { Value::NULL } else { Value::int(*id) });
            rows.push(row);
        }
        unique.process(&mut batch, &mut rows, &mut around);
        assert_eq!(around.dropped as usize, ids.len() - rows.len());
        rows.iter().map(|row| ids[row.index()]).collect()
    }

    #[test]
    fn an_id_passes_once_within_its_span_of_running_time() {
        let mut unique = unique();
        assert_eq!(pass(&mut unique, 0, &[1, 0, 2, 1, 0, 2]), [1, 0, 2, 0]);
        assert_eq!(pass(&mut unique, 50, &[1]), [0; 0]);
        assert_eq!(pass(&mut unique, 100, &[1, 2]), [2], "1 was seen in between");
        assert_eq!(pass(&mut unique, 149, &[3]), [3]);
        unique.signal(Signal::Tick, &mut around(1000));
        assert_eq!(unique.seen.next_due(), None);
    }

    #[test]
    fn ids_are_remembered_over_a_restart_for_as_long_as_it_runs() {
        let mut saved: BTreeMap<(u8, Vec<u8>), Vec<u8>> = BTreeMap::new();
        let mut running = unique();
        let mut checkpoint = |unique: &mut Unique| {
            let (env, mut entries) = (around(0).env, Vec::new());
            unique.save(&mut Saving::new(NodeId(0), 0, &env, &mut entries));
            let count = entries.len();
            for entry in entries {
                let key = (entry.key.group().0, entry.key.key().to_vec());
                match entry.value {
                    Some(value) => _ = saved.insert(key, value.to_vec()),
                    None => assert!(saved.remove(&key).is_some()),
                }
            }
            (count, saved.clone())
        };
        pass(&mut running, 500, &[1]);
        checkpoint(&mut running);
        pass(&mut running, 550, &[2]);
        let (_, kept) = checkpoint(&mut running);
        assert_eq!(checkpoint(&mut running).0, 0, "nothing changed");
        let mut again = unique();
        for own in [true, false] {
            for ((group, key), value) in &kept {
                let group = KeyGroup(*group);
                let part = Saved::read(group, key, value, (0, 1)).unwrap().unwrap();
                if matches!(part, Saved::Own { .. }) == own {
                    again.load(part, &around(7).env).unwrap();
                }
            }
        }
        assert_eq!(checkpoint(&mut again).0, 0, "what is loaded did not change");
        assert_eq!(pass(&mut again, 56, &[1, 2, 3]), [3], "49 later");
        assert_eq!(pass(&mut again, 107, &[4]), [4]);
        assert_eq!(pass(&mut again, 156, &[1, 3]), [1, 3]);
    }
}
