//! Targets of the simulator: a file that takes what is written again in the same place, and a server that acknowledges
//! what it was sent some time later.

use crate::draw::Draw;
use crate::scenario::SinkOf;
use crate::topics::{Accepted, Content, Topic};
use crate::world::{Outside, World};
use headwater::dataflow::{Sink, SinkError, SinkPlan};
use headwater::state::disk::{Disk, DiskFile, Open};
use headwater::time::{Clock, Millis};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A target, which outlives processes.
pub struct Target {
    pub name: String,
    pub exactly_once: bool,
    /// Where it delivers exactly once by a marker.
    pub topic: Option<Arc<Topic>>,
    world: Arc<World>,
    state: Mutex<TargetState>,
}

struct TargetState {
    draw: Draw,
    /// How often it goes away, of a thousand looks at it.
    unreliable: usize,
    /// Until when it takes nothing.
    away: Millis,
    /// Whether anything goes wrong.
    faulty: bool,
    /// What a server has got.
    received: Vec<Vec<u8>>,
    /// What was sent to it in this life and is not acknowledged: its number, and whether it has arrived.
    flying: VecDeque<(u64, bool, Vec<u8>)>,
    /// How many writes there were in this life.
    writes: u64,
    /// How many there were at each call of `secure`.
    secured: Vec<u64>,
    /// How often something was sent again.
    pub resent: usize,
}

/// What stood in a target at some time.
pub struct TargetImage {
    topic: Option<Content>,
    file: Option<Vec<u8>>,
    received: Vec<Vec<u8>>,
}

/// What stood in a file before the first life.
const OLD: &[u8] = b"{\"old\":true}\n";

impl Target {
    pub fn new(name: String, sink: &SinkOf, world: &Arc<World>, seed: u64) -> Arc<Target> {
        let mut draw = Draw::new(seed);
        let exactly_once = sink.exactly_once;
        let topic = sink.is_topic.then(|| Topic::new(name.clone(), world, draw.seed()));
        if exactly_once && topic.is_none() && draw.often(500) {
            let file = world.files.open(&name, Open::New).unwrap();
            file.write_at(0, OLD).unwrap();
            file.sync().unwrap();
            world.files.sync_folder().unwrap();
        }
        let state = TargetState {
            unreliable: draw.one_of(&[3, 3, 30]),
            draw,
            away: Millis(0),
            faulty: true,
            received: Vec::new(),
            flying: VecDeque::new(),
            writes: 0,
            secured: Vec::new(),
            resent: 0,
        };
        let (world_of, state) = (world.clone(), Mutex::new(state));
        let target = Arc::new(Target { name, exactly_once, topic, world: world_of, state });
        let outside: Arc<dyn Outside> = target.clone();
        world.add(Arc::downgrade(&outside));
        target
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        (state.faulty, state.away) = (false, Millis(0));
        self.topic.iter().for_each(|topic| topic.heal());
    }

    /// How often something was sent twice for reasons of its own.
    pub fn resent(&self) -> usize {
        self.state.lock().unwrap().resent
    }

