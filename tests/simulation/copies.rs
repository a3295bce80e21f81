//! Copies of the state that are taken while a pipeline runs, savepoints and snapshots, and what it is to go on from one.
//!
//! What the pipeline does behind a copy is not in it. So either the power goes in the very moment in which a savepoint is
//! there, or all that is outside goes back to that moment too when the copy is restored: the oracle then knows what must
//! come of it.

use crate::draw::Draw;
use crate::scenario::Scenario;
use crate::sinks::{Target, TargetImage};
use crate::sources::{Input, ServerState};
use crate::world::World;
use headwater::runtime::KeeperHandle;
use headwater::state::disk::simulated::{Fault, Moment};
use headwater::state::disk::{Disk, SimulatedDisk};
use headwater::state::savepoint::{self, OnState, Origin, SavepointReader};
use headwater::state::snapshot::{
    self, Copying, Manifest, Snapshot, SnapshotOwner, SnapshotTarget, Stored, TargetError,
};
use headwater::state::{Epoch, OnCorruption, OpenOptions};
use headwater::time::{Clock, Millis, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// All that is outside, as it was when a copy was taken.
struct Image {
    targets: Vec<TargetImage>,
    servers: Vec<Option<ServerState>>,
}

/// What pipelines are connected to.
#[derive(Clone)]
pub struct Outsiders {
    pub targets: Vec<Arc<Target>>,
    pub inputs: Vec<Arc<Input>>,
}

impl Outsiders {
    fn image(&self) -> Image {
        let server = |input: &Arc<Input>| match &**input {
            Input::Server(server) => Some(server.image()),
            Input::Files(_) => None,
        };
        Image {
            targets: self.targets.iter().map(|target| target.image()).collect(),
            servers: self.inputs.iter().map(server).collect(),
        }
    }

    fn go_back(&self, image: &Image) {
        self.targets.iter().zip(&image.targets).for_each(|(target, image)| target.go_back(image));
        for (input, image) in self.inputs.iter().zip(&image.servers) {
            if let (Input::Server(server), Some(image)) = (&**input, image) {
                server.go_back(image);
            }
        }
    }
}

/// A copy that a later life can go on from.
enum Ready {
    Savepoint { bytes: Vec<u8>, image: Option<Image> },
    Snapshot { manifest: Manifest, image: Image },
}

/// What whoever keeps the state has given, between two of its steps.
#[derive(Default)]
struct Given {
    savepoint: Option<(Vec<u8>, Option<Image>)>,
    snapshot: Option<(Snapshot, Image)>,
}

/// The copies of a pipeline's state.
pub struct Copies {
    world: Arc<World>,
    outsiders: Outsiders,
    given: Arc<Mutex<Given>>,
    copying: Option<(Copying, Epoch, Image)>,
    target: MemoryTarget,
    ready: Option<Ready>,
}

impl Copies {
    pub fn new(world: &Arc<World>, outsiders: Outsiders) -> Copies {
        Copies {
            world: world.clone(),
            outsiders,
            given: Arc::default(),
            copying: None,
            target: MemoryTarget::default(),
            ready: None,
        }
    }

    /// Asks for a savepoint; the power goes as soon as it is there, if so drawn.
    pub fn ask_savepoint(&self, keeper: &KeeperHandle, draw: &mut Draw) {
        let (world, outsiders, given) = (self.world.clone(), self.outsiders.clone(), self.given.clone());
        let is_last = draw.often(600);
        // It is done at the next step of the coordinator; nobody waits for it.
        keeper.call(Millis(0), move |coordinator| {
            let (instance, pipeline) = ("simulated".to_owned(), "simulated".to_owned());
            let origin = Origin { instance, pipeline, text: None, taken: world.wall() };
            let mut bytes = Vec::new();
            if let Err(error) = savepoint::write(coordinator.backend(), &origin, &mut bytes) {
                world.tell(|| format!("no savepoint: {error}"));
                return;
            }
            world.note("savepoint");
            world.tell(|| format!("a savepoint of {} bytes is there", bytes.len()));
            let image = (!is_last).then(|| outsiders.image());
            given.lock().unwrap().savepoint = Some((bytes, image));
            if is_last {
                world.cut_power();
            }
        });
    }

    /// Asks for the beginning of a snapshot.
    pub fn ask_snapshot(&self, keeper: &KeeperHandle) {
        if self.copying.is_some() {
            return;
        }
        let (world, outsiders, given) = (self.world.clone(), self.outsiders.clone(), self.given.clone());
        keeper.call(Millis(0), move |coordinator| match coordinator.backend().begin_snapshot() {
            Ok(snapshot) => given.lock().unwrap().snapshot = Some((snapshot, outsiders.image())),
            Err(error) => world.tell(|| format!("no snapshot: {error}")),
        });
    }

    /// A savepoint that was asked for is there, or a part of a snapshot is copied.
    pub fn step(&mut self, keeper: &KeeperHandle) {
        if let Some((bytes, image)) = self.given.lock().unwrap().savepoint.take() {
            self.ready = Some(Ready::Savepoint { bytes, image });
        }
        let begun = self.given.lock().unwrap().snapshot.take();
        if let Some((snapshot, image)) = begun {
            // No name of the owner can be refused, and the target never fails.
            let owner = SnapshotOwner::new("simulated", "simulated").unwrap();
            let now = self.world.wall();
            let epoch = snapshot.epoch;
            let copying = Copying::begin(snapshot, &owner, now, &mut self.target).unwrap();
            self.copying = Some((copying, epoch, image));
            self.world.tell(|| "a snapshot begins".to_owned());
            return;
        }
        let Some((mut copying, pinned, image)) = self.copying.take() else { return };
        match copying.step(&mut self.target) {
            Ok(None) => self.copying = Some((copying, pinned, image)),
            Ok(Some(taken)) => {
                self.world.note("snapshot");
                if keeper.figures().checkpoints.epoch > pinned {
                    self.world.note("commit while a snapshot is copied");
                }
                self.world.tell(|| format!("a snapshot of epoch {pinned} is there"));
                self.ready = Some(Ready::Snapshot { manifest: taken.manifest, image });
            }
            Err(error) => self.world.tell(|| format!("a snapshot fails: {error}")),
        }
    }

    /// The process is gone: what it was at stays unfinished.
    pub fn end_life(&mut self) {
        let savepoint = self.given.lock().unwrap().savepoint.take();
        if let Some((bytes, image)) = savepoint {
            self.ready = Some(Ready::Savepoint { bytes, image });
        }
        self.given.lock().unwrap().snapshot = None;
        self.copying = None;
    }

    /// Goes on from the last copy, if so drawn, and tells whether it does.
    ///
    /// # Errors
    /// It cannot be restored.
    pub fn resume(&mut self, scenario: &Scenario, draw: &mut Draw) -> Result<bool, String> {
        let chosen = draw.often(700);
        let Some(ready) = self.ready.take().filter(|_| chosen) else { return Ok(false) };
        self.world.restart();
        let elsewhere = SimulatedDisk::new(draw.seed());
        let world = self.world.clone();
        match ready {
            Ready::Savepoint { bytes, image: None } if draw.often(400) => {
                self.replace(&bytes, scenario, draw)?;
            }
            Ready::Savepoint { bytes, image } => {
                self.restore(&bytes, &elsewhere, OnState::Refuse, scenario)?;
                world.note("savepoint restored");
                world.tell(|| "the savepoint is restored elsewhere".to_owned());
                world.move_to(elsewhere);
                image.iter().for_each(|image| self.outsiders.go_back(image));
            }
            Ready::Snapshot { manifest, image } => {
                let disk: Arc<dyn Disk> = Arc::new(elsewhere.clone());
                let restored = snapshot::restore(&manifest, &mut self.target, &disk, world.entropy());
                restored.map_err(|error| format!("the snapshot cannot be restored: {error}"))?;
                world.note("snapshot restored");
                world.tell(|| "the snapshot is restored elsewhere".to_owned());
                world.move_to(elsewhere);
                self.outsiders.go_back(&image);
            }
        }
        Ok(true)
    }

    /// Puts a savepoint that nothing has followed in the place of the state; the power may go meanwhile.
    fn replace(&self, bytes: &[u8], scenario: &Scenario, draw: &mut Draw) -> Result<(), String> {
        let disk = self.world.state();
        let fails = draw.often(600);
        if fails {
            disk.fail_at(Moment::Operation(disk.operations() + draw.below(40) as u64), Fault::PowerCut);
        }
        let restored = self.restore(bytes, &disk, OnState::Replace, scenario);
        if disk.is_off() {
            self.world.note("power cut while a savepoint is restored");
        } else {
            restored?;
            self.world.note("savepoint put in the place of a state");
        }
        self.world.tell(|| "the savepoint takes the place of the state".to_owned());
        self.world.restart();
        Ok(())
    }

    fn restore(
        &self,
        bytes: &[u8],
        disk: &SimulatedDisk,
        on_state: OnState,
        scenario: &Scenario,
    ) -> Result<(), String> {
        let failed = |error| format!("the savepoint cannot be restored: {error}");
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let options = OpenOptions {
            limits: scenario.limits,
            on_corruption: OnCorruption::Refuse,
            entropy: self.world.entropy(),
            now: self.world.wall(),
        };
        let reader = SavepointReader::open(bytes, "savepoint").map_err(failed)?;
        savepoint::restore(&disk, &options, reader, on_state).map_err(failed)?;
        Ok(())
    }
}

/// A place for snapshots that never fails.
#[derive(Default)]
struct MemoryTarget(BTreeMap<String, Vec<u8>>);

impl SnapshotTarget for MemoryTarget {
    fn put(&mut self, name: &str, content: &[u8]) -> Result<(), TargetError> {
        self.0.insert(name.to_owned(), content.to_vec());
        Ok(())
    }

    fn get(&mut self, name: &str, _: usize) -> Result<Vec<u8>, TargetError> {
        self.0.get(name).cloned().ok_or_else(|| TargetError::new(name, "it is not there"))
    }

    fn list(&mut self, folder: &str) -> Result<Vec<Stored>, TargetError> {
        let stored = |(name, content): (&String, &Vec<u8>)| Stored {
            name: name.clone(),
            bytes: content.len() as u64,
            modified: Timestamp(0),
        };
        Ok(self.0.iter().filter(|(name, _)| name.starts_with(folder)).map(stored).collect())
    }

    fn delete(&mut self, name: &str) -> Result<(), TargetError> {
        self.0.remove(name);
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
