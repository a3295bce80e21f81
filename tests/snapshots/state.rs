//! A folder of state on the disk, with as many bytes as a test asks for.

use headwater::state::disk::{Disk, RealDisk};
use headwater::state::snapshot::{Copying, SnapshotError, SnapshotOwner, SnapshotTarget, Taken};
use headwater::state::*;
use headwater::time::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
const NODE: NodeId = NodeId(1);

pub fn owner() -> SnapshotOwner {
    SnapshotOwner::new("gateway", "machines").unwrap()
}

pub fn open_state(folder: &Path) -> StateBackend {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(folder).unwrap());
    let limits = StateLimits::default();
    let options = OpenOptions { limits, on_corruption: OnCorruption::Refuse, entropy: 7, now: NOW };
    open(&disk, &options).unwrap().0
}

/// Commits an epoch with so many keys of about a kibibyte, that no compression would make smaller.
pub fn commit(state: &mut StateBackend, keys: u32) {
    let epoch = state.epoch().next();
    let entry = |number: u32| {
        let key = number.to_be_bytes();
        let bit = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (u64::from(number) << 7) ^ epoch.0) as u8;
        let value: Vec<u8> = (0..1024).map(bit).collect();
        Entry { key: StateKey::new(NODE, KeyGroup::of(&key), &key), value: Some(value.into()) }
    };
    let entries = (0..keys).map(entry).collect();
    let nodes = vec![Node { id: NODE, name: "window".into(), shape: ShapeHash(1) }];
    let checkpoint = Checkpoint { epoch, nodes, entries, ..Checkpoint::default() };
    state.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() }).unwrap();
}

pub fn keyed(state: &StateBackend) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut visit = |key: &StateKey, value: &[u8]| {
        all.insert(key.as_bytes().to_vec(), value.to_vec());
        Ok(())
    };
    state.keyed().all(&mut visit).unwrap();
    all
}

pub fn take(
    state: &mut StateBackend,
    now: i64,
    target: &mut dyn SnapshotTarget,
    between: &mut dyn FnMut(usize),
) -> Result<Taken, SnapshotError> {
    let snapshot = state.begin_snapshot()?;
    let mut copying = Copying::begin(snapshot, &owner(), Timestamp(NOW.0 + now), target)?;
    for step in 0.. {
        between(step);
        if let Some(taken) = copying.step(target)? {
            return Ok(taken);
        }
    }
    unreachable!("a copy ends")
}