    /// Everything that has arrived, without what stood there before.
    pub fn ledger(&self) -> Result<Vec<u8>, String> {
        if let Some(topic) = &self.topic {
            return topic.ledger();
        }
        if !self.exactly_once {
            return Ok(self.state.lock().unwrap().received.concat());
        }
        let Ok(file) = self.world.files.open(&self.name, Open::Existing) else { return Ok(Vec::new()) };
        let mut bytes = vec![0; file.length().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        Ok(bytes.strip_prefix(OLD).map(<[u8]>::to_vec).unwrap_or(bytes))
    }

    /// What stands in it.
    pub fn image(&self) -> TargetImage {
        let file = self.world.files.open(&self.name, Open::Existing).ok();
        let file = file.map(|file| {
            let mut bytes = vec![0; file.length().unwrap() as usize];
            file.read_at(0, &mut bytes).unwrap();
            bytes
        });
        let topic = self.topic.as_ref().map(|topic| topic.content());
        TargetImage { topic, file, received: self.state.lock().unwrap().received.clone() }
    }

    /// The same stands in it as then.
    pub fn go_back(&self, image: &TargetImage) {
        if let (Some(topic), Some(content)) = (&self.topic, &image.topic) {
            return topic.go_back(content);
        }
        let files = &self.world.files;
        self.state.lock().unwrap().received.clone_from(&image.received);
        match &image.file {
            Some(bytes) => {
                let file = files.open(&self.name, Open::Anew).unwrap();
                file.write_at(0, bytes).unwrap();
                file.sync().unwrap();
            }
            None => _ = files.remove(&self.name),
        }
        files.sync_folder().unwrap();
    }

    /// What may be wrong in it, as somebody has accepted.
    pub fn accepted(&self) -> Accepted {
        self.topic.as_ref().map(|topic| topic.accepted()).unwrap_or_default()
    }

    /// How much of a write fits, where the disk of a file is full.
    fn full(&self, length: usize) -> Option<usize> {
        let mut state = self.state.lock().unwrap();
        let is_full = state.faulty && state.draw.often(30);
        is_full.then(|| state.draw.below(length))
    }

    fn away(&self, why: &str) -> SinkError {
        self.world.note("target away in the middle of a write");
        self.world.tell(|| format!("target {} is {why}", self.name));
        SinkError::Away(why.to_owned())
    }

    fn is_away(&self) -> bool {
        self.world.age() < self.state.lock().unwrap().away
    }
}

impl Outside for Target {
    fn tend(&self) {
        let (now, is_off) = (self.world.age(), self.world.is_off());
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        if state.faulty && state.draw.often(state.unreliable) {
            let long = state.draw.one_of(&[20, 200, 3_000]);
            state.away = now + Millis(state.draw.between(1, long));
            self.world.note("target away");
            self.world.tell(|| format!("target {} is away until {}", self.name, state.away.0));
            for (_, arrived, _) in &mut state.flying {
                state.resent += usize::from(std::mem::take(arrived));
            }
        }
        if now < state.away || is_off {
            return;
        }
        for _ in 0..state.draw.below(6) {
            let next = state.flying.iter_mut().find(|(_, arrived, _)| !*arrived);
            if let Some((_, arrived, bytes)) = next {
                *arrived = true;
                state.received.push(bytes.clone());
            }
            if state.draw.often(500) {
                state.flying.pop_front_if(|(_, arrived, _)| *arrived);
            }
        }
    }
}

/// A planned sink.
pub struct SimulatedSink(pub Arc<Target>);

impl std::fmt::Debug for SimulatedSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("simulated sink")
    }
}

impl SinkPlan for SimulatedSink {
    fn describe(&self) -> String {
        "simulated".to_owned()
    }

    fn delivers_exactly_once(&self) -> bool {
        self.0.exactly_once
    }

    fn keeps_marker(&self) -> bool {
        self.0.topic.is_some()
    }

    fn sink(&self, _preamble: Vec<u8>) -> Box<dyn Sink> {
        if let Some(topic) = &self.0.topic {
            return topic.sink();
        }
        match self.0.exactly_once {
            true => Box::new(FileSink {
                target: self.0.clone(),
                file: None,
                offset: 0,
                resumed: false,
                unsynced: false,
            }),
            false => Box::new(ServerSink(self.0.clone())),
        }
    }
}

struct FileSink {
    target: Arc<Target>,
    file: Option<Box<dyn DiskFile>>,
    offset: u64,
    /// Whether it went on once already.
    resumed: bool,
    /// Whether something was written since the last sync.
    unsynced: bool,
}

fn failed(error: impl std::fmt::Display) -> SinkError {
    SinkError::Failed(error.to_string())
}

impl FileSink {
    fn file(&self) -> Result<&dyn DiskFile, SinkError> {
        if self.target.world.is_off() {
            return Err(failed("the power is off"));
        }
        self.file.as_deref().ok_or_else(|| failed("not open"))
    }

    fn broken(&self, error: &std::io::Error) -> SinkError {
        self.target.world.note("file of a sink broken");
        failed(error)
    }
}

