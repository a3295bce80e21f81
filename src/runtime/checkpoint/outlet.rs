//! A sink whose output survives: between the workers that write and the target.
//!
//! Under `exactly_once` what is written is *held* until the checkpoint that it belongs to is durable. Under
//! `at_least_once` it goes straight to the target, and is held only while the target takes nothing: then it waits in the
//! log, in order, and is delivered when the target is back. See `delivery.rs` for what becomes of what is held.

use crate::dataflow::{Buffer, RefusedEvent, Sink, SinkError, WhenFull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes of a chunk, unless a single write is longer.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Held bytes of one checkpoint beyond which workers read nothing new.
const MOST_HELD: usize = 16 << 20;

/// How output is held.
#[derive(Clone, Copy, Debug)]
pub struct OutletOptions {
    /// Whether nothing is delivered before its checkpoint is durable.
    pub exactly_once: bool,
    /// How output waits while the target takes none.
    pub buffer: Buffer,
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
        let (gate, target) = (Mutex::new(gate), Mutex::new(Target { sink, calls: 0, has_direct: false }));
        Outlet(Arc::new(Shared { options, gate, target, failed: Mutex::default() }))
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

    /// Makes the target secure what it was given.
    pub fn secure(&self) -> Result<Secured, SinkError> {
        let mut target = self.target();
        let mut pending = Vec::new();
        target.sink.secure(&mut pending)?;
        target.calls += 1;
        let has_direct = std::mem::take(&mut target.has_direct);
        Ok(Secured { call: target.calls, pending, has_direct })
    }

    /// A chunk is about to be committed; see [`Sink::prepare`].
    pub fn prepare(&self, chunk: &[u8]) -> Result<(), SinkError> {
        self.target().sink.prepare(chunk)
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
        self.target().sink.is_ready()
    }

    /// Delivers what was held.
    pub fn deliver(&self, bytes: &[u8]) -> Result<(), SinkError> {
        self.target().sink.write(bytes)
    }

    /// Tells workers that the target failed.
    pub fn fail(&self, error: SinkError) {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Bytes that wait on disk for their delivery.
    pub fn note_waiting(&self, bytes: u64) {
        self.gate().waiting = bytes;
    }

    /// Nothing waits any more, or need not be waited for: unless more was held meanwhile, writes go straight through.
    pub fn let_through(&self) {
        let mut gate = self.gate();
        let empty = gate.held.is_empty() && gate.cut.is_empty();
        if !self.0.options.exactly_once && empty {
            gate.holding = false;
        }
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
        match self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Gate {
    fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.ends.push(self.held.len());
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
            if target.sink.is_ready() {
                target.has_direct = true;
                return target.sink.write(bytes);
            }
            gate.holding = true;
        }
        gate.hold(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.told()?;
        if self.is_holding() { Ok(()) } else { self.target().sink.flush() }
    }

    fn is_ready(&self) -> bool {
        let gate = self.gate();
        !gate.is_full(&self.0.options)
    }

    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        self.told()?;
        self.target().sink.close(stopped)
    }
}
