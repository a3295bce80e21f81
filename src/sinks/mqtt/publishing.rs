//! Events become messages.

use super::outbox::{Manner, Outbox};
use crate::clients::mqtt::{Connecting, Keeper, Outgoing};
use crate::dataflow::{Sink, SinkError, read_addressed};
use crate::time::{Clock, Millis, SystemClock};
use std::sync::Arc;

/// How long a stop waits for acknowledgements: less than the process gives its pipelines.
const PATIENCE: Millis = Millis(5_000);

/// The target of an `mqtt` sink.
pub struct Publishing {
    connecting: Connecting,
    properties: Vec<String>,
    /// What stands before each event: a message is a stream of its own.
    preamble: Vec<u8>,
    outbox: Arc<Outbox>,
    keeper: Option<Keeper>,
}

impl Publishing {
    /// A sink that is not connected yet.
    pub fn new(connecting: Connecting, manner: Manner, preamble: Vec<u8>) -> Publishing {
        let properties = manner.properties.clone();
        let outbox = Arc::new(Outbox::new(connecting.who.clone(), manner));
        Publishing { connecting, properties, preamble, outbox, keeper: None }
    }

    fn message(&self, texts: &[&str], event: &[u8]) -> Outgoing {
        let (topic, values) = texts.split_first().map_or(("", &[][..]), |(topic, values)| (*topic, values));
        let properties = self.properties.iter().zip(values);
        let payload = match self.preamble.is_empty() {
            true => event.to_vec(),
            false => [&self.preamble, event].concat(),
        };
        Outgoing {
            topic: topic.to_owned(),
            payload: payload.into(),
            properties: properties.map(|(name, value)| (name.clone(), (*value).to_owned())).collect(),
        }
    }
}

impl Sink for Publishing {
    /// A broker that cannot be reached is no reason to stop.
    fn open(&mut self) -> Result<(), SinkError> {
        let started = Keeper::start(self.connecting.clone(), None, self.outbox.clone());
        self.keeper = Some(started.map_err(SinkError::Failed)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let mut rest = bytes;
        let mut texts = vec![""; self.properties.len() + 1];
        self.outbox.push(std::iter::from_fn(|| {
            let event = read_addressed(&mut rest, &mut texts)?;
            Some(self.message(&texts, event))
        }));
        Ok(())
    }

    /// Messages go out by themselves.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.outbox.has_room()
    }

    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        let clock = SystemClock::new();
        let mut stopped_at = None;
        loop {
            let left = self.outbox.unacknowledged();
            if left == 0 {
                break;
            }
            if stopped() {
                let since = *stopped_at.get_or_insert(clock.elapsed());
                if clock.elapsed().0 - since.0 >= PATIENCE.0 {
                    let broker = &self.connecting.address;
                    return Err(SinkError::Failed(format!(
                        "{broker} has not acknowledged {left} messages within {PATIENCE} of the stop: they are lost"
                    )));
                }
            }
            self.outbox.wait_for_change();
        }
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stop();
        }
        Ok(())
    }
}