impl Sink for FileSink {
    fn open(&mut self) -> Result<(), SinkError> {
        let (files, name) = (&self.target.world.files, &self.target.name);
        let file = match files.open(name, Open::Existing) {
            Ok(file) => file,
            Err(_) => {
                let file = files.open(name, Open::New).map_err(failed)?;
                files.sync_folder().map_err(failed)?;
                file
            }
        };
        self.offset = file.length().map_err(failed)?;
        self.file = Some(file);
        Ok(())
    }

    fn resume(&mut self, position: &[u8], repeats: bool) -> Result<(), SinkError> {
        assert!(repeats, "a sink that delivers exactly once gets the same bytes again");
        if std::mem::replace(&mut self.resumed, true) && self.target.full(1).is_some() {
            return Err(self.target.away("unmounted"));
        }
        if let Ok(position) = <[u8; 8]>::try_from(position) {
            self.offset = u64::from_le_bytes(position);
        }
        self.target.world.tell(|| format!("target {} goes on at {}", self.target.name, self.offset));
        Ok(())
    }

    fn secure(&mut self, _pending: &mut Vec<u8>) -> Result<(), SinkError> {
        if std::mem::take(&mut self.unsynced) && self.target.full(1).is_some() {
            return Err(self.target.away("not synced"));
        }
        self.file()?.sync().map_err(|error| self.broken(&error))
    }

    fn position(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.offset.to_le_bytes());
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.unsynced = true;
        let part = self.target.full(bytes.len());
        self.file()?
            .write_at(self.offset, &bytes[..part.unwrap_or(bytes.len())])
            .map_err(|error| self.broken(&error))?;
        if part.is_some() {
            return Err(self.target.away("full"));
        }
        self.target.world.tell(|| {
            format!(
                "target {}: {} bytes at {}\n{}",
                self.target.name,
                bytes.len(),
                self.offset,
                String::from_utf8_lossy(bytes)
            )
        });
        self.offset += bytes.len() as u64;
        let mut state = self.target.state.lock().unwrap();
        if state.faulty && state.draw.often(20) {
            self.target.world.note("power cut behind a write");
            self.target.world.tell(|| "the power goes behind a write".to_owned());
            self.target.world.cut_power();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        !self.target.is_away()
    }
}

struct ServerSink(Arc<Target>);

impl Sink for ServerSink {
    fn open(&mut self) -> Result<(), SinkError> {
        let mut state = self.0.state.lock().unwrap();
        state.flying.clear();
        state.secured.clear();
        state.writes = 0;
        Ok(())
    }

    fn secure(&mut self, pending: &mut Vec<u8>) -> Result<(), SinkError> {
        let mut state = self.0.state.lock().unwrap();
        if state.faulty && state.draw.often(5) {
            self.0.world.note("target refuses");
            return Err(failed("the server is gone"));
        }
        let before = state.secured.last().copied().unwrap_or_default();
        let since = state.flying.iter().filter(|(number, ..)| *number > before);
        pending.extend(since.flat_map(|(_, _, bytes)| bytes.iter().copied()));
        let writes = state.writes;
        state.secured.push(writes);
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        let state = self.0.state.lock().unwrap();
        let first = state.flying.front().map_or(u64::MAX, |(number, ..)| *number);
        state.secured.partition_point(|writes| *writes < first) as u64
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.0.world.is_off() {
            return Err(failed("the power is off"));
        }
        let mut state = self.0.state.lock().unwrap();
        if state.faulty && state.draw.often(2) {
            self.0.world.note("target refuses");
            return Err(failed("the server refused"));
        }
        state.writes += 1;
        let number = state.writes;
        state.flying.push_back((number, false, bytes.to_vec()));
        self.0
            .world
            .tell(|| format!("target {}: write {number}\n{}", self.0.name, String::from_utf8_lossy(bytes)));
        if state.faulty && state.draw.often(10) {
            drop(state);
            return Err(self.0.away("away, and keeps it"));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        !self.0.is_away()
    }

    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        while !self.0.state.lock().unwrap().flying.is_empty() && !stopped() {
            self.0.world.wait(Millis(5));
        }
        Ok(())
    }
}
