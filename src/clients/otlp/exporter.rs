//! The thread that tells.

use super::route::Route;
use super::settings::{Gathering, Settings};
use crate::clients::keeper::{Keeper, Keeping};
use crate::telemetry::Sample;
use crate::telemetry::otlp::{LOG, Span, THREAD, logs, metrics};
use crate::time::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the last requests may take.
const LAST_TIME: Duration = Duration::from_secs(5);
/// How much a clock must have been set by until counting began at another time.
const CLOCK_SET: i64 = 60_000;

/// Gives all readings now. Waits for nobody.
pub type Readings = Box<dyn Fn() -> Vec<Sample> + Send>;

/// Tells a collector, until it is dropped: what is there then is told as well, if that can be done in five seconds.
pub struct Exporter {
    closing: watch::Sender<bool>,
    over: Receiver<()>,
    _keeper: Keeper,
}

impl Exporter {
    /// Starts to tell. `resource` is what holds for the process as a whole; the settings come before it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        settings: Settings,
        resource: Vec<(&'static str, String)>,
        readings: Readings,
        clock: Arc<dyn Clock>,
    ) -> Result<Exporter, String> {
        let (closing, closed) = watch::channel(false);
        let (done, over) = sync_channel(1);
        let resource = merged(resource, &settings.resource);
        let logs = settings.logs.map(|target| Logs {
            route: Route::new("logs", target, clock.clone()),
            gathering: settings.gathering,
            resource: resource.clone(),
            bodies: Vec::new(),
            clock: clock.clone(),
        });
        let metrics = settings.metrics.map(|target| Metrics {
            route: Route::new("metrics", target, clock.clone()),
            every: Duration::from_millis(settings.interval.0.max(1) as u64),
            readings,
            resource,
            start: clock.wall(),
            clock,
        });
        if logs.is_some() {
            LOG.open(settings.gathering.queue);
        }
        let work = Work { metrics, logs, closed, is_over: false, _done: done };
        Ok(Exporter { closing, over, _keeper: Keeper::start(THREAD, work)? })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        // Nothing is sent: the other end is gone when all is done.
        let _ = self.over.recv_timeout(LAST_TIME);
        LOG.close();
    }
}

/// Each name once: what was configured stands in the place of ours.
fn merged(own: Vec<(&'static str, String)>, configured: &[(String, String)]) -> Vec<(String, String)> {
    let mut merged: Vec<(String, String)> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (name, value) in configured {
        match merged.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => merged.push((name.clone(), value.clone())),
        }
    }
    merged
}

/// What the thread does.
struct Work {
    metrics: Option<Metrics>,
    logs: Option<Logs>,
    closed: watch::Receiver<bool>,
    is_over: bool,
    /// Goes with this.
    _done: SyncSender<()>,
}

impl Keeping for Work {
    async fn keep(&mut self) {
        let Work { metrics, logs, closed, .. } = self;
        // What one collector does not take holds up nothing that goes to another.
        let metrics = async {
            if let Some(metrics) = metrics {
                metrics.run(closed.clone()).await;
            }
        };
        let logs = async {
            if let Some(logs) = logs {
                logs.run(closed.clone()).await;
            }
        };
        tokio::join!(metrics, logs);
        self.is_over = true;
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn who(&self) -> &'static str {
        "telemetry"
    }
}

/// Readings on their way.
struct Metrics {
    route: Route,
    every: Duration,
    readings: Readings,
    resource: Vec<(String, String)>,
    /// When counting began, by the clock as it is set now.
    start: Timestamp,
    clock: Arc<dyn Clock>,
}

impl Metrics {
    /// Readings are whole since the start, so what did not go through is read anew.
    async fn run(&mut self, mut closed: watch::Receiver<bool>) {
        let mut wait = self.every;
        while timeout(wait, closed.wait_for(|closed| *closed)).await.is_err() {
            wait = self.tell().await.err().unwrap_or(self.every);
        }
        let _ = self.tell().await;
    }

    async fn tell(&mut self) -> Result<(), Duration> {
        let span = self.span();
        let mut bodies = metrics(&self.resource, &(self.readings)(), span);
        self.route.send(&mut bodies).await
    }

    /// Counting began when the process did, by a clock that may have been set since, as on a board without a battery.
    fn span(&mut self) -> Span {
        let now = self.clock.wall();
        let began = Timestamp(now.0.saturating_sub(self.clock.elapsed().0));
        if (began.0 - self.start.0).abs() > CLOCK_SET {
            self.start = began;
        }
        let nanos = |time: Timestamp| (time.0.max(0) as u64).saturating_mul(1_000_000);
        Span { start: nanos(self.start).min(nanos(now)), now: nanos(now) }
    }
}

/// Lines of the log on their way.
struct Logs {
    route: Route,
    gathering: Gathering,
    resource: Vec<(String, String)>,
    /// What was taken out of the queue, and is not taken there.
    bodies: Vec<Vec<u8>>,
    clock: Arc<dyn Clock>,
}

impl Logs {
    async fn run(&mut self, mut closed: watch::Receiver<bool>) {
        let every = Duration::from_millis(self.gathering.every.0.max(1) as u64);
        let mut wait = every;
        while timeout(wait, closed.wait_for(|closed| *closed)).await.is_err() {
            wait = self.tell().await.err().unwrap_or(every);
        }
        let _ = self.tell().await;
    }

    /// Tells all that waits.
    async fn tell(&mut self) -> Result<(), Duration> {
        loop {
            self.route.send(&mut self.bodies).await?;
            let (lines, lost) = LOG.take(self.gathering.batch);
            if lost > 0 {
                tracing::warn!("{lost} lines of the log were not told to the collector: too many waited");
            }
            if lines.is_empty() {
                return Ok(());
            }
            self.bodies.push(logs(&self.resource, &lines, self.clock.wall()));
        }
    }
}
