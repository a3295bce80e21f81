//! Snapshots beside commits and folds, torn ones, and which are kept.

use super::super::disk::{Disk, SimulatedDisk};
use super::super::tests::workload::*;
use super::super::*;
use super::*;
use crate::time::{Clock, Millis, Random, SystemClock, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Contents and times by name.
type Kept = BTreeMap<String, (Vec<u8>, Timestamp)>;

/// A target in memory that fails when it is told to.
#[derive(Clone)]
struct Shelf {
    kept: Arc<Mutex<Kept>>,
    now: Timestamp,
    /// So many more puts succeed.
    puts: Option<usize>,
}

impl Shelf {
    fn new() -> Shelf {
        Shelf { kept: Arc::default(), now: NOW, puts: None }
    }

    fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }

    fn manifests(&self) -> Vec<Manifest> {
        let kept = self.kept.lock().unwrap();
        let manifests = kept.iter().filter(|(name, _)| name.starts_with("snapshots/"));
        manifests.filter_map(|(name, (content, _))| Manifest::decode(name, content).ok()).collect()
    }
}

impl SnapshotTarget for Shelf {
    fn put(&mut self, name: &str, content: &[u8]) -> Result<(), TargetError> {
        match &mut self.puts {
            Some(0) => return Err(TargetError::new("writing", "the line is dead")),
            Some(puts) => *puts -= 1,
            None => {}
        }
        self.kept.lock().unwrap().insert(name.to_owned(), (content.to_vec(), self.now));
        Ok(())
    }

    fn get(&mut self, name: &str, _limit: usize) -> Result<Vec<u8>, TargetError> {
        let kept = self.kept.lock().unwrap();
        kept.get(name).map(|(content, _)| content.clone()).ok_or_else(|| TargetError::new(name, "not there"))
    }

    fn list(&mut self, folder: &str) -> Result<Vec<Stored>, TargetError> {
        let kept = self.kept.lock().unwrap();
        let stored = |(name, (content, modified)): (&String, &(Vec<u8>, Timestamp))| Stored {
            name: name.clone(),
            bytes: content.len() as u64,
            modified: *modified,
        };
        Ok(kept.iter().filter(|(name, _)| name.starts_with(folder)).map(stored).collect())
    }

    fn delete(&mut self, name: &str) -> Result<(), TargetError> {
        self.kept.lock().unwrap().remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        "the shelf".to_owned()
    }
}

fn owner() -> SnapshotOwner {
    SnapshotOwner::new("gateway", "machines").unwrap()
}

/// State that is worked on.
struct Work {
    disk: SimulatedDisk,
    state: StateBackend,
    random: Random,
    view: View,
}

impl Work {
    fn new(seed: u64) -> Work {
        let disk = SimulatedDisk::new(seed);
        let (state, _) = open_state(&disk, seed).unwrap();
        Work { disk, state, random: Random::seeded(seed), view: View::default() }
    }

    fn step(&mut self) {
        let step = Step::draw(&mut self.random, &self.view, last_frame(&self.state));
        self.state.commit(step.changes()).unwrap();
        step.apply(&mut self.view);
        if self.state.fold_is_due() || self.random.bits().is_multiple_of(8) {
            self.state.fold().unwrap();
        }
        if self.random.bits().is_multiple_of(16) {
            self.state.compact().unwrap();
        }
    }

    fn steps(&mut self, most: u64) {
        (0..self.random.bits() % most).for_each(|_| self.step());
    }

    /// A snapshot, taken while nothing happens.
    fn take_still(&mut self, now: Timestamp, target: &mut Shelf) -> Result<Taken, SnapshotError> {
        let mut copying = Copying::begin(self.state.begin_snapshot()?, &owner(), now, target)?;
        loop {
            if let Some(taken) = copying.step(target)? {
                return Ok(taken);
            }
        }
    }

    /// A snapshot, taken while the state is worked on.
    fn take(&mut self, now: Timestamp, target: &mut Shelf) -> Result<Taken, SnapshotError> {
        let snapshot = self.state.begin_snapshot()?;
        let mut copying = Copying::begin(snapshot, &owner(), now, target)?;
        loop {
            self.steps(4);
            if let Some(taken) = copying.step(target)? {
                return Ok(taken);
            }
        }
    }
}

