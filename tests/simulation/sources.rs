//! Sources of the simulator: one whose partitions can be read again, one whose sender does not repeat what it has sent
//! once it was acknowledged.

use crate::draw::Draw;
use crate::events::Event;
use crate::world::World;
use headwater::dataflow::{
    Durable, FrameNumber, Journal, Offset, Polled, Position, Refused, Replay, Resume, RowSource, SourceError,
    SourcePlan,
};
use headwater::event::Batch;
use headwater::formats::Decoder;
use headwater::time::{Env, Millis};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Input of one source, which outlives processes.
#[derive(Debug)]
pub enum Input {
    /// Files, one a partition.
    Files(Vec<Vec<Event>>),
    /// A server that forgets what was acknowledged.
    Server(Arc<Server>),
}

/// A server that sends what was not acknowledged again, to whoever connects next.
#[derive(Debug)]
pub struct Server {
    pub messages: Vec<Event>,
    state: Mutex<ServerState>,
}

/// What a server remembers.
#[derive(Clone, Debug)]
pub struct ServerState {
    /// The first that was never sent.
    next: usize,
    /// What was sent and not acknowledged.
    unacknowledged: Vec<usize>,
    /// What is to be sent again.
    again: VecDeque<usize>,
    /// How often each was sent.
    sent: Vec<usize>,
}

/// How many messages a server sends before the first of them is acknowledged.
const RECEIVE_MAXIMUM: usize = 20;

impl Server {
    pub fn new(messages: Vec<Event>) -> Arc<Server> {
        let sent = vec![0; messages.len()];
        let (unacknowledged, again) = (Vec::new(), VecDeque::new());
        let state = ServerState { next: 0, unacknowledged, again, sent };
        Arc::new(Server { messages, state: Mutex::new(state) })
    }

    /// A client connects, or does so again.
    pub fn connect(&self) {
        let mut state = self.state.lock().unwrap();
        state.again = state.unacknowledged.iter().copied().collect();
    }

    /// What it remembers now.
    pub fn image(&self) -> ServerState {
        self.state.lock().unwrap().clone()
    }

    /// It is again as it was then.
    pub fn go_back(&self, image: &ServerState) {
        *self.state.lock().unwrap() = image.clone();
    }

    fn receive(&self, now: Millis) -> Option<usize> {
        let mut state = self.state.lock().unwrap();
        if let Some(message) = state.again.pop_front() {
            state.sent[message] += 1;
            return Some(message);
        }
        let next = state.next;
        let has_come = self.messages.get(next).is_some_and(|event| event.arrives <= now);
        if !has_come || state.unacknowledged.len() >= RECEIVE_MAXIMUM {
            return None;
        }
        state.next += 1;
        state.unacknowledged.push(next);
        state.sent[next] += 1;
        Some(next)
    }

    fn acknowledge(&self, message: usize) {
        let mut state = self.state.lock().unwrap();
        state.unacknowledged.retain(|other| *other != message);
        state.again.retain(|other| *other != message);
    }

    /// How often a message was sent.
    pub fn sent(&self, message: usize) -> usize {
        self.state.lock().unwrap().sent[message]
    }
}

/// A planned source.
pub struct SimulatedSource {
    pub number: usize,
    pub live: bool,
    pub input: Arc<Input>,
    pub world: Arc<World>,
    pub journal: Option<Arc<Journal>>,
    pub seed: u64,
}

impl std::fmt::Debug for SimulatedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("simulated source")
    }
}

impl SourcePlan for SimulatedSource {
    fn describe(&self) -> String {
        "simulated".to_owned()
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn replay(&self) -> Replay {
        Replay::FromStart
    }

    fn partitions(&self) -> usize {
        match &*self.input {
            Input::Files(partitions) => partitions.len(),
            Input::Server(_) => 1,
        }
    }

    fn resumes(&self) -> bool {
        true
    }

    fn durable(&self) -> Durable {
        match &*self.input {
            Input::Files(_) => Durable::No,
            Input::Server(_) => Durable::Journal(Millis(20)),
        }
    }

    fn journal(&mut self, journal: Arc<Journal>) {
        self.journal = Some(journal);
    }

    fn partition(&self, number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        let (world, decoder) = (self.world.clone(), decoder());
        let draw = Draw::new(self.seed ^ number as u64);
        match &*self.input {
            Input::Files(_) => Box::new(FilePartition {
                source: self.number,
                number,
                live: self.live,
                input: self.input.clone(),
                read: 0,
                world,
                decoder,
                draw,
            }),
            Input::Server(server) => Box::new(Client {
                server: server.clone(),
                // Found::find tells a source that keeps a journal of it before anything is opened.
                journal: self.journal.clone().expect("a journal"),
                unread: VecDeque::new(),
                received: VecDeque::new(),
                unsettled: Arc::new(Unsettled {
                    server: server.clone(),
                    world: self.world.clone(),
                    state: Mutex::new((VecDeque::new(), Draw::new(self.seed ^ 7))),
                }),
                last: FrameNumber(0),
                waits: self.seed.is_multiple_of(2),
                world,
                decoder,
                draw,
            }),
        }
    }
}

/// How many rows come at once.
fn portion(draw: &mut Draw) -> usize {
    let most = draw.one_of(&[1, 4, 40]);
    1 + draw.below(most)
}

struct FilePartition {
    source: usize,
    number: usize,
    live: bool,
    input: Arc<Input>,
    read: usize,
    world: Arc<World>,
    decoder: Box<dyn Decoder>,
    draw: Draw,
}

impl FilePartition {
    fn name(&self) -> Vec<u8> {
        format!("{}/{}", self.source, self.number).into_bytes()
    }

