//! A sink whose output survives: between the workers that write and the target.
//!
//! Under `exactly_once` what is written is *held* until the checkpoint that it belongs to is durable. Under
//! `at_least_once` it goes straight to the target, and is held only while the target takes nothing: then it waits in the
//! log, in order, and is delivered when the target is back. See `delivery.rs` for what becomes of what is held.

use super::bell::Bell;
use crate::dataflow::{Buffer, Marked, Marker, OnDoubt, RefusedEvent, Retry, Sink, SinkError, WhenFull};
use crate::runtime::outage::Outage;
use crate::time::Millis;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes of a chunk, unless a single write is longer.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Held bytes that are written at once, while workers wait, when a target has room again.
const STEP_BYTES: usize = 256 << 10;
/// Held bytes of one checkpoint beyond which workers read nothing new.
const MOST_HELD: usize = 16 << 20;

/// How output is held.
#[derive(Clone)]
pub struct OutletOptions {
    /// The sink's, for messages.
    pub name: String,
    /// Whether nothing is delivered before its checkpoint is durable.
    pub exactly_once: bool,
    /// Where the target keeps a marker of its own: what to do if it does not say what has arrived.
    pub marked: Option<OnDoubt>,
    /// How output waits while the target takes none.
    pub buffer: Buffer,
    /// How a target that takes nothing is tried again.
    pub retry: Retry,
    /// What wakes the coordinator.
    pub bell: Bell,
}

/// A sink and what is held for it. Clones are the same outlet: workers have one as their [`Sink`], the coordinator another.
#[derive(Clone)]
pub struct Outlet(Arc<Shared>);

struct Shared {
    options: OutletOptions,
    gate: Mutex<Gate>,
    target: Mutex<Target>,
    /// What the coordinator met, for the workers to hear.
    failed: Mutex<Option<SinkError>>,
    is_shut_out: AtomicBool,
}

#[derive(Default)]
struct Gate {
    holding: bool,
    /// Whole writes since the last cut, and where each ends.
    held: Vec<u8>,
    ends: Vec<usize>,
    /// What was cut, in order, to be taken into a checkpoint.
    cut: Vec<Vec<u8>>,
    /// Bytes that wait on disk.
    waiting: u64,
}

struct Target {
    sink: Box<dyn Sink>,
    /// How often it was made to secure.
    calls: u64,
    /// Whether workers wrote straight to it since.
    has_direct: bool,
    outage: Outage,
}

/// What securing a target came to.
pub struct Secured {
    /// The number of the call, from 1, see [`Sink::acknowledged`].
    pub call: u64,
    /// What the target has not acknowledged.
    pub pending: Vec<u8>,
    /// Whether that may be more than what was delivered from the log.
    pub has_direct: bool,
}

impl Outlet {
    /// An outlet before a target that is not open yet.
    pub fn new(sink: Box<dyn Sink>, options: OutletOptions) -> Outlet {
        let gate = Gate { holding: options.exactly_once, ..Gate::default() };
        let outage = Outage::new(options.name.clone(), options.retry);
        let target = Mutex::new(Target { sink, calls: 0, has_direct: false, outage });
        let (gate, failed, is_shut_out) = (Mutex::new(gate), Mutex::default(), AtomicBool::new(false));
        Outlet(Arc::new(Shared { options, gate, target, failed, is_shut_out }))
    }

    /// How output is held.
    pub fn options(&self) -> &OutletOptions {
        &self.0.options
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Whoever panicked left whole writes.
        self.0.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        // Whoever panicked left the sink as it was between two writes at worst.
        self.0.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on where an earlier run stopped; see [`Sink::resume`]. `backlog` tells whether something waits.
    pub fn resume(&self, position: &[u8], backlog: bool) -> Result<(), SinkError> {
        self.gate().holding |= backlog;
        self.target().sink.resume(position, self.0.options.exactly_once)
    }

    /// At the cut of a checkpoint, when no worker writes: what is held belongs to it.
    pub fn cut(&self) {
        let mut gate = self.gate();
        let (held, ends) = (std::mem::take(&mut gate.held), std::mem::take(&mut gate.ends));
        let mut start = 0;
        for (i, end) in ends.iter().enumerate() {
            let is_last = ends.get(i + 1).is_none_or(|next| next - start > CHUNK_BYTES);
            if is_last {
                gate.cut.push(held[start..*end].to_vec());
                start = *end;
            }
        }
    }

    /// Takes what was cut.
    pub fn take_cut(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.gate().cut)
    }

