//! Transactions of Kafka: records and marker together.
//!
//! The marker is the metadata of a committed offset, of partition 0 of a topic in a consumer group of our own: what
//! transactions can commit besides records. The offset itself means nothing. `init_transactions` settles whatever was
//! under way under our name before it returns, so a marker that is read behind it is final.

use super::committer::{Refusal, Transactions, Trouble};
use super::producer::{Batching, Fate, Manner, Reporter, Reports, code_of};
use super::queue::{Delivered, TransactionQueue};
use crate::clients::kafka::{Context, of_group, of_topic, of_transaction};
use crate::dataflow::{Marker, RefusedEvent};
use crate::time::{Clock, Millis, SystemClock};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a call blocks before it is looked whether the sink is to stop.
const SLICE: Duration = Duration::from_millis(500);
/// How often it is looked whether records have arrived.
const LOOK: Duration = Duration::from_millis(50);
/// How long an attempt to come up lasts.
const PATIENCE: Millis = Millis(10_000);
/// How long leaving waits for the end of a transaction.
const LEAVE: Duration = Duration::from_secs(2);
/// How long a stop lets a transaction that is under way go on.
const LAST: Millis = Millis(3_000);

type TransactionalProducer = BaseProducer<Reporter<Failures>>;

/// What became of records that did not arrive, by their numbers within the transaction.
#[derive(Default)]
pub struct Failures(Mutex<BTreeMap<usize, Code>>);

impl Failures {
    fn take(&self) -> BTreeMap<usize, Code> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Reports for Failures {
    fn reported(&self, number: usize, outcome: Result<(), Code>) {
        if let Err(code) = outcome {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, code);
        }
    }
}

/// Under which name transactions are made.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The transactional id, and the group that the marker stands in.
    pub id: String,
    /// The topic at whose first partition it stands.
    pub carrier: String,
    /// How long a transaction may be open.
    pub timeout: Millis,
}

/// A connection to Kafka for transactions.
pub struct KafkaTransactions {
    manner: Manner,
    identity: Identity,
    queue: Arc<TransactionQueue>,
    clock: SystemClock,
    batching: Batching,
    failures: Arc<Failures>,
    producer: Option<TransactionalProducer>,
    /// Whether the producer has transactions, and not only tries to.
    is_ready: bool,
    group: Option<ConsumerGroupMetadata>,
}

impl KafkaTransactions {
    /// Connects later.
    pub fn new(manner: Manner, identity: Identity, queue: Arc<TransactionQueue>) -> KafkaTransactions {
        KafkaTransactions {
            manner,
            identity,
            queue,
            clock: SystemClock::new(),
            batching: Batching::default(),
            failures: Arc::default(),
            producer: None,
            is_ready: false,
            group: None,
        }
    }

    fn create(&mut self) -> Result<TransactionalProducer, Trouble> {
        let mut config = self.manner.config(self.batching);
        config.set("transactional.id", &self.identity.id);
        config.set("transaction.timeout.ms", self.identity.timeout.0.to_string());
        // What cannot be delivered while a transaction may be open fails it.
        config.set("message.timeout.ms", self.identity.timeout.0.to_string());
        config.set("delivery.report.only.error", "true");
        self.failures = Arc::default();
        let reporter = Reporter::new(self.manner.connection.clone(), self.failures.clone());
        config.create_with_context(reporter).map_err(|error| Trouble::Failed(error.to_string()))
    }