/// What a snapshot comes to, in a folder of its own.
fn restored(
    manifest: &Manifest,
    target: &mut Shelf,
    seed: u64,
) -> Result<(View, Incarnation), SnapshotError> {
    let simulated = SimulatedDisk::new(seed);
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    restore(manifest, target, &disk, seed ^ 0xfeed)?;
    simulated.restart();
    let (state, recovery) = open_state(&simulated, seed)?;
    assert_eq!((recovery.repairs, recovery.is_fresh), (vec![], false));
    let is_ours = |epoch| state.is_ours(manifest.incarnation, epoch);
    assert!(is_ours(manifest.epoch) && !is_ours(manifest.epoch.next()), "markers of the old life are known");
    Ok((View::of(&state), recovery.incarnation))
}

#[test]
fn what_is_restored_is_what_was_at_the_beginning_of_the_copy() {
    for seed in 0..300 {
        let (mut work, mut shelf) = (Work::new(seed), Shelf::new());
        for round in 0..3 {
            work.steps(30);
            let then = work.view.clone();
            let taken = work.take(Timestamp(NOW.0 + round), &mut shelf).unwrap();
            assert_eq!(taken.manifest.epoch, then.epoch);
            let (view, incarnation) = restored(&taken.manifest, &mut shelf, seed).unwrap();
            assert_eq!(view, then, "seed {seed}");
            assert_ne!(incarnation, taken.manifest.incarnation);
        }
        assert_eq!(View::of(&work.state), work.view);
        let manifests = shelf.manifests();
        assert_eq!(manifests.len(), 3);
    }
}

#[test]
fn a_restored_folder_goes_on() {
    let (mut work, mut shelf) = (Work::new(5), Shelf::new());
    (0..40).for_each(|_| work.step());
    work.view = View::of(&work.state);
    let then = work.view.clone();
    let taken = work.take(NOW, &mut shelf).unwrap();
    let simulated = SimulatedDisk::new(6);
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    restore(&taken.manifest, &mut shelf, &disk, 7).unwrap();
    assert!(restore(&taken.manifest, &mut shelf, &disk, 7).unwrap_err().to_string().contains("not empty"));
    let (state, _) = open_state(&simulated, 8).unwrap();
    let mut second = Work { disk: simulated, state, random: Random::seeded(9), view: then };
    (0..100).for_each(|_| second.step());
    assert_eq!(View::of(&second.state), second.view);
    drop(second.state);
    second.disk.restart();
    assert_eq!(View::of(&open_state(&second.disk, 1).unwrap().0), second.view);
}

#[test]
fn a_torn_copy_is_none_and_the_next_one_goes_on_from_it() {
    for puts in 0..6 {
        let (mut work, mut shelf) = (Work::new(3), Shelf::new());
        (0..30).for_each(|_| work.step());
        shelf.puts = Some(puts);
        let mut parts = 0;
        if let Err(error) = work.take_still(NOW, &mut shelf) {
            assert!(matches!(error, SnapshotError::Target(_)));
            assert!(shelf.manifests().is_empty());
            parts = shelf.names().len();
            assert_eq!(parts, puts);
        }
        shelf.puts = None;
        let taken = work.take_still(Timestamp(NOW.0 + 1), &mut shelf).unwrap();
        assert!(parts == 0 || taken.sent < taken.manifest.bytes());
        restored(&taken.manifest, &mut shelf, 1).unwrap();
    }
}

#[test]
fn what_was_damaged_at_the_target_is_not_restored() {
    let (mut work, mut shelf) = (Work::new(4), Shelf::new());
    (0..30).for_each(|_| work.step());
    let taken = work.take(NOW, &mut shelf).unwrap();
    for name in shelf.names() {
        let before = shelf.kept.lock().unwrap()[&name].clone();
        let mut damaged = before.clone();
        damaged.0[before.0.len() / 2] ^= 1;
        shelf.kept.lock().unwrap().insert(name.clone(), damaged.clone());
        if name.starts_with("snapshots/") {
            let refused = Manifest::decode(&name, &damaged.0).unwrap_err();
            assert!(matches!(refused, SnapshotError::Damaged { .. }), "{refused}");
        } else {
            let refused = restored(&taken.manifest, &mut shelf, 1).unwrap_err();
            assert!(refused.to_string().contains("damaged"), "{name}: {refused}");
        }
        shelf.kept.lock().unwrap().remove(&name);
        assert!(name.starts_with("snapshots/") || restored(&taken.manifest, &mut shelf, 1).is_err());
        shelf.kept.lock().unwrap().insert(name, before);
    }
    restored(&taken.manifest, &mut shelf, 1).unwrap();
}

