//! The thread that posts: one request after the other, each again until it is taken or refused.

use super::answer::{Verdict, judge};
use super::outbox::{Batch, Next, Outbox};
use super::request::{Event, Fate, Job, Outgoing};
use super::{Answer, HttpLink, HttpOptions, HttpServer, NoAnswer};
use crate::clients::keeper::{Keeper, Keeping};
use crate::clients::tls::Stamp;
use crate::time::{Clock, Millis, Random, SystemClock};
use hyper::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Servers to which connections are kept.
const MOST_LINKS: usize = 16;
/// Bytes of an answer that are looked at.
pub(super) const ANSWER_LIMIT: usize = 4 << 20;
/// How often it is looked whether there is something to do, should nobody say so.
const LOOK: Duration = Duration::from_secs(1);

/// Starts a thread that posts. What was not taken when it is stopped stays in the outbox.
///
/// # Errors
/// The system gives no thread.
pub fn start(job: Arc<Job>, outbox: Arc<Outbox>) -> Result<Keeper, String> {
    let clock = SystemClock::new();
    let random = Random::seeded(clock.entropy());
    let links = Links { all: Vec::new(), stamp: job.tls.stamp() };
    Keeper::start("http", Sender { job, outbox, links, clock, random, outage: None, refused: 0 })
}

struct Sender {
    job: Arc<Job>,
    outbox: Arc<Outbox>,
    links: Links,
    clock: SystemClock,
    random: Random,
    outage: Option<Outage>,
    /// How many events were refused.
    refused: u64,
}

/// A server that takes nothing.
struct Outage {
    since: Millis,
    /// The answer, if there is one.
    status: Option<StatusCode>,
    /// How many tries have failed.
    failed: u32,
    pause: Millis,
}