    /// Gets a producer for which earlier ones are shut out.
    fn initialise(&mut self) -> Result<(), Trouble> {
        if std::mem::take(&mut self.is_ready) {
            self.leave();
        }
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.create()?,
        };
        let since = self.clock.elapsed();
        loop {
            // Serves tokens and errors, which nobody does while a call blocks.
            producer.poll(Duration::ZERO);
            match producer.init_transactions(SLICE) {
                Ok(()) => break,
                Err(error) => {
                    producer.poll(Duration::ZERO);
                    let why = self.explain(&error, producer.context().connection());
                    let is_over = self.clock.elapsed() - since > PATIENCE || self.queue.is_leaving();
                    match retriable(&error) {
                        true if !is_over => {}
                        true => {
                            self.producer = Some(producer);
                            return Err(Trouble::Away(why));
                        }
                        // Rights may be given, and brokers be mended: another producer tries again.
                        false => return Err(Trouble::Away(why)),
                    }
                }
            }
        }
        self.is_ready = true;
        self.producer = Some(producer);
        Ok(())
    }

    /// Reads the marker, when nothing under way can change it.
    fn read_marker(&mut self) -> Result<Option<Marker>, Trouble> {
        let mut config = self.manner.connection.config();
        config.set("group.id", &self.identity.id).set("enable.auto.commit", "false");
        config.set("isolation.level", "read_committed");
        let context = Context::new(self.manner.connection.clone());
        let consumer: BaseConsumer<Context> =
            config.create_with_context(context).map_err(|error| Trouble::Failed(error.to_string()))?;
        let since = self.clock.elapsed();
        loop {
            consumer.poll(Duration::ZERO);
            let outcome = consumer.committed_offsets(self.carrier(None), SLICE);
            let code = match outcome.map(|list| standing(&list)) {
                Ok(Ok(marker)) => {
                    consumer.context().connected();
                    self.group = consumer.group_metadata();
                    return marker;
                }
                Ok(Err(code)) => code,
                Err(error) => code_of(&error),
            };
            if self.clock.elapsed() - since > PATIENCE || self.queue.is_leaving() {
                let waits = matches!(code, Code::OperationTimedOut | Code::RequestTimedOut);
                let trouble = consumer.context().trouble().filter(|_| waits);
                return Err(Trouble::Away(trouble.unwrap_or_else(|| of_group(code))));
            }
            consumer.poll(LOOK);
        }
    }

    /// The offset that carries a marker.
    fn carrier(&self, marker: Option<Marker>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        let mut carrier = list.add_partition(&self.identity.carrier, 0);
        if let Some(marker) = marker {
            // Zero is an offset that can be set.
            let _ = carrier.set_offset(Offset::Offset(0));
            carrier.set_metadata(marker.to_string());
        }
        list
    }

    fn explain(&self, error: &KafkaError, context: &Context) -> String {
        let Identity { id, carrier, .. } = &self.identity;
        let code = code_of(error);
        let text = match code {
            Code::OperationTimedOut | Code::RequestTimedOut => {
                context.trouble().unwrap_or_else(|| "it does not answer".to_owned())
            }
            Code::TransactionalIdAuthorizationFailed => of_transaction(code, id),
            Code::GroupAuthorizationFailed => of_group(code),
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::TopicAuthorizationFailed => {
                of_topic(code, carrier, "Read and Write")
            }
            _ => error.to_string(),
        };
        self.manner.connection.mask(&text)
    }

    /// Hands all records over. What is not taken at once is among the failures.
    fn hand_over(&self, producer: &TransactionalProducer, chunks: &[Arc<Delivered>]) {
        let mut first = 0;
        for chunk in chunks {
            let mut count = 0;
            self.manner.layout.each(&chunk.bytes, |number, record, headers| {
                count = number + 1;
                if chunk.left_out.contains(&number) {
                    return;
                }
                if let Err(code) = self.manner.send(producer, record, headers, first + number) {
                    self.failures.reported(first + number, Err(code));
                }
            });
            first += count;
            producer.poll(Duration::ZERO);
        }
    }

    /// Waits until all records have arrived, or some have failed.
    fn wait(&self, producer: &TransactionalProducer) -> Result<(), Trouble> {
        let mut leaving = None;
        while producer.in_flight_count() > 0 && self.failures.is_empty() {
            producer.poll(LOOK.min(Duration::from_millis(5)));
            self.look_whether_to_leave(&mut leaving)?;
        }
        Ok(())
    }

    /// Lets a transaction go on a little once the sink is to stop.
    fn look_whether_to_leave(&self, since: &mut Option<Millis>) -> Result<(), Trouble> {
        if !self.queue.is_leaving() {
            return Ok(());
        }
        let now = self.clock.elapsed();
        if now - *since.get_or_insert(now) > LAST {
            return Err(Trouble::Unknown("the sink stops".to_owned()));
        }
        Ok(())
    }

    /// Writes offset and records for good.
    fn commit(&self, producer: &TransactionalProducer, marker: Marker) -> Result<(), Trouble> {
        let Some(group) = &self.group else { return Err(Trouble::Unknown("no group".to_owned())) };
        let list = self.carrier(Some(marker));
        self.insist(producer, || producer.send_offsets_to_transaction(&list, group, SLICE)).map_err(
            // Nothing was asked to be committed yet.
            |trouble| match trouble {
                Trouble::Unknown(why) if !self.queue.is_leaving() => Trouble::Aborted(why),
                other => other,
            },
        )?;
        self.insist(producer, || producer.commit_transaction(SLICE))
    }

    /// Calls again what was not through in time.
    fn insist(
        &self,
        producer: &TransactionalProducer,
        call: impl Fn() -> Result<(), KafkaError>,
    ) -> Result<(), Trouble> {
        let (mut leaving, since) = (None, self.clock.elapsed());
        loop {
            let Err(error) = call() else { return Ok(()) };
            producer.poll(Duration::ZERO);
            if is_fenced(&error, producer) {
                return Err(Trouble::Fenced);
            }
            let why = self.explain(&error, producer.context().connection());
            // A topic that is missing comes to be in its own time; the marker stands at none.
            let is_stuck = self.clock.elapsed() - since > self.identity.timeout;
            if !retriable(&error) || is_stuck {
                return Err(Trouble::Unknown(why));
            }
            self.look_whether_to_leave(&mut leaving)?;
        }
    }

    /// Why records failed, after the transaction was aborted.
    fn judge(&mut self, failures: &BTreeMap<usize, Code>, chunks: &[Arc<Delivered>]) -> Trouble {
        let has_one_topic = self.manner.topic.is_some();
        let (mut refusals, mut too_large, mut lost) = (Vec::new(), false, None);
        let mut first = 0;
        for (place, chunk) in chunks.iter().enumerate() {
            let mut count = 0;
            self.manner.layout.each(&chunk.bytes, |number, record, _| {
                count = number + 1;
                let Some(code) = failures.get(&(first + number)) else { return };
                let fate = Fate::of(*code, has_one_topic);
                let bytes = record.payload.len() + record.key.map_or(0, str::len);
                match fate {
                    Fate::TooLarge if !self.batching.is_alone(bytes) && !self.is_beyond(bytes) => {
                        too_large = true;
                    }
                    Fate::Refused | Fate::TooLarge => {
                        let reason =
                            format!("the broker refuses it for the topic `{}`: {code}", record.topic);
                        let bytes = record.payload.to_vec();
                        let event = RefusedEvent { reason, bytes, record: None };
                        refusals.push(Refusal { chunk: place, record: number, event });
                    }
                    Fate::NoTopic => lost = Some(of_topic(*code, record.topic, "Write")),
                    Fate::Lost => _ = lost.get_or_insert_with(|| code.to_string()),
                }
            });
            first += count;
        }
        match (refusals.is_empty(), too_large) {
            (false, _) => Trouble::Refused(refusals),
            (true, true) => {
                self.batching = self.batching.smaller();
                // The next producer sends less together.
                Trouble::Unknown("a batch was larger than its topic takes: smaller ones are tried".to_owned())
            }
            (true, false) => Trouble::Aborted(lost.unwrap_or_else(|| "a record was lost".to_owned())),
        }
    }

    /// Serves what the library has to tell while nothing is to be written.
    pub fn attend(&self) {
        self.producer.iter().for_each(|producer| producer.poll(Duration::ZERO));
    }

    /// Whether a record is too large for the library itself, by itself.
    fn is_beyond(&self, bytes: usize) -> bool {
        bytes > self.manner.most_bytes
    }

    /// Ends what is under way, and lets go of the producer.
    fn leave(&mut self) {
        self.is_ready = false;
        if let Some(producer) = self.producer.take() {
            // Where nothing is under way, or the broker is away, nothing comes of it.
            let _ = producer.abort_transaction(LEAVE);
        }
    }
}

