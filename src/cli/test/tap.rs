//! What an output put out, gathered for a test to look at.

use crate::dataflow::{Sink, SinkError};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// The lines that came and were not looked at yet.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Vec<u8>>>);

impl Tap {
    /// The events that came since this was last asked for. A line that is no JSON, which `validate: touched` lets
    /// through, is its text.
    pub fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
