//! Event time where messages come live.

use crate::broker::Broker;
use crate::process::{Running, patiently, time_of};
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::dataflow::Instance;
use headwater::plan::{self, Plan};
use headwater::runtime::Pipeline;
use headwater::time::{Clock, Millis, SystemClock, Timestamp};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

#[test]
fn the_last_window_arrives_though_all_is_silent() {
    let Some(broker) = Broker::open() else { return };
    let url = broker.url();
    let running = Running::start(&format!(
        "sources:\n  in:\n    mqtt: {{ url: '{url}', topics: [t] }}\n    \
         event_time: {{ field: n, out_of_order: 1s, idle_after: 1s }}\n\
         windows: {{ w: {{ from: in, tumbling: 2s, aggregate: {{ n: count(*) }} }} }}\n\
         sinks: {{ out: {{ from: w, stdout: {{}} }} }}\n"
    ));
    running.until_connected();
    let lines: String = (0..10).map(|n| format!("{{\"n\":{}}}\n", n * 100)).collect();
    broker.publish_lines("t", &lines, "1");
    let took = time_of(|| _ = running.until_lines(1));
    assert_eq!(running.lines(), [r#"{"n":10,"window_start":0,"window_end":2000}"#]);
    // Size, disorder, and the time after which a source is idle; and what machines under load take.
    assert!(took < Duration::from_millis(2000 + 1000 + 1000 + 1000), "{took:?}");
}

/// A clock that starts days in the past and is set right later.
struct Behind {
    system: SystemClock,
    behind: AtomicI64,
}

impl Clock for Behind {
    fn wall(&self) -> Timestamp {
        Timestamp(self.system.wall().0 - self.behind.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Millis {
        self.system.elapsed()
    }

    fn wait(&self, span: Millis) {
        self.system.wait(span);
    }

    fn doze(&self, span: Millis) {
        self.system.doze(span);
    }

    fn synchronised(&self) -> bool {
        self.behind.load(Ordering::Relaxed) == 0
    }

    fn entropy(&self) -> u64 {
        self.system.entropy()
    }
}

/// A run ends with the test, also where that fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn planned(text: &str) -> Plan {
    let faults = Faults::new(SourceFile::new("p.yaml", text.into()).unwrap());
    let environment = ProcessEnvironment::default();
    let file = read_pipeline(&faults, Surroundings { environment: &environment, overrides: &[] }).unwrap();
    let instance = Instance { id: "behind".to_owned(), lasting: false };
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &instance };
    plan::plan(&file, &surroundings, &faults).unwrap_or_else(|| panic!("{:?}", faults.diagnostics()))
}

#[test]
fn a_clock_that_is_days_behind_and_then_set_rejects_nothing() {
    let Some(broker) = Broker::open() else { return };
    let (url, out) = (broker.url(), broker.folder().path().join("out").display().to_string());
    let plan = planned(&format!(
        "sources:\n  in:\n    mqtt: {{ url: '{url}', topics: [t] }}\n    \
         event_time: {{ field: ts, out_of_order: 1s, max_ahead: 5m, idle_after: 1s }}\n\
         windows: {{ w: {{ from: in, tumbling: 1s, aggregate: {{ n: count(*) }} }} }}\n\
         sinks: {{ out: {{ from: w, file: {{ path: '{out}' }} }}, all: {{ from: in, file: {{ path: '{out}.all' }} }}, \
         bad: {{ from: in.rejected, file: {{ path: '{out}.bad' }} }}, late: {{ from: w.late, file: {{ path: '{out}.late' }} }} }}\n"
    ));
    let clock = Behind { system: SystemClock::new(), behind: AtomicI64::new(3 * 24 * 3_600_000) };
    let stop = AtomicBool::new(false);
    let pipeline = Pipeline::open(&plan, &clock).unwrap();
    let send = |count: i64| {
        let now = clock.system.wall().0;
        let lines: String = (0..count).map(|n| format!("{{\"ts\":{}}}\n", now + n)).collect();
        broker.publish_lines("t", &lines, "1");
    };
    let all = |count: usize| {
        let lines = || broker.folder().read("out.all").lines().count();
        patiently(|| (lines() == count).then_some(()), || format!("{} of {count}", lines()));
    };
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&stop);
        let run = scope.spawn(|| pipeline.run(&clock, &stop, &mut |_| {}));
        // Subscribed once a retained message has come.
        broker.publish_with("t", &format!("{{\"ts\":{}}}", clock.system.wall().0), &["-r", "-q", "1"]);
        all(1);
        send(20);
        all(21);
        clock.behind.store(0, Ordering::Relaxed);
        send(20);
        all(41);
        // A device whose own clock is wrong is still found out.
        broker.publish("t", &format!("{{\"ts\":{}}}", clock.system.wall().0 + 24 * 3_600_000));
        let bad = || broker.folder().read("out.bad");
        patiently(|| (bad().lines().count() == 1).then_some(()), bad);
        let fired = || broker.folder().read("out").contains("\"n\":");
        patiently(|| fired().then_some(()), || "for a window".to_owned());
        stop.store(true, Ordering::Relaxed);
        run.join().unwrap().unwrap();
    });
    assert_eq!(broker.folder().read("out.late"), "");
}
