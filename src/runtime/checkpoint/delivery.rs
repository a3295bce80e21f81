//! What is held for a sink, from the checkpoint that it belongs to until its target has acknowledged it.

use super::ages::Ages;
use super::handle::SinkFigures;
use super::marking::marker_of;
use super::outlet::{Outlet, Secured};
use super::queue::Queue;
use super::refusing::{Refusing, ReturnWay};
use crate::dataflow;
use crate::dataflow::{DrainOrder, SinkError, WhenFull};
#[cfg(feature = "simulation")]
use crate::state::mutation;
use crate::state::{
    Chunk, ChunkId, ChunkNumber, Entry, Epoch, NodeId, SinkProgress, StateBackend, StateError,
};
use crate::time::{Clock, Millis};

/// Bytes that are delivered before the target is made to secure them.
const MOST_UNSECURED: usize = 4 << 20;

/// How often a target that takes nothing, or has acknowledged nothing, is looked at: the pause is doubled each time.
const LOOK: [Millis; 2] = [Millis(2), Millis(200)];

/// One sink's output in the log.
pub struct Delivery {
    /// Which of the plan's nodes it is.
    pub(super) sink: dataflow::NodeId,
    pub(super) node: NodeId,
    pub(super) outlet: Outlet,
    /// What workers wrote straight to the target between chunks, pending, and the call that said so: for the next
    /// checkpoint.
    direct: Vec<(u64, Vec<u8>)>,
    /// Chunks of the checkpoint in the making.
    making: Vec<Made>,
    /// Committed chunks that are not acknowledged.
    pub(super) queue: Queue,
    /// What its target has refused.
    pub(super) refusing: Refusing,
    ages: Ages,
    /// The last chunk that is acknowledged with all before it.
    pub(super) delivered: Option<ChunkId>,
    pub(super) position: Vec<u8>,
    /// Whether the target is still to be asked for its marker. Nothing is delivered before.
    pub(super) asks: bool,
    /// The last epoch that was durable when this run began.
    pub(super) begun: Epoch,
    /// Bytes that were given up, and of how many somebody has asked.
    pub(super) given_up: u64,
    told_given_up: u64,
    /// Whether the log could not be read when it was tried last, which is said once.
    unread: bool,
    away: Away,
    /// How long it rested since it looked at the target last.
    pause: Millis,
}

/// Where the delivery to a target that takes nothing stands.
#[derive(Default)]
struct Away {
    /// It is being tried, and what comes of that is to be noted.
    trying: bool,
    /// Whether it was away when it was looked at last.
    known: bool,
    /// A checkpoint waits for it: its output could not be prepared.
    postpones: bool,
    /// Exactly once: it could not go on at its place, for that reason.
    lost: Option<String>,
}

/// A chunk that is not committed yet.
struct Made {
    id: ChunkId,
    bytes: Vec<u8>,
    /// The call of [`Outlet::secure`] by which the target was given it already.
    call: Option<u64>,
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
    ///
    /// # Errors
    /// It cannot be read.
    pub fn new(
        (sink, node): (dataflow::NodeId, NodeId),
        (outlet, way): (Outlet, ReturnWay),
        backend: &StateBackend,
        clock: &dyn Clock,
    ) -> Result<Delivery, StateError> {
        let (delivered, position) = known(node, backend);
        let ages = Ages::find(node, outlet.options().buffer.max_age, backend, clock);
        let asks = outlet.options().marked.is_some();
        Ok(Delivery {
            sink,
            node,
            outlet,
            direct: Vec::new(),
            making: Vec::new(),
            queue: Queue::find(node, backend),
            refusing: Refusing::find(node, way, backend)?,
            ages,
            delivered,
            position,
            asks,
            begun: backend.epoch(),
            given_up: 0,
            told_given_up: 0,
            unread: false,
            away: Away::default(),
            pause: Millis::ZERO,
        })
    }

