//! The broker is restarted while much is under way.

use crate::broker::Broker;
use crate::process::{Running, patiently};
use std::collections::BTreeMap;

/// Messages that are published.
const ALL: usize = 100_000;
/// What may be in flight: sent by the publisher and not acknowledged, or sent to the source and not acknowledged.
const IN_FLIGHT: usize = 256 + 1024 + 2048;

#[test]
fn every_message_is_in_the_windows_though_the_broker_restarts() {
    let Some(mut broker) = Broker::persistent() else { return };
    let url = broker.url();
    let counting = Running::start(&format!(
        "sources:\n  in:\n    mqtt: {{ url: '{url}', topics: [load], client_id: counting }}\n    \
         event_time: {{ field: n, out_of_order: 4s, idle_after: 1s }}\n\
         windows:\n  w:\n    from: in\n    tumbling: 10s\n    \
         aggregate: {{ all: count(*), different: count(DISTINCT n), least: min(n), most: max(n) }}\n\
         sinks:\n  out: {{ from: w, stdout: {{}} }}\n  late: {{ from: w.late, file: {{ path: late }} }}\n  \
         bad: {{ from: in.rejected, file: {{ path: bad }} }}\n  seen: {{ from: in, file: {{ path: seen }} }}\n"
    ));
    counting.until_connected();
    let publisher = Running::start(&format!(
        "sources: {{ made: {{ generate: {{ count: {ALL}, fields: {{ n: sequence() }} }} }} }}\n\
         sinks: {{ out: {{ from: made, mqtt: {{ url: '{url}', topic: load }} }} }}\n"
    ));
    let half = || (counting.read("seen").len() > ALL * 10 / 2).then_some(());
    patiently(half, || "for half of the messages".to_owned());
    broker.stop();
    counting.until_said("no connection to");
    publisher.until_said("no connection to");
    broker.run_and_wait();
    counting.until_said("the session goes on");
    let (status, said) = publisher.finish();
    assert_eq!(status, Some(0), "{said}");

    // The last windows arrive because all is silent.
    let sums = || sums(&counting.lines());
    let complete = || (sums()["different"] >= ALL as i64).then_some(());
    patiently(complete, || format!("{:?}", sums()));
    let sums = sums();
    assert_eq!(sums["different"], ALL as i64);
    let duplicates = sums["all"] as usize - ALL;
    assert!(duplicates <= IN_FLIGHT, "{duplicates} duplicates");
    let (said, folder) = counting.stop();
    assert_eq!((folder.read("late"), folder.read("bad")), (String::new(), String::new()));
    assert_eq!(said.matches("connected to").count(), 2, "{said}");
    assert!(
        broker.folder().read("log").contains("counting 1 load") || said.contains("reconnected"),
        "{said}"
    );
    println!("{duplicates} duplicates");
}

/// The sums of the numbers in all windows.
fn sums(lines: &[String]) -> BTreeMap<String, i64> {
    let mut sums: BTreeMap<String, i64> = [("all".to_owned(), 0), ("different".to_owned(), 0)].into();
    for line in lines {
        // A line may be half written.
        let Ok(window) = serde_json::from_str::<BTreeMap<String, i64>>(line) else { continue };
        window.into_iter().for_each(|(name, value)| *sums.entry(name).or_default() += value);
    }
    sums
}
