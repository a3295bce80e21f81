//! A thread with a runtime of its own, which keeps one connection busy until it is stopped.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::sleep;

/// The wait behind work that panicked.
const REST: Duration = Duration::from_secs(1);

/// What such a thread does.
pub trait Keeping: Send + 'static {
    /// Works until nothing must be done any more. Is dropped at any point where it waits when the thread is to end.
    fn keep(&mut self) -> impl Future<Output = ()>;

    /// Whether nothing is to be done any more.
    fn is_over(&self) -> bool;

    /// Who works, for messages.
    fn who(&self) -> &str;

    /// Nothing is done for now: work has panicked, or is over.
    fn rests(&mut self) {}
}

/// A thread that works. Dropping it ends it at once.
pub struct Keeper {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    wanted: AtomicBool,
    wake: Notify,
}

impl Keeper {
    /// Starts to work, on a thread of that name.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(name: &str, mut work: impl Keeping) -> Result<Keeper, String> {
        let cannot = |error: std::io::Error| format!("cannot start a connection: {error}");
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let stop = Arc::new(Stop::default());
        let stopped = stop.clone();
        let run = move || {
            while !stopped.wanted.load(Ordering::Relaxed) && !work.is_over() {
                let working = async {
                    tokio::select! { () = stopped.wake.notified() => {}, () = work.keep() => {} }
                };
                if catch_unwind(AssertUnwindSafe(|| runtime.block_on(working))).is_err() {
                    let who = work.who();
                    tracing::error!(
                        "{who}: the connection panicked: this is a fault of Headwater, please report it"
                    );
                    work.rests();
                    runtime.block_on(sleep(REST));
                }
            }
            work.rests();
            drop(work);
            // A name that is being looked up holds nobody up.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(cannot)?;
        Ok(Keeper { stop, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.wanted.store(true, Ordering::Relaxed);
        self.stop.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // One that panicked is over as well.
            let _ = thread.join();
        }
    }
}
