//! Asking brokers which partitions there are, and where they begin.

use super::shared::{Client, Range};
use super::topics::{Choice, Place, Start, Topics};
use crate::clients::kafka::of_topic;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long brokers are waited for at the so manieth attempt: what is wrong is seen between two.
pub fn patience(attempt: u32) -> Duration {
    Duration::from_millis(500).saturating_mul(attempt + 1).min(PATIENCE)
}

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The most partitions that one source reads.
const MOST_PARTITIONS: usize = 10_000;

/// What brokers say there is.
#[derive(Default)]
pub struct Listing {
    /// The partitions that are to be read.
    pub places: BTreeSet<Place>,
    /// Topics that are there, though maybe not to be used.
    pub seen: BTreeSet<String>,
    /// Topics that are not there.
    pub missing: BTreeSet<String>,
    /// What is wrong with single topics.
    pub faults: Vec<String>,
}

/// Asks which partitions there are.
///
/// # Errors
/// No broker answers.
pub fn list(client: &Client, choice: &Choice, patience: Duration) -> KafkaResult<Listing> {
    let mut listing = Listing::default();
    match &choice.topics {
        Topics::Named(names) => {
            for name in names {
                let metadata = client.fetch_metadata(Some(name), patience)?;
                metadata.topics().iter().for_each(|topic| listing.add(topic, choice));
            }
        }
        Topics::Matching(..) => {
            let metadata = client.fetch_metadata(None, patience)?;
            metadata.topics().iter().for_each(|topic| listing.add(topic, choice));
        }
    }
    if listing.places.len() > MOST_PARTITIONS {
        listing.faults.push(format!(
            "there are {} partitions, and {MOST_PARTITIONS} are read at the most: narrow `pattern` or `partitions`",
            listing.places.len()
        ));
        listing.places = std::mem::take(&mut listing.places).into_iter().take(MOST_PARTITIONS).collect();
    }
    Ok(listing)
}

impl Listing {
    fn add(&mut self, topic: &MetadataTopic, choice: &Choice) {
        let name = topic.name();
        if !choice.topics.want(name) {
            return;
        }
        let code = topic.error().map(RDKafkaErrorCode::from);
        if let Some(code) = code.filter(|code| *code != RDKafkaErrorCode::NoError) {
            if code == RDKafkaErrorCode::UnknownTopicOrPartition {
                self.missing.insert(name.to_owned());
            } else {
                self.seen.insert(name.to_owned());
            }
            // Between its making and its first leader a topic is only not ready.
            if code != RDKafkaErrorCode::LeaderNotAvailable {
                self.faults.push(of_topic(code, name, "Read"));
            }
            return;
        }
        self.seen.insert(name.to_owned());
        let shared: Arc<str> = name.into();
        let numbers = topic.partitions().iter().map(MetadataPartition::id);
        let there: BTreeSet<i32> = numbers.filter(|number| choice.wants(*number)).collect();
        for number in choice.partitions.iter().flatten().filter(|number| !there.contains(number)) {
            self.faults.push(format!("the topic `{name}` has no partition {number}: is `partitions` right?"));
        }
        self.places.extend(there.into_iter().map(|partition| Place { topic: shared.clone(), partition }));
    }
}

/// Asks where a partition begins and ends.
pub fn range(client: &Client, place: &Place) -> KafkaResult<Range> {
    let (low, high) = client.fetch_watermarks(&place.topic, place.partition, PATIENCE)?;
    Ok(Range { low, high })
}

/// Asks where partitions begin of which nothing is known. Those that cannot be told yet are left out.
pub fn starts(client: &Client, start: &Start, places: &[Place]) -> BTreeMap<Place, i64> {
    let asked = match start {
        Start::Committed => {
            list_of(places, Offset::Invalid).and_then(|list| client.committed_offsets(list, PATIENCE))
        }
        Start::At(time) => {
            list_of(places, Offset::Offset(time.0)).and_then(|list| client.offsets_for_times(list, PATIENCE))
        }
        _ => list_of(&[], Offset::Invalid),
    };
    let Ok(asked) = asked else { return BTreeMap::new() };
    let known = |place: &Place| {
        let told = asked.find_partition(&place.topic, place.partition).map(|element| element.offset());
        let range = || range(client, place).ok();
        let next = match (start, told) {
            (Start::Committed | Start::At(_), Some(Offset::Offset(next))) => next,
            // No message is so young.
            (Start::At(_) | Start::Latest, _) => range()?.high,
            (Start::Offsets(offsets), _) => {
                let own = (Some(place.topic.to_string()), place.partition);
                match offsets.get(&own).or_else(|| offsets.get(&(None, place.partition))) {
                    Some(next) => *next,
                    None => range()?.low,
                }
            }
            (Start::Committed | Start::Earliest, _) => range()?.low,
        };
        Some((place.clone(), next))
    };
    places.iter().filter_map(known).collect()
}

/// A list of partitions as librdkafka takes it, all with one offset.
pub fn list_of(places: &[Place], offset: Offset) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for place in places {
        list.add_partition_offset(&place.topic, place.partition, offset)?;
    }
    Ok(list)
}
