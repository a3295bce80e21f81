//! The sink that delivers at least once: workers hand records to an idempotent producer, a thread of its own hears what
//! became of them.

use super::outbox::Outbox;
use super::producer::{Batching, Manner, Reporter};
use crate::dataflow::{RefusedEvent, Sink, SinkError, UnderWay, await_arrival};
use crate::time::{Clock, Millis, SystemClock};
use rdkafka::producer::{BaseProducer, Producer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long reports are listened for before anything else is looked after.
const TURN: Duration = Duration::from_millis(100);
/// The wait before records are handed over again: doubled each time, up to the second.
const AGAIN: [Millis; 2] = [Millis(100), Millis(10_000)];

type IdempotentProducer = BaseProducer<Reporter<Outbox>>;

/// The target of a `kafka` sink under `at_least_once`.
pub struct Producing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Whether what is not acknowledged outlives this run.
    lasting: bool,
}

struct Shared {
    outbox: Arc<Outbox>,
    producer: Mutex<Option<Arc<IdempotentProducer>>>,
    is_leaving: AtomicBool,
}

impl Shared {
    fn producer(&self) -> Option<Arc<IdempotentProducer>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, producer: Option<Arc<IdempotentProducer>>) {
        *self.producer.lock().unwrap_or_else(PoisonError::into_inner) = producer;
    }

    fn create(&self, batching: Batching) -> Result<Arc<IdempotentProducer>, String> {
        let manner = self.outbox.manner();
        let mut config = manner.config(batching);
        // How long it takes is for the pipeline to say: what does not arrive waits.
        config.set("message.timeout.ms", "0");
        match manner.acks {
            "all" => config.set("enable.idempotence", "true"),
            // Else records that are sent again would change places.
            _ => config.set("max.in.flight.requests.per.connection", "1"),
        };
        let reporter = Reporter::new(manner.connection.clone(), self.outbox.clone());
        config.create_with_context(reporter).map(Arc::new).map_err(|error| error.to_string())
    }

    fn hand_over(&self, producer: &IdempotentProducer, only_last: bool) {
        let manner = self.outbox.manner();
        self.outbox
            .hand_over(only_last, |record, headers, number| manner.send(producer, record, headers, number));
    }
}

/// What the thread knows.
struct Hearing {
    shared: Arc<Shared>,
    clock: SystemClock,
    arrived: u64,
    /// When records are handed over again, and how long that is behind the last time.
    again: Option<Millis>,
    pause: Millis,
    was_told: bool,
}

impl Hearing {
    fn hear_always(&mut self) {
        while !self.shared.is_leaving.load(Ordering::Relaxed) {
            let Some(producer) = self.shared.producer() else {
                self.make_anew();
                continue;
            };
            producer.poll(TURN);
            let arrived = self.shared.outbox.arrived();
            if std::mem::replace(&mut self.arrived, arrived) != arrived {
                producer.context().connection().connected();
                self.pause = Millis(0);
            }
            let is_idle = producer.in_flight_count() == 0;
            let is_resized = is_idle && self.shared.outbox.is_resized();
            if is_resized || producer.client().fatal_error().is_some() {
                self.shared.set(None);
                drop(producer);
                self.make_anew();
            } else {
                self.repeat(&producer, is_idle);
            }
        }
    }

    /// Makes a producer in place of one that is of no use any more.
    fn make_anew(&mut self) {
        let outbox = &self.shared.outbox;
        match self.shared.create(outbox.take_back()) {
            Ok(producer) => {
                self.shared.hand_over(&producer, false);
                self.shared.set(Some(producer));
            }
            // There was one of the same configuration before.
            Err(why) => {
                tracing::error!("{}: {why}", outbox.manner().connection.who);
                self.clock.wait(AGAIN[1]);
            }
        }
    }

