//! The thread that keeps a connection: makes it, polls it always, and makes it again when it is lost.

use super::link::{Accepted, Happened, Link, Wire, link};
use super::{Connecting, Transport};
use crate::clients::tls::Stamp;
use crate::dataflow::Retry;
use crate::time::{Clock, Millis, Random, SystemClock};
use rumqttc::TlsConfiguration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// How often certificates are looked at, and whether something has come.
const TICK: Duration = Duration::from_secs(1);
/// How often it is asked whether to connect, in milliseconds.
const ASK: u64 = 100;
/// The wait behind a fault of our own, in milliseconds.
const LONGEST_WAIT: u64 = 30_000;
/// A connection that has held for so many ticks was no failure.
const STEADY: u32 = 10;
/// How long taking leave may take.
const LEAVE: Duration = Duration::from_millis(500);

/// What a component does with its connection. All calls come from the connection's thread and must not block.
pub trait Endpoint: Send + Sync + 'static {
    /// The broker took us. What is told to `wire` now is sent first.
    ///
    /// # Errors
    /// Why this broker will not do.
    fn accepted(&self, wire: &Wire, accepted: Accepted) -> Result<(), String>;

    /// Handles what happened since, and leaves `happened` empty.
    ///
    /// # Errors
    /// Why the connection is to be made anew.
    fn happened(&self, happened: &mut Vec<Happened>) -> Result<(), String>;

    /// The connection is gone.
    fn lost(&self);

    /// There is no connection: why, in words that may be shown.
    fn unreachable(&self, _reason: &str) {}

    /// It was tried as often as it may be: there will be no further connection.
    fn given_up(&self, _reason: &str) {}

    /// Whether a new connection may be made now.
    fn may_connect(&self) -> bool {
        true
    }

    /// How many messages have come; None while it is not known whether some are held back by ourselves.
    fn arrivals(&self) -> Option<u64> {
        None
    }

    /// Whether messages of QoS 2 come in.
    fn takes_exactly_once(&self) -> bool {
        false
    }

    /// Whether a connection serves its purpose as soon as it is accepted.
    fn is_served(&self) -> bool;
}

/// A connection that is kept. Dropping it takes leave.
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    wake: Notify,
    /// What came of the first attempt.
    first: Mutex<Option<Result<(), String>>>,
    told: Condvar,
}

