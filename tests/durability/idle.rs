//! A run that has nothing to do writes nothing: flash wears out.

use crate::broker::Broker;
use crate::common::{Folder, pause, until};
use crate::victim::Victim;
use std::fs;

/// How long nothing must be written, in seconds.
fn span() -> u64 {
    std::env::var("DURABILITY_IDLE").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// Bytes that a process has had written to disks.
fn written(victim: &Victim<'_>) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/io", victim.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().parse().unwrap()
}

/// Whether files of a folder lie in memory: then nothing is ever written to a disk.
fn is_in_memory(folder: &Folder) -> bool {
    const TMPFS: i64 = 0x0102_1994;
    rustix::fs::statfs(folder.path()).unwrap().f_type as i64 == TMPFS
}

#[test]
fn what_is_idle_writes_nothing() {
    let Some(broker) = Broker::open() else { return };
    let folder = Folder::empty();
    if is_in_memory(&folder) {
        eprintln!("SKIPPED: the build folder is a tmpfs, so that no write can be seen");
        return;
    }
    let url = broker.url();
    folder.write(
        "p.yaml",
        format!(
            "options: {{ checkpoint: 200ms }}
sources:
  in:
    mqtt: {{ url: '{url}', topics: [t], client_id: idle }}
    id: n
    event_time: {{ field: ts, unit: ms, idle_after: 2s }}
transforms:
  silent: {{ from: in, absence: {{ key: [k], after: 1h }} }}
  sorted: {{ from: in, ordered: true, select: [n] }}
windows:
  hours: {{ from: in, key: [k], tumbling: 365d, aggregate: {{ n: count(*) }} }}
sinks:
  out: {{ from: [hours, silent], file: {{ path: out/rows.ndjson }} }}
  each: {{ from: sorted, file: {{ path: out/each.ndjson }} }}
"
        ),
    );
    let mut victim = Victim::start(&folder, &[]);
    until("the connection", || !victim.has_ended() && folder.read("stderr").contains("connected to"));
    pause(300);
    // A window is open, a key may fall silent, rows wait for their turn.
    broker.publish_lines(
        "t",
        "{\"ts\":1700000000000,\"n\":1,\"k\":1}\n{\"ts\":1700000000001,\"n\":2,\"k\":2}\n",
        "1",
    );
    pause(3_500);
    let before = written(&victim);
    assert!(before > 0, "it has written what came");
    pause(span() * 1_000);
    let idle = written(&victim) - before;
    broker.publish("t", "{\"ts\":1700000000002,\"n\":3,\"k\":1}");
    pause(1_000);
    let busy = written(&victim) - before - idle;
    println!("idle for {} s: {idle} bytes; then, for one event: {busy} bytes", span());
    assert_eq!(idle, 0);
    assert!(busy > 0, "the control has written");
    victim.stop();
}
