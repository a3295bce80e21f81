//! Targets with transactions: each takes chunks with a marker, by the machine that decides for Kafka. What goes wrong:
//! answers that are lost, transactions that are aborted, records that nobody takes, another producer of the same name, now
//! and then a target that forgets its marker, and one that stays where it is when an older copy of the state is restored.

use crate::draw::Draw;
use crate::sinks::Target;
use crate::world::{Outside, World};
use headwater::dataflow::{Marked, Marker, OnDoubt, RefusedEvent, Sink, SinkError};
use headwater::sinks::transactional::{
    Committer, Delivered, Naming, Next, Refusal, TransactionQueue, Transactions, Trouble,
};
use headwater::time::Millis;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// A topic with its transactions, which outlives processes.
pub struct Topic {
    name: String,
    world: Arc<World>,
    state: Mutex<State>,
    /// Where what it refuses comes back to, where the pipeline reads that.
    back: OnceLock<Arc<Target>>,
    /// What a process makes transactions with, while it lives.
    engine: Mutex<Weak<Mutex<Engine>>>,
}

struct State {
    draw: Draw,
    faulty: bool,
    away: Millis,
    /// Whether it may forget its marker.
    forgets: bool,
    /// Of so many lines one is never taken; none, if 0.
    refuses: u64,
    /// Which producer may write.
    producer: u64,
    content: Content,
    /// What somebody has said in this life to do where it cannot.
    answer: OnDoubt,
    accepted: Accepted,
}

/// What stands in a topic.
#[derive(Clone, Default)]
pub struct Content {
    marker: Option<Marker>,
    /// Lines in order, and in their places those that were refused.
    lines: Vec<(Vec<u8>, bool)>,
    /// Refused lines of which somebody was told.
    told: BTreeSet<Vec<u8>>,
    /// Refused lines that need not have come back: an older copy of the state, which does not know that they were refused,
    /// finds them delivered.
    excused: BTreeSet<Vec<u8>>,
    /// Why it cannot say what has arrived, if it cannot.
    reason: Option<Reason>,
}

/// Why it may be asked what to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It has forgotten its marker.
    Forgotten,
    /// It has output of a later time than the state.
    Ahead,
}

/// What may be wrong in it, as somebody has accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepted {
    pub repeats: bool,
    pub gaps: bool,
}

struct Engine {
    committer: Committer,
    producer: Producer,
}

struct Producer {
    topic: Arc<Topic>,
    number: u64,
}

impl Topic {
    pub fn new(name: String, world: &Arc<World>, seed: u64) -> Arc<Topic> {
        let mut draw = Draw::new(seed);
        let refuses = if draw.often(300) { 10 } else { 0 };
        let forgets = draw.often(350);
        world.note("topic");
        let state = State {
            draw,
            faulty: true,
            away: Millis(0),
            forgets,
            refuses,
            producer: 0,
            content: Content::default(),
            answer: OnDoubt::Ask,
            accepted: Accepted::default(),
        };
        let (state, engine) = (Mutex::new(state), Mutex::new(Weak::new()));
        let back = OnceLock::new();
        let topic = Arc::new(Topic { name, world: world.clone(), state, back, engine });
        let outside: Arc<dyn Outside> = topic.clone();
        world.add(Arc::downgrade(&outside));
        topic
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        (state.faulty, state.away) = (false, Millis(0));
    }

    /// What it refuses comes to another target as well.
    pub fn gives_back_to(&self, target: &Arc<Target>) {
        assert!(self.back.set(target.clone()).is_ok());
    }

    /// All that has arrived, and what was refused and has come back, or was told of where nobody reads that.
    pub fn ledger(&self) -> Result<Vec<u8>, String> {
        let Content { lines, told, excused, .. } = &self.state.lock().unwrap().content;
        if let Some(back) = self.back.get() {
            let mut returned = returned(&back.ledger()?)?;
            let mut all = Vec::new();
            for (line, refused) in lines {
                let place = returned.iter().position(|back| back == line).filter(|_| *refused);
                if !refused || place.is_some() || excused.contains(line) {
                    all.extend_from_slice(line);
                }
                place.into_iter().for_each(|place| _ = returned.remove(place));
            }
            return Ok([all, returned.concat()].concat());
        }
        let counts = |(line, refused): &&(Vec<u8>, bool)| !refused || told.contains(line);
        Ok(lines.iter().filter(counts).flat_map(|(line, _)| line).copied().collect())
    }

    /// What stands in it.
    pub fn content(&self) -> Content {
        self.state.lock().unwrap().content.clone()
    }