#[test]
fn a_later_manifest_is_refused_as_such() {
    let manifest = Manifest {
        owner: owner(),
        incarnation: Incarnation(1),
        epoch: Epoch(2),
        time: NOW,
        files: Vec::new(),
    };
    assert_eq!(manifest.name(), "snapshots/gateway/machines/20270115T080000.000Z");
    let text = String::from_utf8(manifest.encode()).unwrap();
    assert_eq!(Manifest::decode(&manifest.name(), text.as_bytes()).unwrap(), manifest);
    assert!(Manifest::decode("snapshots/gateway/other/20270115T080000.000Z", text.as_bytes()).is_err());
    let line = text.lines().next().unwrap().replace("\"version\":1", "\"version\":2");
    let later = format!("{line}\n{}\n", PartName::of(line.as_bytes()));
    let refused = Manifest::decode(&manifest.name(), later.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("was written by a later version (format 2)"), "{refused}");
}

#[test]
fn an_unchanged_entry_is_not_sent_again() {
    let disk = SimulatedDisk::new(1);
    let (mut state, _) = open_state(&disk, 1).unwrap();
    let entry = |number: u32, value: u8| {
        let key = number.to_be_bytes();
        let value = Some(vec![value; 100].into());
        Entry { key: StateKey::new(WINDOW, KeyGroup::of(&key), &key), value }
    };
    let put = |state: &mut StateBackend, epoch, entries| {
        let checkpoint = Checkpoint { epoch: Epoch(epoch), entries, ..Checkpoint::default() };
        state.commit(Changes { checkpoint: Some(checkpoint), ..Changes::default() }).unwrap();
        state.fold().unwrap();
    };
    put(&mut state, 1, (0..150_000).map(|number| entry(number, 1)).collect());
    let mut shelf = Shelf::new();
    let take = |state: &mut StateBackend, shelf: &mut Shelf, time| {
        let snapshot = state.begin_snapshot().unwrap();
        let mut copying = Copying::begin(snapshot, &owner(), Timestamp(time), shelf).unwrap();
        loop {
            if let Some(taken) = copying.step(shelf).unwrap() {
                return taken;
            }
        }
    };
    let first = take(&mut state, &mut shelf, 1);
    let entries =
        |taken: &Taken| taken.manifest.files.iter().find(|file| file.name == "entries").cloned().unwrap();
    let parts = entries(&first).parts;
    assert!(parts.len() > 3 && parts.iter().all(|(_, bytes)| *bytes <= PART_LIMIT), "{parts:?}");
    put(&mut state, 2, vec![entry(77, 2), entry(1_000_000, 2)]);
    let second = take(&mut state, &mut shelf, 2);
    let changed = entries(&second).parts.iter().filter(|part| !parts.contains(part)).count();
    assert!((1..=2).contains(&changed), "{changed}");
    restored(&second.manifest, &mut shelf, 1).unwrap();
}

#[test]
fn the_newest_are_kept_and_what_is_left_of_others_goes() {
    let (mut work, mut shelf) = (Work::new(8), Shelf::new());
    let mut taken = Vec::new();
    for round in 0..6 {
        (0..20).for_each(|_| work.step());
        let now = Timestamp(NOW.0 + round * 1000);
        taken.push(work.take(now, &mut shelf).unwrap().manifest);
        keep_newest(&owner(), 3, now, &mut shelf).unwrap();
        let kept = shelf.manifests();
        assert_eq!(kept, taken[taken.len().saturating_sub(3)..]);
        let needed: Vec<String> =
            kept.iter().flat_map(|m| m.parts().map(|part| format!("{}{part}", owner().parts()))).collect();
        let parts: Vec<String> =
            shelf.names().into_iter().filter(|name| name.starts_with("parts/")).collect();
        assert!(parts.iter().all(|part| needed.contains(part)));
    }
    for manifest in &taken[3..] {
        restored(manifest, &mut shelf, 1).unwrap();
    }
    // What a torn one has left stays for a day.
    shelf.put(&format!("{}{}", owner().parts(), PartName::of(b"stray")), b"stray").unwrap();
    let torn = format!("{}{}", owner().manifests(), SnapshotId::at(Timestamp(NOW.0 + 500)));
    shelf.put(&torn, b"{").unwrap();
    let before = shelf.names().len();
    assert!(keep_newest(&owner(), 3, Timestamp(NOW.0 + STRAY_AGE.0), &mut shelf).is_err());
    assert_eq!(shelf.names().len(), before);
    assert_eq!(keep_newest(&owner(), 3, Timestamp(NOW.0 + STRAY_AGE.0 + 1), &mut shelf).unwrap(), 0);
    assert_eq!(shelf.names().len(), before - 2);
}