    fn events(&self) -> &[Event] {
        match &*self.input {
            Input::Files(partitions) => &partitions[self.number],
            Input::Server(_) => &[],
        }
    }
}

impl RowSource for FilePartition {
    fn open(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        let name = self.name();
        let Some(position) = from.take(|position| position.partition == name) else { return Ok(None) };
        let Offset::Replay(at) = &position.at else { panic!("a file has no journal") };
        self.read = std::str::from_utf8(at).unwrap().parse().unwrap();
        let read = self.read;
        self.world.tell(|| format!("partition {} goes on at {read}", String::from_utf8_lossy(&name)));
        Ok(Some(name))
    }

    fn position(&self) -> Option<Position> {
        let at = Offset::Replay(self.read.to_string().into_bytes());
        Some(Position { partition: self.name(), at })
    }

    fn fill(&mut self, batch: &mut Batch, refused: &mut Refused, _: &mut Env) -> Result<Polled, SourceError> {
        let (now, most) = (self.world.age(), portion(&mut self.draw));
        let left = &self.events()[self.read..];
        if left.is_empty() {
            return Ok(if self.live { Polled::Empty } else { Polled::End });
        }
        let come = left.iter().take_while(|event| !self.live || event.arrives <= now).take(most);
        let lines: Vec<u8> = come.flat_map(Event::line).collect();
        if lines.is_empty() {
            return Ok(Polled::Empty);
        }
        let block = batch.store(&lines);
        self.decoder.decode(batch, block, true, usize::MAX, &mut refused.unreadable);
        self.read += lines.iter().filter(|byte| **byte == b'\n').count();
        self.world.tell(|| format!("partition {}/{} is read to {}", self.source, self.number, self.read));
        Ok(Polled::Data)
    }
}

/// What a client has received and not acknowledged, and whether an acknowledgement arrives.
struct Unsettled {
    server: Arc<Server>,
    world: Arc<World>,
    state: Mutex<(VecDeque<(FrameNumber, usize)>, Draw)>,
}

impl Unsettled {
    /// Acknowledges all frames up to that one, at once.
    fn acknowledge(&self, durable: FrameNumber) {
        let mut guard = self.state.lock().unwrap();
        let (unsettled, draw) = &mut *guard;
        while let Some((_, message)) = unsettled.pop_front_if(|(frame, _)| *frame <= durable) {
            // Now and then one is lost on its way.
            if self.world.is_off() {
                continue;
            }
            if draw.often(980) {
                self.world.tell(|| format!("message {message} is acknowledged"));
                self.server.acknowledge(message);
            } else {
                self.world.note("acknowledgement lost");
            }
        }
    }
}

struct Client {
    server: Arc<Server>,
    journal: Arc<Journal>,
    /// Frames of an earlier life.
    unread: VecDeque<(FrameNumber, Vec<u8>)>,
    /// What was received and has not become rows.
    received: VecDeque<(FrameNumber, Vec<u8>)>,
    unsettled: Arc<Unsettled>,
    /// The last that became a row.
    last: FrameNumber,
    /// Whether rows are given only when they are durable.
    waits: bool,
    world: Arc<World>,
    decoder: Box<dyn Decoder>,
    draw: Draw,
}

impl Client {
    fn receive(&mut self) {
        for _ in 0..portion(&mut self.draw) {
            let Some(message) = self.server.receive(self.world.age()) else { return };
            let line = self.server.messages[message].line();
            if self.server.sent(message) > 1 {
                self.world.note("message sent again");
            }
            let frame = self.journal.append(line.clone());
            self.world.tell(|| {
                format!(
                    "message {message} is received as frame {}: {}",
                    frame.0,
                    String::from_utf8_lossy(&line)
                )
            });
            self.unsettled.state.lock().unwrap().0.push_back((frame, message));
            self.received.push_back((frame, line));
        }
    }
}

impl RowSource for Client {
    fn open(&mut self) -> Result<(), SourceError> {
        self.server.connect();
        let unsettled = self.unsettled.clone();
        self.journal.on_durable(Box::new(move |durable| unsettled.acknowledge(durable)));
        Ok(())
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        self.unread = std::mem::take(&mut *from.unread.lock().unwrap()).into();
        self.world.tell(|| format!("{} frames are to be read", self.unread.len()));
        Ok(from.take(|position| matches!(position.at, Offset::Journal(_))).map(|p| p.partition))
    }

    fn position(&self) -> Option<Position> {
        Some(Position { partition: Vec::new(), at: Offset::Journal(self.last) })
    }

    fn fill(&mut self, batch: &mut Batch, refused: &mut Refused, _: &mut Env) -> Result<Polled, SourceError> {
        if !self.world.is_off() {
            self.receive();
        }
        if self.draw.often(5) {
            self.server.connect();
        }
        let durable = self.journal.durable();
        let mut lines = Vec::new();
        for _ in 0..portion(&mut self.draw) {
            let ready = |(frame, _): &mut (FrameNumber, Vec<u8>)| !self.waits || *frame <= durable;
            let next = self.unread.pop_front().or_else(|| self.received.pop_front_if(ready));
            let Some((frame, line)) = next else { break };
            self.last = frame;
            lines.extend_from_slice(&line);
        }
        if lines.is_empty() {
            return Ok(Polled::Empty);
        }
        let block = batch.store(&lines);
        self.decoder.decode(batch, block, true, usize::MAX, &mut refused.unreadable);
        Ok(Polled::Data)
    }
}
