//! Events become messages.

use super::outbox::{Manner, Outbox};
use crate::clients::mqtt::{Connecting, Endpoint, Keeper, Outgoing};
use crate::dataflow::{
    RefusedEvent, Sink, SinkError, UnderWay, await_arrival, read_addressed, write_addressed,
};
use crate::time::{Clock, SystemClock};
use std::sync::Arc;

/// The user property that holds a message's id.
pub const ID: &str = "headwater-id";

/// The target of an `mqtt` sink.
pub struct Publishing {
    connecting: Connecting,
    properties: Vec<String>,
    /// What stands before each event: a message is a stream of its own.
    preamble: Vec<u8>,
    outbox: Arc<Outbox>,
    keeper: Option<Keeper>,
    ids: Option<Ids>,
    /// Whether what is not acknowledged outlives this run.
    lasting: bool,
}

/// Gives each message an id that no other has.
struct Ids {
    /// What the ids of this run begin with.
    run: u64,
    count: u64,
}

impl Ids {
    fn next(&mut self) -> String {
        self.count += 1;
        format!("{:016x}-{:x}", self.run, self.count)
    }
}

impl Publishing {
    /// A sink that is not connected yet.
    pub fn new(connecting: Connecting, manner: Manner, preamble: Vec<u8>) -> Publishing {
        let properties = manner.properties.clone();
        let ids = manner.ids.then(|| Ids { run: SystemClock::new().entropy(), count: 0 });
        let outbox = Arc::new(Outbox::new(connecting.who.clone(), manner));
        Publishing { connecting, properties, preamble, outbox, keeper: None, ids, lasting: false }
    }

    /// The event of a message, without what stands before it.
    fn event<'m>(&self, message: &'m Outgoing) -> &'m [u8] {
        message.payload.get(self.preamble.len()..).unwrap_or_default()
    }

    /// Whether the broker is still tried.
    fn hopes(&self) -> Result<(), SinkError> {
        let Some(why) = self.outbox.why_given_up() else { return Ok(()) };
        let (broker, tries) = (&self.connecting.address, self.connecting.retry.attempts.unwrap_or_default());
        Err(SinkError::Failed(format!("no connection to {broker}: {why}; it was tried {tries} times again")))
    }

    /// A message as [`Publishing::write`] takes it, with its id.
    fn record(&self, message: &Outgoing, into: &mut Vec<u8>) {
        let values = message.properties.iter().map(|(_, value)| value.clone());
        let texts: Vec<String> = std::iter::once(message.topic.clone()).chain(values).collect();
        let written = write_addressed(&texts, into, |into| {
            into.extend_from_slice(self.event(message));
            Ok::<(), std::convert::Infallible>(())
        });
        match written {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
}

/// The message of a record. One that was published before has its id.
fn message(
    texts: &[&str],
    event: &[u8],
    names: &[String],
    preamble: &[u8],
    ids: Option<&mut Ids>,
) -> Outgoing {
    let (topic, values) = texts.split_first().map_or(("", &[][..]), |(topic, values)| (*topic, values));
    let named = names.iter().zip(values).map(|(name, value)| (name.clone(), (*value).to_owned()));
    let mut properties: Vec<(String, String)> = named.collect();
    if let Some(ids) = ids {
        let known = values.last().filter(|id| !id.is_empty()).map(|id| (*id).to_owned());
        properties.push((ID.to_owned(), known.unwrap_or_else(|| ids.next())));
    }
    let payload = if preamble.is_empty() { event.to_vec() } else { [preamble, event].concat() };
    Outgoing { topic: topic.to_owned(), payload: payload.into(), properties }
}

impl Sink for Publishing {
    /// A broker that cannot be reached is no reason to stop.
    fn open(&mut self) -> Result<(), SinkError> {
        let started = Keeper::start(self.connecting.clone(), None, self.outbox.clone());
        self.keeper = Some(started.map_err(SinkError::Failed)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.hopes()?;
        let Publishing { properties, preamble, ids, outbox, .. } = self;
        let mut rest = bytes;
        let mut texts = vec![""; 1 + properties.len() + usize::from(ids.is_some())];
        outbox.push(std::iter::from_fn(|| {
            let event = read_addressed(&mut rest, &mut texts)?;
            Some(message(&texts, event, properties, preamble, ids.as_mut()))
        }));
        Ok(())
    }

    /// What is not acknowledged is given to be kept, and written again.
    fn resume(&mut self, _position: &[u8], _repeats: bool) -> Result<(), SinkError> {
        self.lasting = true;
        Ok(())
    }

    fn secure(&mut self, pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.hopes()?;
        self.outbox.secure(|message| self.record(message, pending));
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.outbox.acknowledged()
    }

    fn trouble(&self) -> Option<String> {
        self.outbox.trouble()
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        let refusals = self.outbox.take_refusals().into_iter();
        into.extend(refusals.map(|(reason, message)| RefusedEvent {
            reason,
            bytes: self.event(&message).to_vec(),
            record: None,
        }));
    }

    /// Messages go out by themselves.
    fn flush(&mut self) -> Result<(), SinkError> {
        self.hopes()
    }

    fn is_ready(&self) -> bool {
        self.outbox.has_room()
    }

    /// Where state is kept, nothing is lost that was given to be kept: without a connection nobody waits for it.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        let outbox = &self.outbox;
        let under_way = || {
            let events = outbox.unacknowledged();
            if events == 0 {
                return Ok(None);
            }
            self.hopes()?;
            let (target, is_connected) = (self.connecting.address.to_string(), outbox.is_served());
            let is_kept = self.lasting && outbox.unkept() == 0;
            Ok(Some(UnderWay { target, events, is_kept, is_connected }))
        };
        await_arrival(stopped, under_way, || outbox.wait_for_change())?;
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