impl Shared {
    fn tell_first(&self, outcome: Result<(), String>) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(outcome);
        self.told.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl Keeper {
    /// Starts to connect. With `stale_after` a connection that brings nothing for so long is made anew.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        connecting: Connecting,
        stale_after: Option<Millis>,
        endpoint: Arc<dyn Endpoint>,
    ) -> Result<Keeper, String> {
        let shared = Arc::new(Shared::default());
        let cannot = |error: std::io::Error| format!("cannot start a connection: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let random = Random::seeded(SystemClock::new().entropy());
        let stale_ticks = stale_after.map(|span| u32::try_from((span.0 + 999) / 1000).unwrap_or(u32::MAX));
        let was_accepted = AtomicBool::new(false);
        let mut keeping =
            Keeping { connecting, endpoint, shared: shared.clone(), random, stale_ticks, was_accepted };
        let thread = std::thread::Builder::new().name("mqtt".to_owned());
        let thread = thread.spawn(move || keeping.keep_always(&runtime)).map_err(cannot)?;
        Ok(Keeper { shared, thread: Some(thread) })
    }

    /// Waits until the first attempt has served its purpose or failed.
    ///
    /// # Errors
    /// Why it failed.
    pub fn first_attempt(&self) -> Result<(), String> {
        let mut first = self.shared.first.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*first {
                Some(outcome) => return outcome.clone(),
                None => first = self.shared.told.wait(first).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Sends what was told to the wire, takes leave of the broker and ends the thread; takes little time.
    pub fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // One that panicked is over as well.
            let _ = thread.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Keeping {
    connecting: Connecting,
    endpoint: Arc<dyn Endpoint>,
    shared: Arc<Shared>,
    random: Random,
    stale_ticks: Option<u32>,
    was_accepted: AtomicBool,
}

/// How a connection went.
struct Ended {
    reason: String,
    /// Seconds for which it served.
    held: u32,
    /// Whether we ended it for a good reason of our own.
    wanted: bool,
}

impl Keeping {
    /// Keeps the connection until it is to be stopped, also where something in it panics.
    fn keep_always(&mut self, runtime: &Runtime) {
        while catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.keep()))).is_err() {
            let who = &self.connecting.who;
            tracing::error!("{who}: the connection panicked: this is a fault of Headwater, please report it");
            self.endpoint.lost();
            self.shared.tell_first(Err("the connection panicked".to_owned()));
            runtime.block_on(self.pause(LONGEST_WAIT));
        }
    }

    async fn keep(&mut self) {
        let mut failures = 0;
        let mut said = String::new();
        while !self.shared.is_stopping() {
            while !self.endpoint.may_connect() && !self.shared.is_stopping() {
                self.pause(ASK).await;
            }
            let ended = self.connect().await;
            self.endpoint.lost();
            if self.shared.is_stopping() {
                break;
            }
            self.shared.tell_first(Err(ended.reason.clone()));
            if ended.held > 0 {
                said.clear();
            }
            failures = if ended.held >= STEADY || ended.wanted { 0 } else { failures + 1 };
            if self.connecting.retry.attempts.is_some_and(|most| failures > most) {
                self.endpoint.given_up(&self.connecting.secrets.mask(&ended.reason));
                break;
            }
            let wait =
                if ended.wanted { 0 } else { wait(failures, &self.connecting.retry, &mut self.random) };
            self.report(&ended, wait, &mut said);
            self.pause(wait).await;
        }
        self.shared.tell_first(Err("stopped".to_owned()));
    }

    /// Says why a connection ended, once a change.
    fn report(&self, ended: &Ended, wait: u64, said: &mut String) {
        let reason = self.connecting.secrets.mask(&ended.reason);
        let (who, broker) = (&self.connecting.who, self.connecting.shown_address());
        let delay = Millis(wait as i64);
        if !ended.wanted {
            self.endpoint.unreachable(&format!("no connection to {broker}: {reason}"));
        }
        if ended.wanted {
            tracing::info!("{who}: connecting anew to {broker}: {reason}");
        } else if *said == ended.reason {
            tracing::debug!("{who}: still no connection to {broker}: {reason}; next attempt in {delay}");
        } else {
            tracing::warn!("{who}: no connection to {broker}: {reason}; next attempt in {delay}");
        }
        said.clone_from(&ended.reason);
    }

    async fn pause(&self, millis: u64) {
        let sleep = tokio::time::sleep(Duration::from_millis(millis));
        tokio::select! { () = sleep => {}, () = self.shared.wake.notified() => {} }
    }

    /// Connects and serves until the connection is over.
    async fn connect(&self) -> Ended {
        let stamp = self.connecting.tls.stamp();
        let tls = match self.connecting.address.transport {
            Transport::Tls => match self.connecting.tls.load() {
                Ok(tls) => Some(TlsConfiguration::Rustls(tls)),
                Err(reason) => return Ended { reason, held: 0, wanted: false },
            },
            _ => None,
        };
        let first = !self.was_accepted.load(Ordering::Relaxed);
        let (wire, mut link) = link(&self.connecting, tls, first);
        if self.endpoint.takes_exactly_once() {
            link.expect_releases();
        }
        let mut watch = Watch { stamp, seen: None, quiet: 0, held: 0 };
        let mut serving = pin!(self.serve(&wire, link));
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                reason = &mut serving => return Ended { reason, held: watch.held, wanted: false },
                _ = ticks.tick() => if let Some(reason) = self.look(&mut watch) {
                    wire.disconnect();
                    let _ = tokio::time::timeout(LEAVE, &mut serving).await;
                    return Ended { reason, held: watch.held, wanted: true };
                },
                () = self.shared.wake.notified() => if self.shared.is_stopping() {
                    wire.disconnect();
                    let _ = tokio::time::timeout(LEAVE, &mut serving).await;
                    return Ended { reason: String::new(), held: watch.held, wanted: true };
                },
            }
        }
    }

    /// Polls a connection until it is over; returns why. While it is polled, its keep-alive works.
    async fn serve(&self, wire: &Wire, mut link: Link) -> String {
        let mut happened = Vec::new();
        loop {
            if let Err(reason) = link.poll(&mut happened).await {
                return reason;
            }
            if let Some(Happened::Accepted(accepted)) = happened.first() {
                let accepted = *accepted;
                happened.remove(0);
                self.say_accepted(accepted);
                if let Err(reason) = self.endpoint.accepted(wire, accepted) {
                    return reason;
                }
            }
            if let Err(reason) = self.endpoint.happened(&mut happened) {
                return reason;
            }
            if self.endpoint.is_served() {
                self.shared.tell_first(Ok(()));
            }
        }
    }

    fn say_accepted(&self, accepted: Accepted) {
        self.was_accepted.store(true, Ordering::Relaxed);
        let session = if accepted.session_present { "the session goes on" } else { "a new session" };
        let (who, broker) = (&self.connecting.who, self.connecting.shown_address());
        tracing::info!("{who}: connected to {broker}, {session}");
    }

    /// Looks whether the connection should be made anew; returns why.
    fn look(&self, watch: &mut Watch) -> Option<String> {
        watch.held += u32::from(self.endpoint.is_served());
        let arrivals = self.endpoint.arrivals();
        watch.quiet = if arrivals.is_some() && arrivals == watch.seen { watch.quiet + 1 } else { 0 };
        watch.seen = arrivals;
        if self.stale_ticks.is_some_and(|ticks| watch.quiet >= ticks) && self.endpoint.is_served() {
            return Some(format!("nothing has come for {}", Millis(i64::from(watch.quiet) * 1000)));
        }
        let stamp = self.connecting.tls.stamp();
        if stamp == watch.stamp || self.connecting.address.transport != Transport::Tls {
            return None;
        }
        watch.stamp = stamp;
        match self.connecting.tls.load() {
            Ok(_) => Some("the certificates have changed".to_owned()),
            Err(reason) => {
                let who = &self.connecting.who;
                tracing::error!(
                    "{who}: the changed certificates cannot be used, the old ones serve on: {reason}"
                );
                None
            }
        }
    }
}

/// What is watched while a connection holds.
struct Watch {
    stamp: Stamp,
    seen: Option<u64>,
    quiet: u32,
    held: u32,
}

/// Milliseconds until the next attempt: doubled with every failure, and scattered by half, so that a thousand clients
/// of a broker that comes back do not all come at once.
fn wait(failures: u32, retry: &Retry, random: &mut Random) -> u64 {
    let [first, max] = [retry.first, retry.max].map(|span| span.0.max(1) as u64);
    let longest = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(max);
    longest / 2 + random.bits() % (longest / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_limit_and_scatter() {
        let mut random = Random::seeded(1);
        for failures in 1..100 {
            let longest = (100 << (failures - 1).min(20)).min(60_000);
            let wait = wait(failures as u32, &Retry::default(), &mut random);
            assert!((longest / 2..=longest).contains(&wait), "{failures}: {wait}");
        }
    }
}
