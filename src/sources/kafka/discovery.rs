//! Which partitions were found, and to whom they were given.

use super::kept::Kept;
use super::looking::{self, Listing};
use super::shared::{Client, Shared};
use super::topics::{Place, Start, Topics};
use crate::clients::kafka::of_connection;
use crate::time::Millis;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How soon is looked again while something is missing.
const SOON: Millis = Millis(1_000);
/// How soon, while workers are not ready to take partitions.
const AT_ONCE: Millis = Millis(10);
/// How often, once a second, a topic must be missing until it counts as deleted: brokers that have just started do not
/// know all topics yet, and a partition that was let go begins anew.
const LOOKS: u32 = 30;
/// Attempts without an answer until that is said.
const ATTEMPTS: u32 = 3;
/// How many partitions a client is made for before it is known how many there are.
const USUAL: usize = 64;

/// Finds partitions and gives them to workers.
pub struct Discovery {
    kept: Kept,
    shared: Arc<Shared>,
    /// Partitions that were given to workers.
    known: BTreeSet<Place>,
    /// Those that there were when brokers first answered.
    first: Option<BTreeSet<Place>>,
    /// Topics of which a checkpoint knows partitions; set once workers have told.
    resumed: Option<BTreeSet<Arc<str>>>,
    /// Whether all of `first` were given.
    complete: bool,
    /// How many partitions the client is made for, and is to be.
    sized: (usize, usize),
    /// Attempts without an answer.
    attempts: u32,
    /// Topics that are missing, and for how many looks.
    missing: BTreeMap<String, u32>,
    /// What is wrong and was said.
    said: BTreeSet<String>,
}

impl Discovery {
    /// Of a source of which nothing was found yet.
    pub fn new(kept: Kept, shared: Arc<Shared>) -> Discovery {
        Discovery {
            kept,
            shared,
            known: BTreeSet::new(),
            first: None,
            resumed: None,
            complete: false,
            sized: (USUAL, USUAL),
            attempts: 0,
            missing: BTreeMap::new(),
            said: BTreeSet::new(),
        }
    }

    /// Whether all that was there at the start was found and given.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the client is to be made for more partitions, before any is read.
    pub fn outgrown(&self) -> bool {
        self.sized.0 < self.sized.1
    }

    /// How many partitions the next client is for.
    pub fn size(&mut self) -> usize {
        self.sized.0 = self.sized.1;
        self.sized.0
    }

    /// Says what is wrong, once.
    pub fn say(&mut self, fault: String) {
        self.shared.tell_first(Err(fault.clone()));
        if !self.said.contains(&fault) {
            tracing::error!("{}: {fault}; it is tried again", self.kept.connection.who);
            self.said.insert(fault);
        }
    }

    /// Looks which partitions there are, and gives workers those that are new. Returns how soon to look again.
    pub fn look(&mut self, client: &Client) -> Millis {
        match looking::list(client, &self.kept.choice, looking::patience(self.attempts)) {
            Ok(listing) => {
                client.context().connected();
                self.attempts = 0;
                self.take_in(client, &listing)
            }
            Err(error) => {
                self.unreachable(client, &error);
                SOON
            }
        }
    }

    fn unreachable(&mut self, client: &Client, error: &KafkaError) {
        self.attempts += 1;
        // The context is told what is wrong while the client is listened to.
        for _ in 0..5 {
            let _ = client.poll(Duration::from_millis(20));
        }
        let context = client.context();
        if let (None, Some(reason)) = (context.trouble(), context.suspicion()) {
            context.disturbed(&reason);
        } else if context.trouble().is_none() && self.attempts >= ATTEMPTS {
            let connection = &self.kept.connection;
            let code = error.rdkafka_error_code();
            let reason = code.and_then(|code| of_connection(code, &error.to_string(), connection));
            context.disturbed(&reason.unwrap_or_else(|| error.to_string()));
        }
        if let Some(reason) = context.trouble() {
            let brokers = self.kept.connection.shown_brokers();
            self.shared.tell_first(Err(format!("no connection to {brokers}: {reason}")));
        }
    }