    /// Has the target go on where it stopped.
    pub fn resume(&mut self) -> Result<(), SinkError> {
        self.outlet.resume(&self.position, !self.queue.is_empty())?;
        self.outlet.note_waiting(self.queue.waiting());
        if self.outlet.options().exactly_once {
            // The first output is to find its place again too, should it be cut short: the place becomes durable with it.
            self.outlet.secure()?;
            self.locate();
        }
        Ok(())
    }

    /// When the target is to be looked at again; None where nothing is under way. One that takes nothing is looked at less
    /// and less often.
    pub fn next_due(&mut self, now: Millis) -> Option<Millis> {
        if let Some(again) = self.outlet.next_try() {
            return Some(again);
        }
        if !self.outlet.is_drained() || !self.queue.is_empty() || self.outlet.options().marked.is_some() {
            self.pause = Millis((self.pause.0 * 2).clamp(LOOK[0].0, LOOK[1].0));
            return Some(now + self.pause);
        }
        None
    }

    /// The outlet.
    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Says what was given up since this was called last, if anything was: so many bytes.
    pub fn tell_given_up(&mut self) -> Option<u64> {
        let bytes = self.given_up - std::mem::replace(&mut self.told_given_up, self.given_up);
        let name = self.name();
        if bytes > 0 {
            tracing::error!(
                "sink `{name}`: its buffer is full or too old: {bytes} bytes of output are given up"
            );
        }
        (bytes > 0).then_some(bytes)
    }

    /// Bytes that wait for their delivery.
    pub fn waiting(&self) -> u64 {
        self.queue.waiting()
    }

    /// How its target is doing.
    pub fn figures(&self) -> SinkFigures {
        let (undelivered, given_up) = (self.waiting(), self.given_up);
        SinkFigures { undelivered, given_up, away: self.outlet.why_away() }
    }

    /// Whether something is still to be done, for as long as somebody has patience. What a target with a marker refuses is
    /// taken out before the rest of its chunk is delivered, which is done from here; what any target refuses, and somebody
    /// reads, is to come back while the pipeline is there.
    pub fn is_busy(&self) -> bool {
        let is_awaited = self.outlet.options().marked.is_some() || self.refusing.is_read();
        let is_left = if is_awaited { !self.queue.is_empty() } else { self.waiting() > 0 };
        is_left || self.outlet.is_away()
    }

    /// Bytes of the checkpoint in the making.
    pub fn making_bytes(&self) -> usize {
        self.making.iter().map(|made| made.bytes.len()).sum()
    }

    /// Gathers what belongs to a checkpoint: what the target has not acknowledged, and behind it what was held. Tells
    /// whether that is all: else the checkpoint is to wait for a target that is away.
    pub fn prepare(&mut self, epoch: Epoch, clock: &dyn Clock) -> Result<bool, SinkError> {
        match self.gather(epoch) {
            Err(SinkError::Away(why)) => {
                self.away.postpones = true;
                self.go_away(why, clock.elapsed())?;
                return Ok(false);
            }
            gathered => gathered?,
        }
        if std::mem::take(&mut self.away.postpones) {
            self.come_back(clock.elapsed());
        }
        if self.is_making() {
            self.ages.note(epoch, self.queue.first(), clock);
        }
        self.locate();
        Ok(true)
    }

    /// Whether a checkpoint is to wait, as its output could not be prepared and will not be now.
    pub fn postpones(&self) -> bool {
        self.away.postpones && !self.away.trying && self.outlet.is_away()
    }

    /// State to be kept with the next commit.
    pub fn entry(&mut self) -> Option<Entry> {
        self.ages.entry()
    }