    /// The state has gone back to that time. So does it, or it stays ahead of it.
    pub fn go_back(&self, content: &Content) {
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        let stays = state.content.reason.is_none() && state.draw.often(500);
        let refused = state.content.lines.iter().filter(|(_, refused)| stays && *refused);
        state.content.excused.extend(refused.map(|(line, _)| line.clone()));
        if !stays {
            state.content.clone_from(content);
        } else if state.content.marker != content.marker {
            self.world.note("topic ahead of a restored state");
            self.world.tell(|| format!("topic {} stays ahead of the state", self.name));
            state.content.reason = Some(Reason::Ahead);
        }
    }

    /// A process begins, which is to do that where it is in doubt.
    pub fn begin_life(&self, answer: OnDoubt) {
        let mut state = self.state.lock().unwrap();
        state.answer = answer;
        state.accept();
    }

    /// Whether there is reason to ask.
    pub fn is_doubtful(&self) -> bool {
        self.state.lock().unwrap().content.reason.is_some()
    }

    /// What was accepted.
    pub fn accepted(&self) -> Accepted {
        self.state.lock().unwrap().accepted
    }

    /// A sink of a new process.
    pub fn sink(self: &Arc<Topic>) -> Box<dyn Sink> {
        Box::new(TopicSink { topic: self.clone(), queue: Arc::default(), engine: None })
    }
}

impl State {
    /// What somebody has said holds for the reason that there is.
    fn accept(&mut self) {
        let Some(reason) = self.content.reason else { return };
        // What an older state makes again cannot be told from what is new.
        self.accepted.repeats |=
            self.answer == OnDoubt::Duplicates || (self.answer == OnDoubt::Gap && reason == Reason::Ahead);
        self.accepted.gaps |= self.answer == OnDoubt::Gap;
    }
}

impl Outside for Topic {
    fn tend(&self) {
        let Some(engine) = self.engine.lock().unwrap().upgrade() else { return };
        let mut steps = {
            let mut state = self.state.lock().unwrap();
            if state.faulty && state.draw.often(3) {
                let long = state.draw.one_of(&[20, 200, 3_000]);
                state.away = self.world.age() + Millis(state.draw.between(1, long));
                self.world.tell(|| format!("topic {} is away until {}", self.name, state.away.0));
            }
            if state.faulty && state.draw.often(1) {
                self.world.tell(|| format!("topic {}: another producer", self.name));
                state.producer += 1;
            }
            let forgets = state.faulty && state.forgets && state.draw.often(8);
            if forgets && state.content.reason.is_none() && state.content.marker.is_some() {
                self.world.note("marker forgotten");
                self.world.tell(|| format!("topic {} forgets its marker", self.name));
                (state.content.marker, state.content.reason) = (None, Some(Reason::Forgotten));
                state.accept();
            }
            state.draw.below(4)
        };
        let mut engine = engine.lock().unwrap();
        let Engine { committer, producer } = &mut *engine;
        while steps > 0 && !self.world.is_off() && committer.step(producer, &*self.world) == Next::Now {
            steps -= 1;
        }
    }
}

/// The events in what has left by a port for rejected ones.
fn returned(rows: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let event = |row: &[u8]| {
        let row: serde_json::Value = serde_json::from_slice(row).map_err(|_| "a torn row".to_owned())?;
        let raw = row["raw"].as_str().filter(|_| row["kind"] == "refused");
        raw.map(|raw| raw.as_bytes().to_vec()).ok_or_else(|| format!("not refused: {row}"))
    };
    lines(rows).map(event).collect()
}