    fn take_in(&mut self, client: &Client, listing: &Listing) -> Millis {
        let brokers = self.kept.connection.shown_brokers();
        let faults: BTreeSet<String> =
            listing.faults.iter().map(|fault| format!("{brokers}: {fault}")).collect();
        faults.iter().for_each(|fault| self.say(fault.clone()));
        self.said = faults;
        if self.said.is_empty() {
            self.shared.tell_first(Ok(()));
        }
        self.let_go(listing);
        if self.first.is_none() {
            self.sized.1 = listing.places.len().max(USUAL);
            self.first = Some(listing.places.clone());
        }
        if !self.are_ready() {
            return AT_ONCE;
        }
        if self.outgrown() {
            return Millis::ZERO;
        }
        let new: Vec<Place> = listing.places.difference(&self.known).cloned().collect();
        let found = self.beginnings(client, &new);
        let all = found.len() == new.len();
        self.give(found, all);
        if all && self.said.is_empty() && self.missing.is_empty() { self.kept.look() } else { SOON }
    }

    /// Whether all workers take partitions. Once they do it is known which of them are to go on.
    fn are_ready(&mut self) -> bool {
        if self.resumed.is_some() {
            return true;
        }
        let state = self.shared.lock();
        if state.shares.iter().any(|share| share.worker.is_none()) {
            return false;
        }
        let places = state.shares.iter().flat_map(|share| share.positions.keys());
        self.resumed = Some(places.map(|place| place.topic.clone()).collect());
        true
    }

    /// Ends partitions of topics that have been missing for long.
    fn let_go(&mut self, listing: &Listing) {
        let is_named = matches!(self.kept.choice.topics, Topics::Named(_));
        let is_missing = |topic: &str| match is_named {
            true => listing.missing.contains(topic),
            false => !listing.seen.contains(topic) || listing.missing.contains(topic),
        };
        let topics: BTreeSet<&str> = self.known.iter().map(|place| &*place.topic).collect();
        let looks = |topic: &str| self.missing.get(topic).map_or(1, |looks| looks + 1);
        let missing = topics.into_iter().filter(|topic| is_missing(topic));
        self.missing = missing.map(|topic| (topic.to_owned(), looks(topic))).collect();
        let deleted: BTreeSet<String> =
            self.missing.extract_if(.., |_, looks| *looks >= LOOKS).map(|(topic, _)| topic).collect();
        for topic in &deleted {
            tracing::error!("{}: the topic `{topic}` was deleted", self.kept.connection.who);
        }
        self.shared.let_go(self.known.extract_if(.., |place| deleted.contains(&*place.topic)).collect());
    }

    /// Where new partitions begin: where a checkpoint says; else as `start` says, if they were there at the start; else,
    /// having turned up later, or while nobody ran, at their first message.
    fn beginnings(&self, client: &Client, new: &[Place]) -> Vec<(Place, i64)> {
        let mut found = Vec::new();
        let (mut started, mut late) = (Vec::new(), Vec::new());
        let workers = self.shared.workers();
        for place in new {
            let resumed = self.shared.lock().shares[place.worker(workers)].positions.get(place).copied();
            match resumed {
                Some(next) => found.push((place.clone(), next)),
                None if self.was_there(place) => started.push(place.clone()),
                None => late.push(place.clone()),
            }
        }
        let ask = |start, places: &[Place]| match places.is_empty() {
            true => BTreeMap::new(),
            false => looking::starts(client, start, places),
        };
        found.extend(ask(&self.kept.choice.start, &started));
        found.extend(ask(&Start::Earliest, &late));
        found
    }

    fn was_there(&self, place: &Place) -> bool {
        let resumed = self.resumed.as_ref();
        let was_read = match self.kept.choice.topics {
            Topics::Named(_) => resumed.is_some_and(|topics| topics.contains(&place.topic)),
            Topics::Matching(..) => resumed.is_some_and(|topics| !topics.is_empty()),
        };
        !was_read && self.first.as_ref().is_some_and(|first| first.contains(place))
    }

    /// Gives partitions to the workers whose they are.
    fn give(&mut self, found: Vec<(Place, i64)>, all: bool) {
        let who = &self.kept.connection.who;
        let mut state = self.shared.lock();
        let workers = state.shares.len();
        for (place, next) in found {
            let late = if self.complete { " that turned up" } else { "" };
            tracing::info!("{who}: partition {} of `{}`{late} from {next}", place.partition, place.topic);
            let share = &mut state.shares[place.worker(workers)];
            share.positions.remove(&place);
            share.found.push((place.clone(), next));
            self.known.insert(place);
        }
        self.complete |= all;
        for share in &mut state.shares {
            share.complete = self.complete;
            share.worker.iter().for_each(std::thread::Thread::unpark);
        }
    }
}