    fn gather(&mut self, epoch: Epoch) -> Result<(), SinkError> {
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
            self.take_refused();
        }
        if let Some(why) = self.away.lost.clone().filter(|_| self.outlet.has_cut()) {
            return Err(SinkError::Away(why));
        }
        let mut cut = self.outlet.take_cut().into_iter();
        while let Some(bytes) = cut.next() {
            if self.is_full() && self.outlet.options().buffer.when_full == WhenFull::DropNewest {
                self.given_up += bytes.len() as u64;
                continue;
            }
            if exactly_once && let Err(error) = self.outlet.prepare(&bytes) {
                self.outlet.put_back(std::iter::once(bytes).chain(cut).collect());
                return Err(error);
            }
            self.make(epoch, bytes, None);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting() + self.making_bytes() as u64 >= self.outlet.options().buffer.max
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
    pub fn committed(&mut self, now: Millis, backend: &StateBackend) {
        for Made { id, bytes, call } in std::mem::take(&mut self.making) {
            self.queue.push(id, bytes, call);
        }
        self.give_up(now, backend);
        self.outlet.note_waiting(self.waiting());
    }

    /// Gives up what is too old, and what is too much.
    fn give_up(&mut self, now: Millis, backend: &StateBackend) {
        let options = self.outlet.options().buffer;
        let surplus = match options.when_full {
            WhenFull::DropOldest => self.waiting().saturating_sub(options.max),
            _ => 0,
        };
        let old = options.max_age.and_then(|most| self.ages.older_than(most, now));
        if surplus > 0 || old.is_some() {
            self.given_up += self.queue.give_up(surplus, old, backend);
        }
    }

    /// Delivers what waits as far as the target takes it, and notes what it has acknowledged. Tells whether anything moved.
    pub fn deliver(&mut self, backend: &StateBackend, now: Millis) -> Result<bool, DeliveryError> {
        self.take_refused();
        if !self.may_deliver(backend).map_err(DeliveryError::Sink)? {
            return Ok(false);
        }
        self.try_again(backend, now)?;
        let (mut given, mut unread) = (0, None);
        while given < MOST_UNSECURED && self.takes_more() {
            let Some(at) = self.queue.next(backend) else { break };
            match self.queue.bytes(at, backend) {
                Ok(bytes) => {
                    self.unread = false;
                    self.queue.give(at, self.outlet.next_call());
                    given += bytes.len().max(1);
                    let marker = marker_of(backend, self.queue.id(at));
                    if !self.attempt(now, |outlet| outlet.deliver(&bytes, marker))? {
                        return self.rewind(backend).map(|()| true);
                    }
                }
                Err(error) => {
                    unread = Some(error);
                    break;
                }
            }
        }
        if given > 0 {
            let mut secured = None;
            if !self.attempt(now, |outlet| outlet.secure().map(|done| secured = Some(done)))? {
                return self.rewind(backend).map(|()| true);
            }
            // What is pending of it stands in the log already; what came in between does not.
            if let Some(Secured { call, pending, has_direct: true }) = secured
                && !pending.is_empty()
            {
                self.direct.push((call, pending));
            }
        }
        let settled = self.settle();
        let is_through = self.queue.next(backend).is_none();
        if self.outlet.options().exactly_once && (given > 0 || is_through) && unread.is_none() {
            self.come_back(now);
        }
        let live_first = self.outlet.options().buffer.order == DrainOrder::LiveFirst;
        // What is not committed yet comes before what is written now.
        let is_through = is_through && !self.is_making();
        let mut moved = given > 0 || settled;
        if is_through || (live_first && self.outlet.takes_more()) {
            moved |= self.outlet.let_through().map_err(DeliveryError::Sink)?;
        }
        let is_away = self.outlet.is_away();
        moved |= is_away != std::mem::replace(&mut self.away.known, is_away);
        if moved {
            self.pause = Millis::ZERO;
            self.outlet.note_waiting(self.waiting());
        }
        unread.map_or(Ok(moved), |error| Err(DeliveryError::State(error)))
    }

    fn takes_more(&self) -> bool {
        match self.away.trying {
            true => self.outlet.is_ready_for_try(),
            false => self.outlet.takes_more(),
        }
    }

    /// Does something with the target. False if that is away now.
    fn attempt(
        &mut self,
        now: Millis,
        work: impl FnOnce(&Outlet) -> Result<(), SinkError>,
    ) -> Result<bool, DeliveryError> {
        match work(&self.outlet) {
            Err(SinkError::Away(why)) => self.go_away(why, now).map(|()| false).map_err(DeliveryError::Sink),
            done => done.map(|()| true).map_err(DeliveryError::Sink),
        }
    }

    /// The target is away, or still is.
    fn go_away(&mut self, why: String, now: Millis) -> Result<(), SinkError> {
        if std::mem::take(&mut self.away.trying) {
            return self.outlet.note_failed_try(why, now);
        }
        self.outlet.begin_outage(why);
        Ok(())
    }

    /// The target takes output again, unless a checkpoint is still to see whether it does.
    fn come_back(&mut self, now: Millis) {
        if !self.away.postpones && std::mem::take(&mut self.away.trying) {
            self.outlet.end_outage(now);
        }
    }

    /// Tries a target again that is away, if it is time for that.
    fn try_again(&mut self, backend: &StateBackend, now: Millis) -> Result<(), DeliveryError> {
        if !self.outlet.options().exactly_once {
            return self.outlet.try_again(now).map_err(DeliveryError::Sink);
        }
        if self.away.trying || !self.outlet.is_due(now) {
            return Ok(());
        }
        self.away.trying = true;
        if self.away.lost.is_some() {
            self.rewind(backend)?;
        }
        match self.away.lost.clone() {
            Some(why) => self.go_away(why, now).map_err(DeliveryError::Sink),
            None => Ok(()),
        }
    }

    /// A target that is away goes on at the place that is durable: what came behind is written again. At least once, the sink
    /// keeps it itself.
    fn rewind(&mut self, backend: &StateBackend) -> Result<(), DeliveryError> {
        if !self.outlet.options().exactly_once {
            return Ok(());
        }
        (self.delivered, self.position) = known(self.node, backend);
        self.queue = Queue::find(self.node, backend);
        self.outlet.note_waiting(self.waiting());
        let resumed = self.outlet.resume(&self.position, true);
        let prepared =
            resumed.and_then(|()| self.making.iter().try_for_each(|made| self.outlet.prepare(&made.bytes)));
        self.away.lost = match prepared {
            Err(SinkError::Away(why)) => Some(why),
            prepared => prepared.map(|()| None).map_err(DeliveryError::Sink)?,
        };
        self.locate();
        Ok(())
    }

    /// Takes out what is acknowledged, from the first on.
    pub(super) fn settle(&mut self) -> bool {
        if !self.queue.has_settled() {
            return false;
        }
        let acknowledged = self.outlet.acknowledged();
        self.take_refused();
        let settled = self.queue.settle(acknowledged);
        self.delivered = settled.or(self.delivered);
        settled.is_some()
    }

    /// Says that the log cannot be read for now.
    pub fn tell_unread(&mut self, error: &StateError) {
        if !std::mem::replace(&mut self.unread, true) {
            tracing::warn!("sink `{}`: {error}: it is tried again", self.name());
        }
    }

    /// The name of the sink.
    pub fn name(&self) -> &str {
        &self.outlet.options().name
    }

    /// Takes up where the target stands now. Not behind a chunk that is not known to have arrived: it would be written again
    /// behind itself.
    pub fn locate(&mut self) {
        let exactly_once = self.outlet.options().exactly_once;
        let is_unsure = self.queue.has_given() || self.away.lost.is_some();
        if !(exactly_once && is_unsure) {
            self.position = self.outlet.position();
        }
    }
}

/// What is durable of how far a sink has come.
fn known(node: NodeId, backend: &StateBackend) -> (Option<ChunkId>, Vec<u8>) {
    let known = backend.progress().sinks.get(&node);
    known.map_or((None, Vec::new()), |known| (known.delivered, known.position.clone()))
}
