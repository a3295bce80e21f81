//! A sink whose output lives in memory only: while its target takes nothing, sources are held back.

use super::outage::Outage;
use crate::dataflow::{RefusedEvent, Retry, Sink, SinkError};
use crate::time::{Clock, Millis, SystemClock};

/// How often somebody who waits for a target looks.
const LOOK: Millis = Millis(20);

/// Tries a target again that is away.
pub struct Patient {
    sink: Box<dyn Sink>,
    outage: Outage,
    /// What was written meanwhile, each whole.
    held: Vec<Vec<u8>>,
    clock: SystemClock,
}

impl Patient {
    /// Before a sink of that name.
    pub fn new(sink: Box<dyn Sink>, name: String, retry: Retry) -> Patient {
        Patient { sink, outage: Outage::new(name, retry), held: Vec::new(), clock: SystemClock::new() }
    }

    /// Takes note of a target that is away.
    fn note(&mut self, outcome: Result<(), SinkError>) -> Result<(), SinkError> {
        match outcome {
            Err(SinkError::Away(why)) => {
                let now = self.clock.elapsed();
                self.outage.begin(why);
                self.outage.is_due(now);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Tries the target again, if it is time for that.
    fn try_again(&mut self) -> Result<(), SinkError> {
        let now = self.clock.elapsed();
        if !self.outage.is_due(now) {
            return Ok(());
        }
        match self.sink.flush() {
            Ok(()) => self.outage.end(now),
            Err(SinkError::Away(why)) => return self.outage.failed(why, now),
            Err(error) => return Err(error),
        }
        for bytes in std::mem::take(&mut self.held) {
            self.write(&bytes)?;
        }
        Ok(())
    }
}

impl Sink for Patient {
    fn open(&mut self) -> Result<(), SinkError> {
        self.sink.open()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.outage.is_on() {
            self.held.push(bytes.to_vec());
            return Ok(());
        }
        let outcome = self.sink.write(bytes);
        self.note(outcome)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.try_again()?;
        if self.outage.is_on() {
            return Ok(());
        }
        let outcome = self.sink.flush();
        self.note(outcome)
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        self.sink.refused(into);
    }

    fn is_ready(&self) -> bool {
        !self.outage.is_on() && self.sink.is_ready()
    }

    /// Waits for a target that is away until somebody wants an end: then what it did not take is lost.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        loop {
            self.flush()?;
            if let Some(why) = self.outage.why() {
                if stopped() {
                    let why = format!("{why}; what it did not take before the stop is lost");
                    return Err(SinkError::Failed(why));
                }
                self.clock.wait(LOOK);
                continue;
            }
            let outcome = self.sink.close(stopped);
            self.note(outcome)?;
            if !self.outage.is_on() {
                return Ok(());
            }
        }
    }
}
