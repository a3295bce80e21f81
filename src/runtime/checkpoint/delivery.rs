//! What is held for a sink, from the checkpoint that it belongs to until its target has acknowledged it.

use super::outlet::{Outlet, Secured};
use crate::dataflow;
use crate::dataflow::{DrainOrder, RefusedEvent, SinkError, WhenFull};
use crate::runtime::dead_letters::SharedDeadLetters;
#[cfg(feature = "simulation")]
use crate::state::mutation;
use crate::state::{
    Chunk, ChunkId, ChunkNumber, Content, Epoch, NodeId, SinkProgress, StateBackend, StateError,
};
use crate::time::{Clock, Timestamp};
use std::collections::VecDeque;

/// Bytes of committed chunks that stay in memory until they are delivered; the rest is read from the log.
const MOST_REMEMBERED: usize = 8 << 20;
/// Bytes that are delivered before the target is made to secure them.
const MOST_UNSECURED: usize = 4 << 20;

/// One sink's output in the log.
pub struct Delivery {
    /// Which of the plan's nodes it is.
    sink: dataflow::NodeId,
    node: NodeId,
    /// For messages.
    name: String,
    outlet: Outlet,
    /// What workers wrote straight to the target between chunks, pending, and the call that said so: for the next
    /// checkpoint.
    direct: Vec<(u64, Vec<u8>)>,
    /// Chunks of the checkpoint in the making.
    making: Vec<Made>,
    /// Committed chunks that are not acknowledged, in order.
    queue: VecDeque<Queued>,
    /// Bytes of those of them that wait.
    waiting: u64,
    remembered: usize,
    /// The last chunk that is acknowledged with all before it.
    delivered: Option<ChunkId>,
    position: Vec<u8>,
    /// Bytes that were given up since somebody asked.
    given_up: u64,
    /// Whether the log could not be read when it was tried last, which is said once.
    unread: bool,
}

/// A chunk that is not committed yet.
struct Made {
    id: ChunkId,
    bytes: Vec<u8>,
    /// The call of [`Outlet::secure`] by which the target was given it already.
    call: Option<u64>,
}

struct Queued {
    id: ChunkId,
    length: usize,
    /// None where it is to be read from the log.
    bytes: Option<Vec<u8>>,
    since: Timestamp,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// The target was given it, and secured with that call.
    Given(u64),
    /// It is not to be delivered any more.
    GivenUp,
}

/// What stops a delivery.
pub enum DeliveryError {
    /// The target failed.
    Sink(SinkError),
    /// The log cannot be read.
    State(StateError),
}

impl Delivery {
    /// What an earlier run left.
    pub fn new(
        (sink, node): (dataflow::NodeId, NodeId),
        name: String,
        outlet: Outlet,
        backend: &StateBackend,
        now: Timestamp,
    ) -> Delivery {
        let known = backend.progress().sinks.get(&node);
        let (delivered, position) =
            known.map_or((None, Vec::new()), |known| (known.delivered, known.position.clone()));
        let queued = |(id, length): (ChunkId, usize)| Queued {
            id,
            length,
            bytes: None,
            since: now,
            stage: Stage::Waiting,
        };
        let left = backend.undelivered(node).map(|(id, place)| (id, place.length as usize));
        let queue: VecDeque<Queued> = left.map(queued).collect();
        let waiting = queue.iter().map(|chunk| chunk.length as u64).sum();
        let (direct, making, remembered, given_up) = (Vec::new(), Vec::new(), 0, 0);
        Delivery {
            sink,
            node,
            name,
            outlet,
            direct,
            making,
            queue,
            waiting,
            remembered,
            delivered,
            position,
            given_up,
            unread: false,
        }
    }

    /// Has the target go on where it stopped.
    pub fn resume(&mut self) -> Result<(), SinkError> {
        self.outlet.resume(&self.position, !self.queue.is_empty())?;
        self.outlet.note_waiting(self.waiting);
        if self.outlet.options().exactly_once {
            // The first output is to find its place again too, should it be cut short: the place becomes durable with it.
            self.outlet.secure()?;
            self.locate();
        }
        Ok(())
    }