#[test]
fn a_store_that_was_opened_anew_ends_the_copy() {
    let mut work = Work::new(11);
    (0..30).for_each(|_| work.step());
    work.state.fold().unwrap();
    let mut snapshot = work.state.begin_snapshot().unwrap();
    assert!(work.state.check().is_err());
    snapshot.next_part().unwrap();
    drop(work.state);
    let error = snapshot.next_part().unwrap_err();
    assert_eq!(error.remedy(), Remedy::Retry);
    drop(snapshot);
    assert_eq!(View::of(&open_state(&work.disk, 1).unwrap().0), work.view);
}

/// A pipeline whose state another thread works on.
struct Shared(Arc<Mutex<Work>>);

impl SnapshotSource for Shared {
    fn pipeline(&self) -> &str {
        "machines"
    }

    fn begin(&mut self) -> Result<Option<Snapshot>, StateError> {
        self.0.lock().unwrap().state.begin_snapshot().map(Some)
    }
}

#[test]
fn the_thread_takes_them_and_a_dead_target_harms_nobody() {
    let work = Arc::new(Mutex::new(Work::new(12)));
    let mut shelf = Shelf::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let start = |shelf: &Shelf| {
        let options = SnapshotOptions { every: Millis(5), keep: 2 };
        let sources: Vec<Box<dyn SnapshotSource>> = vec![Box::new(Shared(work.clone()))];
        Snapshots::start(options, "gateway", sources, Box::new(shelf.clone()), clock.clone()).unwrap()
    };
    let until = |done: &dyn Fn() -> bool| {
        while !done() {
            work.lock().unwrap().step();
            clock.wait(Millis(1));
        }
    };
    let running = start(&shelf);
    until(&|| running.counts().taken() >= 4 && running.counts().sent() > 0);
    assert_eq!(running.counts().failed(), 0);
    drop(running);
    shelf.puts = Some(0);
    let running = start(&shelf);
    until(&|| running.counts().failed() >= 2);
    assert_eq!(running.counts().taken(), 0);
    drop(running);
    let manifests = shelf.manifests();
    assert!((2..=3).contains(&manifests.len()), "{}", manifests.len());
    restored(&manifests[0], &mut shelf, 1).unwrap();
}

#[test]
fn a_folder_is_a_target() {
    let path = std::env::temp_dir().join(format!("headwater-snapshots-{}", std::process::id()));
    let mut folder = FolderTarget::new(&path.join("deep"));
    assert_eq!(folder.list("snapshots/").unwrap(), []);
    folder.put("snapshots/a/b/c", b"one").unwrap();
    folder.put("snapshots/a/b/a", b"first").unwrap();
    folder.put("snapshots/a/b/c", b"second").unwrap();
    folder.put("parts/a/b/x", b"part").unwrap();
    let names: Vec<_> = folder.list("snapshots/").unwrap().into_iter().map(|s| (s.name, s.bytes)).collect();
    assert_eq!(names, [("snapshots/a/b/a".to_owned(), 5), ("snapshots/a/b/c".to_owned(), 6)]);
    assert_eq!(folder.get("snapshots/a/b/c", 6).unwrap(), b"second");
    assert!(folder.get("snapshots/a/b/c", 5).is_err());
    assert!(folder.put("../escape", b"").is_err() && folder.get("/etc/hosts", 1 << 20).is_err());
    folder.delete("snapshots/a/b/c").unwrap();
    folder.delete("snapshots/a/b/c").unwrap();
    assert!(folder.get("snapshots/a/b/c", 9).is_err());
    std::fs::remove_dir_all(path).unwrap();
}
