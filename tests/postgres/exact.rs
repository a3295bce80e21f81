//! Exactly once: the program is killed at any moment, or runs twice.

use crate::common::{Folder, pause, until};
use crate::process::Running;
use crate::servers::postgres::{Database, Postgres};
use crate::victim::{Numbers, Victim, kills};
use std::path::Path;

/// So many that the input does not end before the last kill.
fn events() -> i64 {
    some_kills() as i64 * 10_000
}

/// The longest that a run lives, in milliseconds.
const LONGEST: u64 = 500;

fn windows(database: &Database, mode: &str) -> String {
    let url = database.url();
    format!(
        "pipeline: p
options: {{ checkpoint: 50ms, delivery: exactly_once, parallelism: 2 }}
sources:
  in:
    file: {{ path: in.ndjson }}
    event_time: {{ field: ts }}
windows:
  sums: {{ from: in, key: [k], tumbling: 1s, aggregate: {{ n: count(*), total: sum(v) }} }}
sinks:
  rows: {{ from: in, postgres: {{ url: '{url}', table: rows, mode: {mode} }} }}
  out: {{ from: sums, postgres: {{ url: '{url}', table: sums, mode: insert }} }}
"
    )
}

/// Some kills: each costs a start.
fn some_kills() -> u64 {
    kills().div_ceil(2)
}

fn killed(mode: &str, seed: u64) {
    let Some(postgres) = Postgres::shared() else { return };
    let events = events();
    let (database, folder, mut numbers) = (postgres.database(), Folder::empty(), Numbers(seed));
    database.execute(
        "CREATE TABLE rows (ts bigint, k int, v int);
         CREATE TABLE sums (k int, n int, total bigint, window_start bigint, window_end bigint)",
    );
    let line = |n: i64| format!("{{\"ts\":{},\"k\":{},\"v\":{}}}\n", n * 2, n % 7, n % 11);
    folder.write("in.ndjson", (0..events).map(line).collect::<String>());
    folder.write("p.yaml", windows(&database, mode));
    let mut lived = 0;
    while lived < some_kills() {
        let mut victim = Victim::start(&folder, &[]);
        if !victim.live(20 + numbers.below(LONGEST)) {
            break;
        }
        victim.kill();
        lived += 1;
    }
    println!("{mode}: {lived} kills");
    let said = Victim::start(&folder, &[]).succeeded();
    let of = |table: &str| {
        format!(
            "SELECT count(*), count(DISTINCT (k, {0})), sum({0}) FROM {table}",
            if table == "rows" { "ts" } else { "window_start" }
        )
    };
    let sum: i64 = (0..events).map(|n| n * 2).sum();
    assert_eq!(database.lines(&of("rows")), [format!("{events}|{events}|{sum}")], "{said}");
    let windows = events * 2 / 1000 * 7;
    let sum: i64 = (0..events * 2 / 1000).map(|n| n * 7000).sum();
    assert_eq!(database.lines(&of("sums")), [format!("{windows}|{windows}|{sum}")], "{said}");
    let total: i64 = (0..events).map(|n| n % 11).sum();
    assert_eq!(database.lines("SELECT sum(n), sum(total) FROM sums"), [format!("{events}|{total}")]);
}

#[test]
fn killed_again_and_again_each_row_once() {
    killed("insert", 5);
}

#[test]
fn killed_again_and_again_each_copied_row_once() {
    killed("copy", 6);
}

const LIVE: &str = "pipeline: p
options: { checkpoint: 50ms, delivery: exactly_once }
sources:
  in: { generate: { rate: 500, fields: { n: sequence() } } }
sinks:
  out: { from: in, postgres: { url: \"URL\", table: t } }
";

#[test]
fn a_second_copy_leaves_the_first_alone() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int)");
    let text = LIVE.replace("URL", &database.url());
    let first = Running::start_in(Folder::empty(), &text, &["--data-dir", "data"]);
    until("rows", || database.number("SELECT count(*) FROM t") > 0);
    // The same instance, as when a whole gateway is copied.
    let copy = Folder::empty();
    copy_files(&first.place().join("data"), &copy.path().join("data"));
    let second = Running::start_in(copy, &text, &["--data-dir", "data"]);
    second.until_said("knows nothing of");
    let (status, said) = second.finish();
    assert_ne!(status, Some(0));
    assert!(said.contains("--accept-duplicates"), "{said}");
    let count = || database.number("SELECT count(*) FROM t");
    let before = count();
    until("further rows of the first", || count() > before);
    first.stop();
    assert_eq!(database.number("SELECT count(*) - count(DISTINCT n) FROM t"), 0);
}

#[test]
fn a_copy_that_may_go_on_shuts_the_other_out() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int)");
    let text = LIVE.replace("URL", &database.url());
    let first = Running::start_in(Folder::empty(), &text, &["--data-dir", "data"]);
    until("rows", || database.number("SELECT count(*) FROM t") > 0);
    let copy = Folder::empty();
    copy_files(&first.place().join("data"), &copy.path().join("data"));
    let second = Running::start_in(copy, &text, &["--data-dir", "data", "--accept-duplicates"]);
    let (status, said) = first.finish();
    assert_ne!(status, Some(0));
    assert!(said.contains("another process writes as") && said.contains("an `instance` each"), "{said}");
    second.stop();
}

/// Copies the files of a data directory, which make the same instance of another process.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn two_instances_write_to_one_table() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int)");
    let text = LIVE.replace("URL", &database.url());
    let start = || Running::start_in(Folder::empty(), &text, &["--data-dir", "data"]);
    let (first, second) = (start(), start());
    until("rows of both", || database.number("SELECT count(*) - count(DISTINCT n) FROM t") > 100);
    first.stop();
    second.stop();
    assert_eq!(database.number("SELECT count(*) FROM headwater_epochs"), 2);
    assert_eq!(database.lines("SELECT n FROM t GROUP BY n HAVING count(*) > 2"), [""; 0]);
}

#[test]
fn what_is_missing_from_the_target_is_asked_about() {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, folder) = (postgres.database(), Folder::empty());
    database.execute("CREATE TABLE t (n int)");
    folder.write("p.yaml", LIVE.replace("URL", &database.url()));
    let victim = Victim::start(&folder, &[]);
    until("rows", || database.number("SELECT count(*) FROM t") > 0);
    pause(200);
    victim.kill();
    // Somebody restores the database as it was before.
    database.execute("UPDATE headwater_epochs SET marker = split_part(marker, '-', 1) || '-0-0'");
    let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]);
    assert_ne!(ran.status, Some(0));
    assert!(ran.stderr.contains("has lost output"), "{}", ran.stderr);
}