    /// Makes the target secure what it was given. Workers may write meanwhile, but for what must be done at once.
    pub fn secure(&self) -> Result<Secured, SinkError> {
        let mut pending = Vec::new();
        let (call, has_direct, syncing) = {
            let mut gate = self.gate();
            let mut target = self.target();
            if !self.0.options.exactly_once && !target.outage.is_on() {
                let flushed = target.sink.flush();
                self.note(&mut gate, &mut target, flushed)?;
            }
            drop(gate);
            let syncing = target.sink.begin_secure(&mut pending)?;
            target.calls += 1;
            (target.calls, std::mem::take(&mut target.has_direct), syncing)
        };
        syncing.map_or(Ok(()), |syncing| syncing())?;
        Ok(Secured { call, pending, has_direct })
    }

    /// At least once: a target that is away keeps what it was given, and what comes now is held.
    fn note(
        &self,
        gate: &mut Gate,
        target: &mut Target,
        outcome: Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        match outcome {
            Err(SinkError::Away(why)) if !self.0.options.exactly_once => {
                target.outage.begin(why);
                gate.holding = true;
                self.0.options.bell.ring();
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The target takes nothing for now.
    pub fn begin_outage(&self, why: String) {
        self.target().outage.begin(why);
    }

    /// A try to write to the target again has failed.
    ///
    /// # Errors
    /// It was the last one.
    pub fn note_failed_try(&self, why: String, now: Millis) -> Result<(), SinkError> {
        self.target().outage.failed(why, now)
    }

    /// The target takes output again.
    pub fn end_outage(&self, now: Millis) {
        self.target().outage.end(now);
    }

    /// Why the target takes nothing for now; None while it does.
    pub fn why_away(&self) -> Option<String> {
        let target = self.target();
        target.outage.why().map(str::to_owned).or_else(|| target.sink.trouble())
    }

    /// Whether the target takes nothing for now.
    pub fn is_away(&self) -> bool {
        self.target().outage.is_on()
    }

    /// When a target that is away is tried again, or looked at first.
    pub fn next_try(&self) -> Option<Millis> {
        let target = self.target();
        target.outage.is_on().then(|| target.outage.again().unwrap_or_default())
    }

    /// Whether what workers write goes straight through, or waits for a checkpoint and not for the target.
    pub fn is_drained(&self) -> bool {
        self.0.options.exactly_once || !self.gate().holding
    }

    /// Whether a target that is away is to be tried again.
    pub fn is_due(&self, now: Millis) -> bool {
        self.target().outage.is_due(now)
    }

    /// At least once: tries a target that is away again, if it is time for that.
    pub fn try_again(&self, now: Millis) -> Result<(), SinkError> {
        let mut guard = self.target();
        let target = &mut *guard;
        if !target.outage.is_due(now) {
            return Ok(());
        }
        match target.sink.flush() {
            Ok(()) => target.outage.end(now),
            Err(SinkError::Away(why)) => return target.outage.failed(why, now),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A chunk is about to be committed; see [`Sink::prepare`].
    pub fn prepare(&self, chunk: &[u8]) -> Result<(), SinkError> {
        self.target().sink.prepare(chunk)
    }

    /// Whether something was cut.
    pub fn has_cut(&self) -> bool {
        !self.gate().cut.is_empty()
    }

    /// What was cut and could not be prepared is to be prepared later.
    pub fn put_back(&self, chunks: Vec<Vec<u8>>) {
        let mut gate = self.gate();
        gate.cut.splice(..0, chunks);
    }

    /// Where a later run goes on; see [`Sink::position`].
    pub fn position(&self) -> Vec<u8> {
        let mut position = Vec::new();
        self.target().sink.position(&mut position);
        position
    }

    /// The position that was last asked for is durable. Only where nobody else writes meanwhile.
    pub fn committed(&self) -> Result<(), SinkError> {
        if self.0.options.exactly_once { self.target().sink.committed() } else { Ok(()) }
    }

    /// Takes out what the target has refused for good.
    pub fn take_refused(&self) -> Vec<RefusedEvent> {
        let mut refused = Vec::new();
        self.target().sink.refused(&mut refused);
        refused
    }

    /// What was taken out is durable.
    pub fn refused_kept(&self) {
        self.target().sink.refused_kept();
    }

    /// The number of the call of [`Outlet::secure`] that comes next.
    pub fn next_call(&self) -> u64 {
        self.target().calls + 1
    }

    /// How many calls of [`Outlet::secure`] have led to nothing that is not acknowledged. One that failed is none.
    pub fn acknowledged(&self) -> u64 {
        let target = self.target();
        target.sink.acknowledged().min(target.calls)
    }

    /// Whether the target takes more at once.
    pub fn takes_more(&self) -> bool {
        self.target().takes_more()
    }

    /// The same of a target that is tried again.
    pub fn is_ready_for_try(&self) -> bool {
        self.target().sink.is_ready()
    }

    /// The marker that stands in the target; see [`Sink::marker`].
    pub fn marker(&self) -> Result<Marked, SinkError> {
        self.target().sink.marker()
    }

    /// The marker that is to stand in the target before anything is delivered; see [`Sink::adopt`].
    pub fn adopt(&self, marker: Marker) -> Result<(), SinkError> {
        self.target().sink.adopt(marker)
    }

    /// Whether another copy of this gateway has shut the target out.
    pub fn is_shut_out(&self) -> bool {
        self.0.is_shut_out.load(Ordering::Relaxed)
    }

    /// Delivers what was held, with its marker.
    pub fn deliver(&self, chunk: &[u8], marker: Marker) -> Result<(), SinkError> {
        let mut gate = self.gate();
        let mut target = self.target();
        let written = target.sink.deliver(chunk, marker);
        self.note(&mut gate, &mut target, written)
    }

    /// Tells workers that the target failed.
    pub fn fail(&self, error: SinkError) {
        if matches!(error, SinkError::Fenced(_)) {
            self.0.is_shut_out.store(true, Ordering::Relaxed);
        }
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Bytes that wait on disk for their delivery.
    pub fn note_waiting(&self, bytes: u64) {
        self.gate().waiting = bytes;
    }

    /// Nothing waits any more, or need not be waited for: what is held since goes out as far as the target takes it, and once
    /// all has writes go straight through. Tells whether anything went out.
    pub fn let_through(&self) -> Result<bool, SinkError> {
        let mut gate = self.gate();
        // What was cut comes first, and is not committed yet.
        if self.0.options.exactly_once || !gate.holding || !gate.cut.is_empty() {
            return Ok(false);
        }
        let mut target = self.target();
        let (mut start, mut count) = (0, 0);
        while let Some(end) = gate.ends.get(count).copied()
            && start < STEP_BYTES
            && target.takes_more()
        {
            let written = target.sink.write(&gate.held[start..end]);
            (start, count) = (end, count + 1);
            target.has_direct = true;
            if let Err(error) = self.note(&mut gate, &mut target, written) {
                gate.forget(count);
                return Err(error);
            }
        }
        gate.forget(count);
        gate.holding = !gate.held.is_empty() || target.outage.is_on();
        Ok(count > 0)
    }

    /// Whether so much is held that a checkpoint should not wait.
    pub fn holds_much(&self) -> bool {
        self.gate().held.len() >= MOST_HELD / 2
    }

    /// Whether writes are held.
    pub fn is_holding(&self) -> bool {
        self.gate().holding
    }

    fn told(&self) -> Result<(), SinkError> {
        let failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err)
    }
}

impl Gate {
    fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.ends.push(self.held.len());
    }

    /// Forgets so many of the first writes.
    fn forget(&mut self, count: usize) {
        let Some(length) = count.checked_sub(1).map(|last| self.ends[last]) else { return };
        self.held.drain(..length);
        self.ends.drain(..count);
        self.ends.iter_mut().for_each(|end| *end -= length);
    }

    fn is_full(&self, options: &OutletOptions) -> bool {
        let waiting = self.waiting + self.held.len() as u64;
        let blocked = options.buffer.when_full == WhenFull::Block && waiting >= options.buffer.max;
        blocked || self.held.len() >= MOST_HELD
    }
}

impl Sink for Outlet {
    fn open(&mut self) -> Result<(), SinkError> {
        self.target().sink.open()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.told()?;
        let mut gate = self.gate();
        if !gate.holding {
            let mut target = self.target();
            if target.takes_more() {
                target.has_direct = true;
                let written = target.sink.write(bytes);
                return self.note(&mut gate, &mut target, written);
            }
            gate.holding = true;
            self.0.options.bell.ring();
        }
        gate.hold(bytes);
        if gate.held.len() >= MOST_HELD / 2 {
            self.0.options.bell.ring();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.told()?;
        let mut gate = self.gate();
        if gate.holding {
            return Ok(());
        }
        let mut target = self.target();
        let flushed = target.sink.flush();
        self.note(&mut gate, &mut target, flushed)
    }

    fn is_ready(&self) -> bool {
        let gate = self.gate();
        !gate.is_full(&self.0.options)
    }

    /// What a target that is away was given stands in the log.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        self.told()?;
        let mut target = self.target();
        match target.sink.close(stopped) {
            Err(SinkError::Away(why)) => {
                tracing::warn!("sink `{}`: {why}; its output waits for the next run", self.0.options.name);
                Ok(())
            }
            closed => closed,
        }
    }
}

impl Target {
    /// Whether it takes more at once.
    fn takes_more(&self) -> bool {
        !self.outage.is_on() && self.sink.is_ready()
    }
}
