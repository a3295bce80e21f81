//! Rows that a table refuses come back by the sink's `.rejected` port.

use crate::common::Folder;
use crate::servers::postgres::{Database, Postgres};
use crate::victim::{Numbers, Victim, kills};

/// A table takes none of every tenth event, and such go to a file.
fn with_port(database: &Database, delivery: &str, mode: &str) -> String {
    format!(
        "pipeline: p
options: {{ delivery: {delivery}, checkpoint: 50ms }}
sources: {{ in: {{ file: {{ path: in.ndjson }} }} }}
sinks:
  out: {{ from: in, postgres: {{ url: '{}', table: t, mode: {mode} }} }}
  back: {{ from: out.rejected, file: {{ path: back.ndjson }} }}
",
        database.url()
    )
}

fn is_refused(n: i64) -> bool {
    n % 10 == 3
}

fn prepare(postgres: &Postgres, count: i64) -> (Database, Folder) {
    let (database, folder) = (postgres.database(), Folder::empty());
    database.execute("CREATE TABLE t (n bigint CHECK (n % 10 <> 3))");
    folder.write("in.ndjson", (0..count).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    (database, folder)
}

/// Each event is in the table or in the file, once.
fn check(database: &Database, folder: &Folder, count: i64, said: &str) {
    let mut back: Vec<i64> = Vec::new();
    for line in folder.read("back.ndjson").lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&row["kind"], &row["node"]), (&"refused".into(), &"out".into()), "{line}");
        assert!(row["reason"].as_str().unwrap().contains("constraint"), "{line}");
        let event: serde_json::Value = serde_json::from_str(row["raw"].as_str().unwrap()).unwrap();
        back.push(event["n"].as_i64().unwrap());
    }
    back.sort_unstable();
    assert!(
        back.iter().copied().eq((0..count).filter(|n| is_refused(*n))),
        "{} came back: {said}",
        back.len()
    );
    let taken: Vec<i64> = (0..count).filter(|n| !is_refused(*n)).collect();
    let (rows, sum) = (taken.len(), taken.iter().sum::<i64>());
    assert_eq!(
        database.lines("SELECT count(*), count(DISTINCT n), sum(n) FROM t"),
        [format!("{rows}|{rows}|{sum}")],
        "{said}"
    );
}

#[test]
fn what_a_table_refuses_leaves_by_the_port() {
    let Some(postgres) = Postgres::shared() else { return };
    for (delivery, mode) in
        [("at_least_once", "insert"), ("exactly_once", "insert"), ("exactly_once", "copy")]
    {
        let (database, folder) = prepare(postgres, 100);
        folder.write("p.yaml", with_port(&database, delivery, mode));
        // The second run finds nothing new.
        for _ in 0..2 {
            let ran = folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
            check(&database, &folder, 100, &format!("{delivery} {mode}: {}", ran.stderr));
        }
    }
}

#[test]
fn no_kill_loses_or_doubles_what_a_table_refuses() {
    let Some(postgres) = Postgres::shared() else { return };
    let (count, mut numbers) = (20_000, Numbers(17));
    let (database, folder) = prepare(postgres, count);
    folder.write("p.yaml", with_port(&database, "exactly_once", "insert"));
    let mut lived = 0;
    while lived < kills().div_ceil(3) {
        let mut victim = Victim::start(&folder, &[]);
        if !victim.live(20 + numbers.below(700)) {
            break;
        }
        victim.kill();
        lived += 1;
    }
    println!("{lived} kills");
    let said = Victim::start(&folder, &[]).succeeded();
    check(&database, &folder, count, &said);
}