impl Keeping for Sender {
    async fn keep(&mut self) {
        while !self.is_over() {
            match self.outbox.next() {
                Next::Batch(batch) => self.post(&batch).await,
                Next::Wait(span) => {
                    let span = span.map_or(LOOK, |span| Duration::from_millis(span.0.max(1) as u64));
                    // What wakes it is looked at in either case.
                    let _ = timeout(span.min(LOOK), self.outbox.backlog.wake.notified()).await;
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.outbox.backlog.failed().is_some()
    }

    fn who(&self) -> &str {
        &self.job.who
    }
}

impl Sender {
    /// Sends a request, and does what follows from its answer.
    async fn post(&mut self, batch: &Batch) {
        let job = self.job.clone();
        let texts = job.compose.texts();
        let events: Vec<Event<'_>> =
            batch.records.iter().filter_map(|record| Event::read(&mut &record[..], texts)).collect();
        let outgoing = match job.compose.compose(&events, &batch.id) {
            Ok(outgoing) => outgoing,
            Err(why) => return self.refuse(events.len(), &why),
        };
        let server = &outgoing.url.server;
        match self.links.ask(&job, &outgoing).await {
            Err(Failure::Request(why)) => self.refuse(events.len(), &format!("{server}: {why}")),
            Err(Failure::NoAnswer(why)) => self.pause(why, None, None).await,
            Ok(answer) => match judge(&answer, &*job.compose, job.is_one_place, self.clock.wall()) {
                Verdict::Taken => match job.compose.fates(&answer, events.len()) {
                    Some(fates) => self.settle(server, fates).await,
                    None => {
                        self.outbox.taken();
                        self.come_back(server);
                    }
                },
                Verdict::Refused(why) => {
                    self.refuse(events.len(), &format!("{server} refuses the event: {why}"));
                    self.come_back(server);
                }
                Verdict::Away(why, wait) => {
                    self.pause(format!("{server}: {why}"), Some(answer.status), wait).await;
                }
            },
        }
    }

    /// A success that says of each event what became of it.
    async fn settle(&mut self, server: &HttpServer, mut fates: Vec<Fate>) {
        let mut again = None;
        for fate in &mut fates {
            match fate {
                Fate::Taken => {}
                Fate::Again(why) => again = Some(std::mem::take(why)),
                Fate::Refused(why) => {
                    *why = self.job.secrets.mask(&format!("{server} refuses the event: {why}")).into_owned();
                    self.tell_refused(why);
                }
            }
        }
        let has_progress = fates.iter().any(|fate| !matches!(fate, Fate::Again(_)));
        self.outbox.settle(fates);
        match again {
            // Where some went through, the rest is only pressed for room: tries are counted from here.
            Some(why) => {
                if let Some(outage) = self.outage.as_mut().filter(|_| has_progress) {
                    (outage.failed, outage.pause) = (0, self.job.retry.first);
                }
                self.pause(format!("{server}: {why}"), None, None).await;
            }
            None => self.come_back(server),
        }
    }

    /// The server answers, whatever it says.
    fn come_back(&mut self, server: &HttpServer) {
        if let Some(outage) = self.outage.take() {
            let span = self.clock.elapsed() - outage.since;
            tracing::info!("{}: {server} takes requests again, after {span}", self.job.who);
        }
        self.outbox.backlog.note_connected();
    }

    fn refuse(&mut self, events: usize, why: &str) {
        let why = self.job.secrets.mask(why).into_owned();
        if events <= 1 {
            self.tell_refused(&why);
        }
        self.outbox.refused(&why);
    }

    /// A server that refuses one event often refuses all: ever fewer of them are told of.
    fn tell_refused(&mut self, why: &str) {
        self.refused += 1;
        if self.refused.is_power_of_two() {
            tracing::error!("{}: {why}; {} so far", self.job.who, self.refused);
        }
    }

    /// Says why nothing is taken, once a change, and waits; as long as the server asks to, if it does.
    async fn pause(&mut self, why: String, status: Option<StatusCode>, asked: Option<Millis>) {
        let (who, retry) = (&self.job.who, self.job.retry);
        let why = self.job.secrets.mask(&why);
        self.outbox.backlog.note_trouble(&why);
        let is_new = self.outage.as_ref().is_none_or(|outage| outage.status != status);
        let since = self.clock.elapsed();
        let outage = self.outage.get_or_insert(Outage { since, status, failed: 0, pause: retry.first });
        if retry.attempts.is_some_and(|most| outage.failed >= most) {
            let tries = outage.failed;
            self.outbox.backlog.fail(format!("{why}; it was tried {tries} times again, as `retry` says"));
            return;
        }
        let longest = outage.pause.0.max(1) as u64;
        let scattered = Millis((longest / 2 + self.random.bits() % (longest / 2 + 1)) as i64);
        let wait = asked.map_or(scattered, |asked| asked.max(scattered));
        outage.failed += 1;
        outage.status = status;
        outage.pause = retry.longer(outage.pause);
        if is_new {
            tracing::warn!("{who}: nothing can be sent: {why}; what waits is kept, next attempt in {wait}");
        } else {
            tracing::debug!("{who}: still nothing can be sent: {why}; next attempt in {wait}");
        }
        sleep(Duration::from_millis(wait.0 as u64)).await;
    }
}

/// Why there is no answer.
enum Failure {
    /// There can be no such request.
    Request(String),
    /// The server gives none.
    NoAnswer(String),
}

/// Connections to servers, that used last at the end.
struct Links {
    all: Vec<HttpLink>,
    /// How the certificates looked when they were read.
    stamp: Stamp,
}

impl Links {
    async fn ask(&mut self, job: &Job, outgoing: &Outgoing) -> Result<Answer, Failure> {
        let request = outgoing.request().map_err(Failure::Request)?;
        let link = self.of(&outgoing.url.server, job).map_err(Failure::NoAnswer)?;
        let was_connected = link.is_connected();
        let no_answer = |failed: NoAnswer| Failure::NoAnswer(failed.text);
        match link.ask(request).await {
            // It may have been closed by the server just before.
            Err(failed) if failed.is_cut && was_connected => {
                let again = outgoing.request().map_err(Failure::Request)?;
                link.ask(again).await.map_err(no_answer)
            }
            answer => answer.map_err(no_answer),
        }
    }

    fn of(&mut self, server: &HttpServer, job: &Job) -> Result<&mut HttpLink, String> {
        let stamp = job.tls.stamp();
        if stamp != self.stamp {
            (self.all, self.stamp) = (Vec::new(), stamp);
        }
        let link = match self.all.iter().position(|link| link.server() == server) {
            Some(at) => self.all.remove(at),
            None => {
                if self.all.len() >= MOST_LINKS {
                    self.all.remove(0);
                }
                let options = HttpOptions { timeout: job.timeout, tries: 1, answer_limit: ANSWER_LIMIT };
                let tls = server.secure.then(|| job.tls.load()).transpose()?;
                HttpLink::new(server.clone(), options, tls)
            }
        };
        let at = self.all.len();
        self.all.push(link);
        Ok(&mut self.all[at])
    }
}