    /// Hands over again what did not arrive, once nothing else is under way: so the order stays.
    fn repeat(&mut self, producer: &IdempotentProducer, is_idle: bool) {
        let Shared { outbox, .. } = &*self.shared;
        let Some(held) = outbox.again() else {
            if self.was_told && outbox.unacknowledged() == 0 {
                tracing::info!("{}: records go out again", outbox.manner().connection.who);
                self.was_told = false;
            }
            if is_idle {
                outbox.relax();
            }
            return;
        };
        let now = self.clock.elapsed();
        if let Some(why) = held
            && !std::mem::replace(&mut self.was_told, true)
        {
            let who = &outbox.manner().connection.who;
            tracing::warn!("{who}: records are held back: {why}; it is tried again, and nothing is lost");
        }
        let again = *self.again.get_or_insert_with(|| {
            self.pause = Millis((self.pause.0 * 2).clamp(AGAIN[0].0, AGAIN[1].0));
            now + self.pause
        });
        if now >= again && is_idle {
            self.again = None;
            self.shared.hand_over(producer, false);
        }
    }
}

impl Producing {
    /// A sink that is not connected yet.
    pub fn new(manner: Manner) -> Producing {
        let outbox = Arc::new(Outbox::new(manner));
        let shared = Shared { outbox, producer: Mutex::new(None), is_leaving: AtomicBool::new(false) };
        Producing { shared: Arc::new(shared), thread: None, lasting: false }
    }

    fn leave(&mut self) {
        self.shared.is_leaving.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it has not heard of stays unacknowledged.
            let _ = thread.join();
        }
        self.shared.set(None);
    }
}

impl Sink for Producing {
    /// Brokers that cannot be reached are no reason to stop.
    fn open(&mut self) -> Result<(), SinkError> {
        let producer = self.shared.create(Batching::default()).map_err(SinkError::Failed)?;
        self.shared.set(Some(producer));
        let mut hearing = Hearing {
            shared: self.shared.clone(),
            clock: SystemClock::new(),
            arrived: 0,
            again: None,
            pause: Millis(0),
            was_told: false,
        };
        let thread = std::thread::Builder::new().name("kafka".to_owned());
        let thread = thread.spawn(move || hearing.hear_always());
        let thread =
            thread.map_err(|error| SinkError::Failed(format!("cannot start a connection: {error}")))?;
        self.thread = Some(thread);
        Ok(())
    }

    /// What is not acknowledged is given to be kept, and written again.
    fn resume(&mut self, _position: &[u8], _repeats: bool) -> Result<(), SinkError> {
        self.lasting = true;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.shared.outbox.push(bytes);
        if let Some(producer) = self.shared.producer() {
            self.shared.hand_over(&producer, true);
        }
        Ok(())
    }

    fn secure(&mut self, pending: &mut Vec<u8>) -> Result<(), SinkError> {
        self.shared.outbox.secure(pending);
        Ok(())
    }

    fn acknowledged(&self) -> u64 {
        self.shared.outbox.acknowledged()
    }

    /// A connection that nobody uses may be closed.
    fn trouble(&self) -> Option<String> {
        let producer = self.shared.producer().filter(|_| self.shared.outbox.unacknowledged() > 0)?;
        producer.context().connection().trouble()
    }

    fn refused(&mut self, into: &mut Vec<RefusedEvent>) {
        into.append(&mut self.shared.outbox.take_refused());
    }

    /// Records go out by themselves.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.shared.outbox.has_room()
    }

    /// Where state is kept, nothing is lost that was given to be kept: without a broker nobody waits for it.
    fn close(&mut self, stopped: &dyn Fn() -> bool) -> Result<(), SinkError> {
        let outbox = &self.shared.outbox;
        let under_way = || {
            let events = outbox.unacknowledged();
            let (target, is_kept) =
                (outbox.manner().connection.shown_brokers(), self.lasting && outbox.unkept() == 0);
            let producer = self.shared.producer();
            let is_connected =
                producer.is_some_and(|producer| producer.context().connection().is_connected());
            Ok((events > 0).then_some(UnderWay { target, events, is_kept, is_connected }))
        };
        await_arrival(stopped, under_way, || outbox.wait(TURN))?;
        self.leave();
        Ok(())
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        self.leave();
    }
}
