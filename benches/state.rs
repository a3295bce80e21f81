//! Bytes written for a checkpoint: through the log, and as a commit of the store, at several numbers of changed keys.
//!
//! `cargo bench --bench state`, with the number of keys as an argument (a million if none is given). Bytes are those
//! handed to the file system; times are those of the machine's temporary folder (`TMPDIR`).

use headwater::state::disk::{Disk, MeteredDisk, RealDisk};
use headwater::state::{
    Changes, Checkpoint, Entry, Epoch, Incarnation, KeyGroup, NodeId, OnCorruption, OpenOptions, Sequence,
    StateBackend, StateKey, StateLimits, Store, StoreMeta, open,
};
use headwater::time::{Clock, Random, SystemClock, Timestamp};
use std::sync::Arc;

const VALUE_BYTES: usize = 100;
const CHECKPOINTS: u64 = 20;
const CACHE_BYTES: usize = 16 << 20;

fn main() {
    let keys = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    for changed in [10, 1_000, 10_000, 50_000] {
        let log = in_folder(|disk| through_log(disk, keys, changed));
        let store = in_folder(|disk| through_store(disk, keys, changed));
        let payload = changed * (16 + VALUE_BYTES as u64);
        println!("{changed} of {keys} keys a checkpoint, {payload} bytes of keys and values:");
        log.print("log, one fold at the end", payload);
        store.print("a commit of the store each", payload);
    }
    for pipelines in [1, 20] {
        print_hour(keys, pipelines);
    }
}

/// An hour of checkpoints every 10 s, 1,000 keys updated each second, in one pipeline or spread over several.
fn print_hour(keys: u64, pipelines: u64) {
    let changed = 10_000 / pipelines;
    let payload = 360 * changed * pipelines * (16 + VALUE_BYTES as u64);
    let mut bytes = 0;
    for pipeline in 0..pipelines {
        bytes += in_folder(|disk| hour(disk, keys / pipelines, changed, pipeline)).bytes;
    }
    let times = bytes as f64 / payload as f64;
    println!(
        "an hour, {pipelines} pipelines of {} keys: {bytes} bytes ({times:.2}x {payload})",
        keys / pipelines
    );
}

fn hour(disk: Arc<dyn Disk>, keys: u64, changed: u64, seed: u64) -> Cost {
    let (mut state, mut random) = (opened(&disk), Random::seeded(seed));
    commit(&mut state, 1, entries(0..keys, &mut random));
    state.fold().expect("room for the state");
    let (before, folded) = (state.written_bytes(), state.meters().1.bytes());
    for epoch in 2..362 {
        commit(&mut state, epoch, drawn(keys, changed, &mut random));
        if state.fold_is_due() {
            state.fold().expect("room for the state");
        }
    }
    let fold_bytes = state.meters().1.bytes() - folded;
    Cost { bytes: state.written_bytes() - before, fold_bytes, microseconds: 0 }
}

fn opened(disk: &Arc<dyn Disk>) -> StateBackend {
    let limits = StateLimits { cache_bytes: CACHE_BYTES, ..StateLimits::default() };
    let (on_corruption, now) = (OnCorruption::Refuse, Timestamp(0));
    open(disk, &OpenOptions { limits, on_corruption, entropy: 1, now }).expect("an empty folder").0
}

/// What a checkpoint cost on average.
struct Cost {
    bytes: u64,
    /// Of these, those of folding.
    fold_bytes: u64,
    microseconds: u64,
}

impl Cost {
    fn print(&self, what: &str, payload: u64) {
        let times = self.bytes as f64 / payload as f64;
        let Cost { bytes, fold_bytes, microseconds } = self;
        println!("  {what:28} {bytes:>9} bytes ({times:.2}x, folding {fold_bytes}), {microseconds} us");
    }
}

fn in_folder(run: impl FnOnce(Arc<dyn Disk>) -> Cost) -> Cost {
    let folder = std::env::temp_dir().join(format!("headwater-bench-state-{}", std::process::id()));
    let cost = run(Arc::new(RealDisk::new(&folder).expect("a folder for temporary files")));
    std::fs::remove_dir_all(folder).expect("the folder was made above");
    cost
}

fn key(number: u64) -> StateKey {
    let key = format!("device-{number:09}");
    StateKey::new(NodeId(1), KeyGroup::of(key.as_bytes()), key.as_bytes())
}

fn entries(numbers: impl Iterator<Item = u64>, random: &mut Random) -> Vec<Entry> {
    let mut value = || (0..VALUE_BYTES).map(|_| random.bits() as u8).collect();
    let mut entries: Vec<Entry> = numbers.map(|n| Entry { key: key(n), value: Some(value()) }).collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

fn drawn(keys: u64, changed: u64, random: &mut Random) -> Vec<Entry> {
    let numbers: Vec<u64> = (0..changed).map(|_| random.bits() % keys).collect();
    entries(numbers.into_iter(), random)
}

fn commit(state: &mut StateBackend, epoch: u64, entries: Vec<Entry>) {
    let checkpoint = Checkpoint { epoch: Epoch(epoch), entries, ..Checkpoint::default() };
    let changes = Changes { checkpoint: Some(checkpoint), ..Changes::default() };
    state.commit(changes).expect("room for the state");
}

fn through_log(disk: Arc<dyn Disk>, keys: u64, changed: u64) -> Cost {
    let (mut state, mut random) = (opened(&disk), Random::seeded(1));
    commit(&mut state, 1, entries(0..keys, &mut random));
    state.fold().expect("room for the state");
    let written = |state: &StateBackend| (state.meters().0.bytes(), state.meters().1.bytes());
    let (before, clock) = (written(&state), SystemClock::new());
    for epoch in 2..2 + CHECKPOINTS {
        commit(&mut state, epoch, drawn(keys, changed, &mut random));
    }
    let nanoseconds = clock.nanos();
    state.fold().expect("room for the state");
    let after = written(&state);
    Cost {
        bytes: (after.0 - before.0 + after.1 - before.1) / CHECKPOINTS,
        fold_bytes: (after.1 - before.1) / CHECKPOINTS,
        microseconds: nanoseconds / 1_000 / CHECKPOINTS,
    }
}

fn through_store(disk: Arc<dyn Disk>, keys: u64, changed: u64) -> Cost {
    let disk = MeteredDisk::new(disk);
    let meter = disk.meter();
    let meta = |folded| {
        let folded = Sequence(folded);
        StoreMeta { incarnation: Incarnation(1), folded, folding: folded, progress: Vec::new() }
    };
    let store = Store::create(Arc::new(disk), CACHE_BYTES, &meta(0)).expect("an empty folder");
    let mut random = Random::seeded(1);
    let fold = |entries: &[Entry], folded| {
        let changes = entries.iter().map(|entry| (&entry.key, entry.value.as_deref()));
        store.fold(changes, &meta(folded)).expect("room for the state");
    };
    fold(&entries(0..keys, &mut random), 1);
    let (before, clock) = (meter.bytes(), SystemClock::new());
    for epoch in 2..2 + CHECKPOINTS {
        fold(&drawn(keys, changed, &mut random), epoch);
    }
    let microseconds = clock.nanos() / 1_000 / CHECKPOINTS;
    Cost { bytes: (meter.bytes() - before) / CHECKPOINTS, fold_bytes: 0, microseconds }
}