/// Whether a line is never taken: the same ones always.
fn is_refused(line: &[u8], refuses: u64) -> bool {
    let sum = line.iter().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    refuses > 0 && (sum >> 3).is_multiple_of(refuses)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

impl Transactions for Producer {
    fn begin_anew(&mut self) -> Result<Option<Marker>, Trouble> {
        let mut state = self.topic.state.lock().unwrap();
        if self.topic.world.age() < state.away || (state.faulty && state.draw.often(100)) {
            return Err(Trouble::Away("it is away".to_owned()));
        }
        state.producer += 1;
        self.number = state.producer;
        self.topic
            .world
            .tell(|| format!("topic {}: its marker is {:?}", self.topic.name, state.content.marker));
        Ok(state.content.marker)
    }

    fn transact(&mut self, chunks: &[Arc<Delivered>], marker: Marker) -> Result<(), Trouble> {
        let Topic { name, world, .. } = &*self.topic;
        let mut guard = self.topic.state.lock().unwrap();
        let state = &mut *guard;
        if self.number != state.producer {
            world.note("topic shuts out");
            return Err(Trouble::Fenced);
        }
        if world.age() < state.away {
            return Err(Trouble::Unknown("it is away".to_owned()));
        }
        let is_read = self.topic.back.get().is_some();
        let mut refusals = Vec::new();
        let mut taken = Vec::new();
        for (chunk, delivered) in chunks.iter().enumerate() {
            for (record, line) in lines(&delivered.bytes).enumerate() {
                let is_left_out = delivered.left_out.contains(&record);
                if !is_left_out && is_refused(line, state.refuses) {
                    let (reason, bytes) = ("never".to_owned(), line.to_vec());
                    let event = RefusedEvent { reason, bytes, record: None };
                    refusals.push(Refusal { chunk, record, event });
                }
                taken.push((line.to_vec(), is_left_out));
            }
        }
        if !refusals.is_empty() {
            world.note(if is_read { "event refused, to come back" } else { "event refused" });
            return Err(Trouble::Refused(refusals));
        }
        let (is_aborted, is_lost) = match state.faulty {
            true => (state.draw.often(40), state.draw.often(60)),
            false => (false, false),
        };
        if is_aborted {
            let text = "it would not".to_owned();
            world.note("transaction aborted");
            return Err(if is_lost { Trouble::Unknown(text) } else { Trouble::Aborted(text) });
        }
        world.tell(|| format!("topic {name}: {} lines and {marker}", taken.len()));
        state.content.lines.append(&mut taken);
        (state.content.marker, state.content.reason) = (Some(marker), None);
        if state.faulty && state.draw.often(20) {
            world.note("power cut behind a transaction");
            world.tell(|| "the power goes behind a transaction".to_owned());
            world.cut_power();
            return Err(Trouble::Unknown("the power is off".to_owned()));
        }
        if is_lost {
            world.note("answer of a commit lost");
            return Err(Trouble::Unknown("the answer was lost".to_owned()));
        }
        Ok(())
    }
}

struct TopicSink {
    topic: Arc<Topic>,
    queue: Arc<TransactionQueue>,
    engine: Option<Arc<Mutex<Engine>>>,
}

impl TopicSink {
    fn is_on(&self) -> Result<(), SinkError> {
        match self.topic.world.is_off() {
            true => Err(SinkError::Failed("the power is off".to_owned())),
            false => Ok(()),
        }
    }
}

impl Sink for TopicSink {
    fn open(&mut self) -> Result<(), SinkError> {
        let naming = Naming {
            who: self.topic.name.clone(),
            instance: "simulated".to_owned(),
            target: "a topic".to_owned(),
            timeout: Millis(60_000),
        };
        let committer = Committer::new(naming, self.queue.clone());
        let producer = Producer { topic: self.topic.clone(), number: 0 };
        let engine = Arc::new(Mutex::new(Engine { committer, producer }));
        *self.topic.engine.lock().unwrap() = Arc::downgrade(&engine);
        self.engine = Some(engine);
        Ok(())
    }

    fn resume(&mut self, position: &[u8], _repeats: bool) -> Result<(), SinkError> {
        if !position.is_empty() {
            self.queue.was_marked();
        }
        Ok(())
    }

    fn position(&self, into: &mut Vec<u8>) {
        if self.queue.is_marked() {
            into.push(1);
        }
    }

    fn marker(&mut self) -> Result<Marked, SinkError> {
        self.is_on()?;
        self.queue.found()
    }

    fn adopt(&mut self, marker: Marker) -> Result<(), SinkError> {
        self.topic.world.tell(|| format!("topic {}: adopts {marker}", self.topic.name));
        self.queue.push(&[], marker)
    }

    fn deliver(&mut self, chunk: &[u8], marker: Marker) -> Result<(), SinkError> {
        self.is_on()?;
        self.queue.push(chunk, marker)
    }

    fn secure(&mut self, _pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.queue.secure();
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.queue.acknowledged()
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        if self.is_on().is_ok() {
            let refused = self.queue.take_refused();
            let mut state = self.topic.state.lock().unwrap();
            state.content.told.extend(refused.iter().map(|event| event.bytes.clone()));
            into.extend(refused);
        }
    }

    fn refused_kept(&mut self) {
        self.queue.refused_kept();
    }

    fn write(&mut self, _bytes: &[u8]) -> Result<(), SinkError> {
        panic!("a sink that keeps a marker is written to without one");
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.queue.has_room()
    }

    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        use headwater::time::Clock;
        while !(self.queue.is_empty() || self.queue.is_held() || stopped()) {
            if let Some(why) = self.queue.stopped() {
                return Err(why.into());
            }
            self.topic.world.wait(Millis(5));
        }
        self.queue.leave();
        Ok(())
    }
}
