//! What an output put out, gathered for a test to look at.

use crate::dataflow::{Sink, SinkError};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lines that came and were not looked at yet.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// How many of the bytes came before the last checkpoint.
    kept: usize,
}

impl Tap {
    /// What came so far belongs to a checkpoint.
    pub fn keep(&self) {
        let mut lines = self.lock();
        lines.kept = lines.bytes.len();
    }

    /// What came since the last checkpoint is forgotten, unless somebody has looked at it.
    pub fn forget(&self) {
        let mut lines = self.lock();
        let kept = lines.kept;
        lines.bytes.truncate(kept);
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events that came since this was last asked for. A line that is no JSON, which `validate: touched` lets
    /// through, is its text.
    pub fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.lock()).bytes;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let text = |line| Value::String(String::from_utf8_lossy(line).into_owned());
        lines.map(|line| serde_json::from_slice(line).unwrap_or_else(|_| text(line))).collect()
    }

    /// What writes to it.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.clone())
    }
}

impl Sink for Tap {
    fn open(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.lock().bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