impl Transactions for KafkaTransactions {
    fn begin_anew(&mut self) -> Result<Option<Marker>, Trouble> {
        self.initialise()?;
        self.read_marker()
    }

    fn transact(&mut self, chunks: &[Arc<Delivered>], marker: Marker) -> Result<(), Trouble> {
        let Some(producer) = self.producer.take() else {
            return Err(Trouble::Away("not connected".to_owned()));
        };
        self.failures.take();
        let outcome = match producer.begin_transaction() {
            Ok(()) => {
                self.hand_over(&producer, chunks);
                self.wait(&producer).and_then(|()| match self.failures.is_empty() {
                    true => self.commit(&producer, marker),
                    false => Err(Trouble::Aborted(String::new())),
                })
            }
            Err(error) if is_fenced(&error, &producer) => Err(Trouble::Fenced),
            Err(error) => Err(Trouble::Unknown(self.explain(&error, producer.context().connection()))),
        };
        let outcome = match outcome {
            Err(Trouble::Aborted(why)) => Err(self.abort(&producer, why, chunks)),
            other => other,
        };
        self.producer = Some(producer);
        if outcome.is_ok() && self.batching == Batching::Single {
            // What was too large has gone; the next producer may send more together again.
            self.batching = Batching::Small;
        }
        outcome
    }
}

