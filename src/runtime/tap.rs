//! Looking on while events leave a node. A worker compares one number a step; while nobody looks on, a batch costs one look at
//! an empty list.

use crate::dataflow::{NodeId, Port, StageId, StepId};
use crate::event::json::Timestamps;
use crate::event::{Batch, Row, View};
use crate::formats::Encoder;
use crate::formats::json::{JsonEncoder, JsonOutput};
use crate::plan::Plan;
use crate::time::Millis;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Those who may look on at one pipeline at a time.
const MOST: usize = 4;
/// Events that may wait for who looks on.
const WAITING: usize = 256;
/// The longest event that is shown, in bytes.
const LONGEST: usize = 64 << 10;

/// Where events of a node are at hand that leave it, and how they look there.
#[derive(Clone, Debug)]
pub struct Outlook {
    at: Place,
    view: View,
}

/// A place in a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where rows of a stage begin.
    Stage(StageId),
    /// Behind a port of a step.
    Behind(StepId, Port),
}

impl Outlook {
    /// That of a node; None if nothing leaves it by a main port.
    pub fn of(plan: &Plan, node: NodeId) -> Option<Outlook> {
        let port = plan.nodes[node.0 as usize].ports.iter().find(|port| port.name.is_empty())?;
        let (stage, view) = (port.stage?, port.view.clone()?);
        let at = port.behind.map_or(Place::Stage(stage), |(step, port)| Place::Behind(step, port));
        Some(Outlook { at, view })
    }
}

/// Those who look on at a pipeline.
#[derive(Debug, Default)]
pub struct Taps {
    /// Changes with the list.
    number: AtomicU64,
    open: Mutex<Vec<Arc<Tap>>>,
}

/// One who looks on.
#[derive(Debug)]
pub struct Tap {
    outlook: Outlook,
    sender: SyncSender<Vec<u8>>,
    /// How many events may be shown until more are allowed.
    allowed: AtomicU64,
    /// How many were not shown.
    missed: AtomicU64,
    is_over: AtomicBool,
}

/// The end of a tap at which somebody looks on, until it is dropped.
pub struct Tapped {
    tap: Arc<Tap>,
    taps: Arc<Taps>,
    receiver: Receiver<Vec<u8>>,
}

impl Taps {
    /// Looks on. None if too many do.
    pub fn open(self: &Arc<Taps>, outlook: Outlook) -> Option<Tapped> {
        let (sender, receiver) = sync_channel(WAITING);
        let allowed = AtomicU64::new(1);
        let (missed, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let tap = Arc::new(Tap { outlook, sender, allowed, missed, is_over });
        let mut open = self.list();
        if open.len() >= MOST {
            return None;
        }
        open.push(tap.clone());
        self.number.fetch_add(1, Ordering::Release);
        Some(Tapped { tap, taps: self.clone(), receiver })
    }

    /// Which list it is; one that a worker has seen needs no further look.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// What a worker needs to show events.
    pub fn showings(&self) -> Vec<Showing> {
        self.list().iter().cloned().map(Showing::new).collect()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Tap>>> {
        // Whoever panicked left whole values.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tapped {
    /// Allows so many events from now on.
    pub fn allow(&self, events: u64) {
        self.tap.allowed.store(events, Ordering::Relaxed);
    }

    /// The next event, as JSON; None if there is none for so long.
    pub fn next(&self, at_most: Millis) -> Option<Vec<u8>> {
        self.receiver.recv_timeout(Duration::from_millis(at_most.0.max(0) as u64)).ok()
    }

    /// How many events have left the node and were not shown.
    pub fn missed(&self) -> u64 {
        self.tap.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.tap.is_over.store(true, Ordering::Relaxed);
        self.taps.list().retain(|tap| !Arc::ptr_eq(tap, &self.tap));
        self.taps.number.fetch_add(1, Ordering::Release);
    }
}

/// How a worker shows events.
pub struct Showing {
    tap: Arc<Tap>,
    encoder: JsonEncoder,
    event: Vec<u8>,
}

impl Showing {
    fn new(tap: Arc<Tap>) -> Showing {
        let encoder = JsonEncoder::new(JsonOutput { timestamps: Timestamps::Millis }, &tap.outlook.view);
        Showing { tap, encoder, event: Vec::new() }
    }

    /// Shows rows at a place, as many as are allowed.
    pub fn show(&mut self, at: Place, batch: &Batch, rows: &[Row]) {
        if self.tap.outlook.at != at || self.tap.is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut shown = 0;
        for row in rows {
            let take = |allowed: u64| allowed.checked_sub(1);
            if self.tap.allowed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                break;
            }
            self.event.clear();
            let written = self.encoder.encode(batch, *row, &mut self.event).is_ok();
            // A row that was sent is the receiver's.
            if written && self.event.len() <= LONGEST && self.tap.sender.try_send(self.event.clone()).is_ok()
            {
                shown += 1;
            }
        }
        self.tap.missed.fetch_add(rows.len() as u64 - shown, Ordering::Relaxed);
    }
}
