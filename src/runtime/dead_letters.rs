//! Rejected events that nobody reads, on their way to the folder where a person finds them.

use crate::dataflow::NodeId;
use crate::event::Reason;
use crate::state::{Content, DeadLetter, DeadLetterLog, LetterBuffer, StateError};
use crate::time::{Env, Millis, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are gathered at the most before they are written.
const MOST_BYTES: usize = 256 << 10;

/// A pipeline's dead letters, which its workers take turns in writing.
#[derive(Clone, Debug)]
pub struct SharedDeadLetters {
    log: Arc<Mutex<DeadLetterLog>>,
    /// The names of the nodes.
    names: Arc<[String]>,
}

impl SharedDeadLetters {
    /// Shares an open folder.
    pub fn new(log: DeadLetterLog, names: impl Iterator<Item = String>) -> SharedDeadLetters {
        SharedDeadLetters { log: Arc::new(Mutex::new(log)), names: names.collect() }
    }

    /// A worker's part.
    pub fn part(&self) -> DeadLetters {
        DeadLetters { shared: self.clone(), buffer: LetterBuffer::default(), failed: false }
    }

    /// At a checkpoint: forces what was written to the disk. That it cannot be is no reason to stop.
    pub fn sync(&self) {
        let synced = self.log.lock().unwrap_or_else(PoisonError::into_inner).sync();
        if let Err(error) = synced {
            tracing::warn!("dead letters may be lost: {error}");
        }
    }

    fn append(&self, letters: &LetterBuffer, elapsed: Millis) -> Result<(), StateError> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).append(letters, elapsed)
    }
}

/// What one worker has rejected: gathered without a lock, written when the worker flushes.
#[derive(Debug)]
pub struct DeadLetters {
    shared: SharedDeadLetters,
    buffer: LetterBuffer,
    /// Whether the last attempt failed, which is said once.
    failed: bool,
}

impl DeadLetters {
    /// Takes what a node rejects.
    pub fn note(&mut self, env: &Env, node: NodeId, reason: &Reason, content: Content) {
        self.note_at(env.now, env.elapsed, node, (reason.kind.name(), &reason.text), content);
    }

    /// Takes what was rejected in a stage of work for a reason, at a time of day.
    pub fn note_at(
        &mut self,
        at: Timestamp,
        elapsed: Millis,
        node: NodeId,
        (kind, reason): (&str, &str),
        content: Content,
    ) {
        let name = self.shared.names.get(usize::from(node.0)).map_or("", String::as_str);
        self.buffer.push(&DeadLetter::new(at, name, kind, reason, content));
        if self.buffer.size() >= MOST_BYTES {
            self.flush(elapsed);
        }
    }

    /// Writes what was gathered, in one go.
    pub fn flush(&mut self, elapsed: Millis) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self.shared.append(&self.buffer, elapsed);
        self.buffer.clear();
        match written {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::error!("rejected events are not kept: {error}");
            }
            Err(_) => {}
        }
    }
}
