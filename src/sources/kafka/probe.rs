//! Connects as a run would, reads nothing and changes nothing: for `check --connect`.

use super::kept::Kept;
use super::looking::{self, Listing, list_of};
use super::shared::Client;
use super::topics::Place;
use crate::clients::kafka::{of_connection, of_group, of_topic};
use crate::dataflow::Probed;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

/// Attempts to be answered, some ten seconds together.
const ATTEMPTS: u32 = 5;
/// How often a client is listened to for what is wrong with a fetch, and how long each time.
const LISTEN: (usize, Duration) = (30, Duration::from_millis(100));

/// Looks whether a run would find what it needs.
pub fn probe(kept: &Kept) -> Probed {
    let brokers = kept.connection.shown_brokers();
    let failed = |reason: String| format!("{brokers}: {}", kept.connection.mask(&reason));
    let client = kept.client(1).map_err(failed)?;
    let listing = answer(kept, &client).map_err(failed)?;
    if !listing.faults.is_empty() {
        return Err(failed(listing.faults.join("; ")));
    }
    let topics = listing.seen.len();
    let places: Vec<Place> = listing.places.into_iter().collect();
    may_read(&client, &places).map_err(failed)?;
    may_use_group(&client, &places, &kept.group).map_err(failed)?;
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (topics, partitions) = (counted(topics, "topic"), counted(places.len(), "partition"));
    Ok(format!("{topics} with {partitions} at {brokers}"))
}

fn answer(kept: &Kept, client: &Client) -> Result<Listing, String> {
    let mut last = String::new();
    for attempt in 0..ATTEMPTS {
        let error = match looking::list(client, &kept.choice, looking::patience(attempt)) {
            Ok(listing) => return Ok(listing),
            Err(error) => error,
        };
        for _ in 0..5 {
            let _ = client.poll(Duration::from_millis(20));
        }
        if let Some(trouble) = client.context().trouble() {
            return Err(trouble);
        }
        let code = error.rdkafka_error_code();
        let reason = code.and_then(|code| of_connection(code, &error.to_string(), &kept.connection));
        last = reason.unwrap_or_else(|| error.to_string());
    }
    Err(last)
}

/// Whether messages would be given: asks for those behind the last.
fn may_read(client: &Client, places: &[Place]) -> Result<(), String> {
    let list = list_of(places, Offset::End).map_err(|error| error.to_string())?;
    client.incremental_assign(&list).map_err(|error| error.to_string())?;
    let mut ends = 0;
    for _ in 0..LISTEN.0 {
        match client.poll(LISTEN.1) {
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    return Err(of_topic(code, &topics(places), "Read"));
                }
                _ => continue,
            },
            _ => {}
        }
        if ends >= places.len() {
            break;
        }
    }
    Ok(())
}

fn may_use_group(client: &Client, places: &[Place], group: &str) -> Result<(), String> {
    let list = list_of(places, Offset::Invalid).map_err(|error| error.to_string())?;
    match client.committed_offsets(list, looking::PATIENCE).err().and_then(|error| error.rdkafka_error_code())
    {
        Some(code @ RDKafkaErrorCode::GroupAuthorizationFailed) => {
            Err(format!("group `{group}`: {}", of_group(code)))
        }
        _ => Ok(()),
    }
}

fn topics(places: &[Place]) -> String {
    let mut names: Vec<&str> = places.iter().map(|place| &*place.topic).collect();
    names.dedup();
    names.join("`, `")
}
