//! How long a start takes with much state, beside reading its files from the first byte to the last.
//!
//! `cargo bench --bench recovery`, with megabytes of state as an argument (1000 if none is given). "Cold" is after the
//! kernel was asked to forget the files. The folder is below that for temporary files (`TMPDIR`).

use headwater::state::disk::{Disk, Open, RealDisk};
use headwater::state::{
    Changes, Checkpoint, Entry, Epoch, KeyGroup, NodeId, OnCorruption, OpenOptions, StateBackend, StateKey,
    StateLimits, open,
};
use headwater::time::{Clock, Random, SystemClock, Timestamp};
use std::sync::Arc;

const VALUE_BYTES: usize = 100;
const KEY_BYTES: u64 = 21;
const COMMIT_KEYS: usize = 20_000;
/// What the log holds behind the store, in changed keys: just not enough for a fold.
const TAIL_KEYS: u64 = 200_000;

fn main() {
    let megabytes = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000u64);
    let keys = megabytes * 1_000_000 / (KEY_BYTES + VALUE_BYTES as u64);
    let folder = std::env::temp_dir().join(format!("headwater-bench-recovery-{}", std::process::id()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&folder).expect("a folder for temporary files"));
    println!("{keys} keys, {megabytes} MB of keys and values");
    fill(&disk, keys);
    for name in ["cold", "warm", "warm"] {
        let is_cold = name == "cold";
        let forget_all = || {
            if is_cold {
                forget(&disk);
            }
        };
        forget_all();
        let (bytes, read) = timed(|| read_all(&disk));
        forget_all();
        let ((state, _), opened) = timed(|| open(&disk, &options()).expect("what was written above"));
        let (visited, loaded) = timed(|| visit(&state));
        assert_eq!(visited, keys);
        println!(
            "{name}: reading {bytes} bytes {read:.2} s; opening {opened:.2} s ({:.2}x), then visiting all keys \
             {loaded:.2} s: {:.2}x together",
            opened / read,
            (opened + loaded) / read
        );
    }
    std::fs::remove_dir_all(folder).expect("the folder was made above");
}

fn options() -> OpenOptions {
    let (limits, on_corruption, now) = (StateLimits::default(), OnCorruption::Refuse, Timestamp(0));
    OpenOptions { limits, on_corruption, entropy: 1, now }
}

/// What it returns, and how many seconds it took.
fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let clock = SystemClock::new();
    let value = run();
    (value, clock.nanos() as f64 / 1e9)
}

fn key(number: u64) -> StateKey {
    let key = format!("device-{number:09}");
    StateKey::new(NodeId(1), KeyGroup::of(key.as_bytes()), key.as_bytes())
}

fn fill(disk: &Arc<dyn Disk>, keys: u64) {
    let (mut state, _) = open(disk, &options()).expect("an empty folder");
    let mut random = Random::seeded(1);
    let mut all: Vec<StateKey> = (0..keys).map(key).collect();
    // In their order each page is written about once.
    all.sort();
    let ((), seconds) = timed(|| {
        for some in all.chunks(COMMIT_KEYS) {
            commit(&mut state, some.to_vec(), &mut random);
            if state.fold_is_due() {
                state.fold().expect("room for the state");
            }
        }
        state.fold().expect("room for the state");
    });
    println!("written in {seconds:.1} s, {} bytes to the disk", state.written_bytes());
    let changed: Vec<StateKey> = (0..TAIL_KEYS).map(|_| key(random.bits() % keys)).collect();
    for some in changed.chunks(COMMIT_KEYS) {
        commit(&mut state, some.to_vec(), &mut random);
    }
    println!("{} bytes of memory for what is not folded", state.unfolded_bytes());
}

fn commit(state: &mut StateBackend, keys: Vec<StateKey>, random: &mut Random) {
    let mut value = || (0..VALUE_BYTES).map(|_| random.bits() as u8).collect();
    let entries = keys.into_iter().map(|key| Entry { key, value: Some(value()) }).collect();
    let checkpoint = Checkpoint { epoch: Epoch(1), entries, ..Checkpoint::default() };
    let changes = Changes { checkpoint: Some(checkpoint), ..Changes::default() };
    state.commit(changes).expect("room for the state");
}

fn visit(state: &StateBackend) -> u64 {
    let mut keys = 0;
    let visited = state.keyed().all(&mut |_, _| {
        keys += 1;
        Ok(())
    });
    visited.expect("what was written above");
    keys
}

fn files(disk: &Arc<dyn Disk>) -> Vec<String> {
    disk.list().expect("the folder was made above")
}

fn forget(disk: &Arc<dyn Disk>) {
    for name in files(disk) {
        let file = disk.open(&name, Open::Existing).expect("it was listed");
        file.sync().and_then(|()| file.forget()).expect("a file of this machine");
    }
}

fn read_all(disk: &Arc<dyn Disk>) -> u64 {
    let (mut bytes, mut buffer) = (0, vec![0; 1 << 20]);
    for name in files(disk) {
        let file = disk.open(&name, Open::Existing).expect("it was listed");
        let length = file.length().expect("it is open");
        let mut at = 0;
        while at < length {
            let some = (length - at).min(buffer.len() as u64);
            file.read_at(at, &mut buffer[..some as usize]).expect("it is open");
            at += some;
        }
        bytes += length;
    }
    bytes
}