    /// The outlet.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Bytes that were given up since this was asked last.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// Bytes that wait for their delivery.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Gathers what belongs to a checkpoint: what the target has not acknowledged, and behind it what was held.
    pub fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let exactly_once = self.outlet.options().exactly_once;
        if !exactly_once {
            let acknowledged = self.outlet.acknowledged();
            for (call, pending) in std::mem::take(&mut self.direct) {
                if call > acknowledged {
                    self.make(epoch, pending, Some(call));
                }
            }
            let Secured { call, pending, .. } = self.outlet.secure()?;
            #[cfg(feature = "simulation")]
            let pending = match mutation::is(mutation::Mutation::PassUnacknowledged) {
                true => Vec::new(),
                false => pending,
            };
            if !pending.is_empty() {
                self.make(epoch, pending, Some(call));
            }
        }
        for bytes in self.outlet.take_cut() {
            if self.is_full() && self.outlet.options().buffer.when_full == WhenFull::DropNewest {
                self.given_up += bytes.len() as u64;
                continue;
            }
            if exactly_once {
                self.outlet.prepare(&bytes)?;
            }
            self.make(epoch, bytes, None);
        }
        self.locate();
        Ok(())
    }

    fn is_full(&self) -> bool {
        let making: u64 = self.making.iter().map(|made| made.bytes.len() as u64).sum();
        self.waiting() + making >= self.outlet.options().buffer.max
    }

    fn make(&mut self, epoch: Epoch, bytes: Vec<u8>, call: Option<u64>) {
        let same = self.making.iter().filter(|made| made.id.epoch == epoch).count();
        let id = ChunkId { epoch, number: ChunkNumber(same as u32) };
        self.making.push(Made { id, bytes, call });
    }

    /// Chunks to be committed.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'_>> {
        self.making.iter().map(|made| Chunk { node: self.node, id: made.id, payload: &made.bytes })
    }

    /// Whether there are any.
    pub fn is_making(&self) -> bool {
        !self.making.is_empty()
    }

    /// How far it has come, if the log does not know. Becomes durable before anything else is written.
    pub fn marker(&self, backend: &StateBackend) -> Option<SinkProgress> {
        let (delivered, position) = (self.delivered, self.position.clone());
        let now = SinkProgress { node: self.node, delivered, position };
        let known = backend.progress().sinks.get(&self.node);
        let unchanged = match known {
            Some(known) => *known == now,
            None => now.delivered.is_none() && now.position.is_empty(),
        };
        (!unchanged).then_some(now)
    }

    /// The chunks and the position are durable: what was held may be delivered.
    pub fn committed(&mut self, now: Timestamp) {
        for Made { id, bytes, call } in std::mem::take(&mut self.making) {
            let keep = call.is_none() && self.remembered + bytes.len() <= MOST_REMEMBERED;
            let stage = call.map_or(Stage::Waiting, Stage::Given);
            let length = bytes.len();
            self.remembered += if keep { length } else { 0 };
            self.waiting += if stage == Stage::Waiting { length as u64 } else { 0 };
            self.queue.push_back(Queued { id, length, bytes: keep.then_some(bytes), since: now, stage });
        }
        self.give_up(now);
        self.outlet.note_waiting(self.waiting());
    }

    /// Gives up what is too old, and what is too much.
    fn give_up(&mut self, now: Timestamp) {
        let options = self.outlet.options().buffer;
        let mut surplus = match options.when_full {
            WhenFull::DropOldest => self.waiting.saturating_sub(options.max),
            _ => 0,
        };
        for chunk in self.queue.iter_mut().filter(|chunk| chunk.stage == Stage::Waiting) {
            let is_old = options.max_age.is_some_and(|most| now.0 - chunk.since.0 > most.0);
            if surplus == 0 && !is_old {
                break;
            }
            surplus = surplus.saturating_sub(chunk.length as u64);
            self.remembered -= chunk.bytes.take().map_or(0, |bytes| bytes.len());
            chunk.stage = Stage::GivenUp;
            self.waiting -= chunk.length as u64;
            self.given_up += chunk.length as u64;
        }
    }

    /// Delivers what waits as far as the target takes it, and notes what it has acknowledged. Tells whether anything moved.
    pub fn deliver(&mut self, backend: &StateBackend) -> Result<bool, DeliveryError> {
        let mut given = 0;
        let mut next = self.queue.iter().position(|chunk| chunk.stage == Stage::Waiting);
        let mut unread = None;
        while let Some(at) = next
            && given < MOST_UNSECURED
            && self.outlet.takes_more()
        {
            let bytes = match self.bytes(at, backend) {
                Ok(bytes) => bytes,
                Err(error) => {
                    unread = Some(error);
                    break;
                }
            };
            self.unread = false;
            self.outlet.deliver(&bytes).map_err(DeliveryError::Sink)?;
            given += bytes.len().max(1);
            self.queue[at].stage = Stage::Given(self.outlet.next_call());
            self.waiting -= self.queue[at].length as u64;
            next = (at + 1..self.queue.len()).find(|at| self.queue[*at].stage == Stage::Waiting);
        }
        if given > 0 {
            // What is pending of it stands in the log already; what came in between does not.
            let Secured { call, pending, has_direct } = self.outlet.secure().map_err(DeliveryError::Sink)?;
            if has_direct && !pending.is_empty() {
                self.direct.push((call, pending));
            }
        }
        let settled = self.settle();
        let live_first = self.outlet.options().buffer.order == DrainOrder::LiveFirst;
        // What is not committed yet comes before what is written now.
        let is_through = next.is_none() && !self.is_making();
        if is_through || (live_first && self.outlet.takes_more()) {
            self.outlet.let_through();
        }
        if given > 0 || settled {
            self.outlet.note_waiting(self.waiting);
        }
        unread.map_or(Ok(given > 0 || settled), |error| Err(DeliveryError::State(error)))
    }

    fn bytes(&mut self, at: usize, backend: &StateBackend) -> Result<Vec<u8>, StateError> {
        if let Some(bytes) = self.queue[at].bytes.take() {
            self.remembered -= bytes.len();
            return Ok(bytes);
        }
        let place = backend.undelivered_chunk(self.node, self.queue[at].id);
        let place =
            place.ok_or_else(|| StateError::corrupt("the log", "a chunk that was committed is missing"))?;
        let record = backend.read(place)?;
        Ok(Chunk::decode(&record)?.payload.to_vec())
    }

    /// Takes out what is acknowledged, from the first on.
    fn settle(&mut self) -> bool {
        let Some(first) = self.queue.front() else { return false };
        if first.stage == Stage::Waiting {
            return false;
        }
        let acknowledged = self.outlet.acknowledged();
        let mut settled = false;
        while let Some(chunk) = self.queue.front() {
            match chunk.stage {
                Stage::GivenUp => {}
                Stage::Given(call) if call <= acknowledged => {}
                _ => break,
            }
            self.delivered = Some(chunk.id);
            self.queue.pop_front();
            settled = true;
        }
        settled
    }

    /// Says that the log cannot be read for now.
    pub fn tell_unread(&mut self, error: &StateError) {
        if !std::mem::replace(&mut self.unread, true) {
            tracing::warn!("sink `{}`: {error}: it is tried again", self.name);
        }
    }

    /// Says what the target has refused for good, and keeps it where somebody will find it.
    pub fn tell_refused(&self, dead_letters: Option<&SharedDeadLetters>, clock: &dyn Clock) {
        let refused = self.outlet.take_refused();
        let Some(first) = refused.first() else { return };
        let (name, first) = (&self.name, &first.reason);
        tracing::error!("sink `{name}`: its target refuses {} events: {first}", refused.len());
        let Some(mut part) = dead_letters.map(SharedDeadLetters::part) else { return };
        for RefusedEvent { reason, bytes } in &refused {
            let (now, elapsed) = (clock.wall(), clock.elapsed());
            part.note_at(now, elapsed, self.sink, ("refused", reason), Content::Raw(bytes));
        }
        part.flush(clock.elapsed());
    }

    /// The name of the sink.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes up where the target stands now. Not behind a chunk that is not known to have arrived: it would be written again
    /// behind itself.
    pub fn locate(&mut self) {
        let is_given = |chunk: &Queued| matches!(chunk.stage, Stage::Given(_));
        if !(self.outlet.options().exactly_once && self.queue.iter().any(is_given)) {
            self.position = self.outlet.position();
        }
    }
}