impl KafkaTransactions {
    /// Aborts, and says what follows from what failed.
    fn abort(&mut self, producer: &TransactionalProducer, why: String, chunks: &[Arc<Delivered>]) -> Trouble {
        if is_fatal(producer) {
            return fatal(producer);
        }
        // All records are reported before an abort returns.
        if let Err(trouble) = self.insist(producer, || producer.abort_transaction(SLICE)) {
            return trouble;
        }
        producer.poll(Duration::ZERO);
        let failures = self.failures.take();
        match failures.is_empty() {
            true => Trouble::Aborted(why),
            false => self.judge(&failures, chunks),
        }
    }
}

impl Drop for KafkaTransactions {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The marker that a broker tells.
fn standing(list: &TopicPartitionList) -> Result<Result<Option<Marker>, Trouble>, Code> {
    let elements = list.elements();
    let Some(element) = elements.first() else { return Ok(Ok(None)) };
    if let Err(error) = element.error() {
        return Err(code_of(&error));
    }
    let foreign =
        |text: &str| Trouble::Failed(format!("what stands in its group is not of this program: `{text}`"));
    Ok(match (element.offset(), element.metadata()) {
        (Offset::Invalid, _) => Ok(None),
        (_, text) => Marker::parse(text).map(Some).ok_or_else(|| foreign(text)),
    })
}

fn retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable(),
        KafkaError::Flush(code) => *code == Code::OperationTimedOut,
        _ => false,
    }
}

/// Whether another producer has taken our name.
fn is_fenced(error: &KafkaError, producer: &TransactionalProducer) -> bool {
    let fenced = |code| matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch);
    fenced(code_of(error)) || producer.client().fatal_error().is_some_and(|(code, _)| fenced(code))
}

fn is_fatal(producer: &TransactionalProducer) -> bool {
    producer.client().fatal_error().is_some()
}

fn fatal(producer: &TransactionalProducer) -> Trouble {
    match producer.client().fatal_error() {
        Some((Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch, _)) => Trouble::Fenced,
        Some((_, text)) => Trouble::Unknown(text),
        None => Trouble::Unknown("it failed".to_owned()),
    }
}
