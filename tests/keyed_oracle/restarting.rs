//! An operator that ends at random, and another that goes on with what it saved; in between keys leave memory.

use crate::harness::roll;
use headwater::dataflow::{
    ColdKeys, Draft, Operator, Output, Pressure, Room, Saved, Saving, Signal, StartContext, StepId, is_own,
};
use headwater::event::{Batch, Row};
use headwater::state::disk::SimulatedDisk;
use headwater::state::{KeyGroup, NodeId, Overflow};
use headwater::time::{Env, Random};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Restarting {
    draft: Draft,
    step: StepId,
    worker: usize,
    random: Random,
    operator: Box<dyn Operator>,
    pressure: Arc<Pressure>,
    /// What was saved, as a log of checkpoints would add it up.
    kept: BTreeMap<(KeyGroup, Vec<u8>), Box<[u8]>>,
    /// Entries of keys that are kept at the end of input.
    left: Arc<AtomicUsize>,
}

impl Restarting {
    pub fn new(draft: Draft, step: StepId, worker: usize, seed: u64, left: Arc<AtomicUsize>) -> Restarting {
        let mut random = Random::seeded(seed + 31 * u64::from(step.0) + worker as u64);
        let (operator, pressure) = start(&draft, step, &mut random);
        Restarting { draft, step, worker, random, operator, pressure, kept: BTreeMap::new(), left }
    }

    fn changes(&mut self, env: &Env) -> usize {
        let mut changes = Vec::new();
        self.operator.save(&mut Saving::new(NodeId(1), self.worker, env, &mut changes));
        assert_eq!(self.pressure.failure(), None);
        let count = changes.len();
        for change in changes {
            let key = (change.key.group(), change.key.key().to_vec());
            match change.value {
                Some(value) => _ = self.kept.insert(key, value),
                None => assert!(self.kept.remove(&key).is_some(), "what goes was there"),
            }
        }
        count
    }

    /// Between two batches.
    fn pass(&mut self, env: &Env) {
        let chance = roll(&mut self.random, 6);
        if chance < 3 {
            self.changes(env);
            assert_eq!(self.changes(env), 0, "nothing has changed since");
        }
        if chance == 0 {
            (self.operator, self.pressure) = start(&self.draft, self.step, &mut self.random);
            for ((group, key), value) in &self.kept {
                // All that this operator saved is given back to it, as to the only worker.
                let read = Saved::read(*group, key, value, (0, 1));
                assert_eq!(self.operator.load(read.unwrap().unwrap(), env), Ok(()));
            }
            self.operator.loaded();
            assert_eq!(self.changes(env), 0, "what was loaded has not changed");
        }
    }
}

fn start(draft: &Draft, step: StepId, random: &mut Random) -> (Box<dyn Operator>, Arc<Pressure>) {
    let step = &draft.steps[step.0 as usize];
    let hash_seed = random.bits();
    let context = StartContext {
        outputs: &step.outputs,
        draft,
        sinks: &[],
        tables: &[],
        hash_seed,
        worker: (0, 1),
        durable: true,
    };
    let mut operator = step.plan.start(&context);
    // Room for none, for a few, or for all.
    let pressure = Arc::<Pressure>::default();
    let live = [0, 500, 1 << 20][roll(random, 3) as usize];
    if step.plan.spills() {
        let overflow = Overflow::create(&SimulatedDisk::new(1), 64 << 10).expect("room");
        let room = Room { live, changed: 1 << 20 };
        operator.spill(ColdKeys::new(Arc::new(overflow), pressure.clone(), 1, room));
    }
    (operator, pressure)
}

impl Operator for Restarting {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let env = out.env().clone();
        self.pass(&env);
        self.operator.process(batch, rows, out);
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        self.operator.signal(signal, out);
        if signal == Signal::End {
            self.changes(&out.env().clone());
            let keyed = self.kept.keys().filter(|(_, key)| !is_own(key)).count();
            self.left.fetch_add(keyed, Ordering::Relaxed);
        }
    }
}
