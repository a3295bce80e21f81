//! Rows of a query that events are looked up in.

use crate::common::{Folder, until};
use crate::process::Running;
use crate::servers::postgres::Postgres;

const PIPELINE: &str = "pipeline: p
sources:
  in: { generate: { rate: 50, fields: { n: sequence(), device: \"pick('d1', 'd2')\" } } }
transforms:
  placed: { from: in, lookup: { table: machines, match: machine = device AND site = 1.0, select: [line, since] } }
sinks:
  out: { from: placed, file: { path: out.ndjson } }
tables:
  machines:
    postgres: { url: \"URL\", query: \"SELECT * FROM machines;\", refresh: 100ms }
    key: [machine, site]
";

#[test]
fn looking_at_a_server_says_whether_the_query_gives_what_is_needed() {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, folder) = (postgres.database(), Folder::empty());
    folder.write("p.yaml", PIPELINE.replace("URL", &database.url()));
    let found = |status: i32, text: &str| {
        let ran = folder.run(&["check", "--connect", "p.yaml"]);
        assert!(ran.status == Some(status) && ran.stderr.contains(text), "{}", ran.stderr);
        assert!(ran.stderr.contains("table `machines`: postgres://"), "{}", ran.stderr);
    };
    found(1, "relation \"machines\" does not exist");
    database.execute("CREATE TABLE machines (machine text, site int, line text)");
    found(1, "the query gives no column `since`, but machine, site, line");
    database.execute("ALTER TABLE machines ADD since timestamptz");
    found(0, "the query gives machine, site, line, since");
}

#[test]
fn a_pipeline_waits_for_rows_and_keeps_them_while_the_server_is_away() {
    let Some(mut postgres) = Postgres::start() else { return };
    let database = postgres.database();
    let running = Running::start_in(Folder::empty(), &PIPELINE.replace("URL", &database.url()), &[]);
    // Without rows nothing is read: events with nulls would be wrong.
    running.until_said("nothing is read until there are rows");
    assert_eq!(running.read("out.ndjson"), "");
    database.execute(
        "CREATE TABLE machines (machine text, site int, line text, since timestamptz);
         INSERT INTO machines VALUES ('d1', 1, 'L1', '2026-01-01 00:00:00Z'), ('d1', 2, 'L9', NULL), ('d2', 1, 'L2', NULL)",
    );
    let has = |text: &str| running.read("out.ndjson").lines().any(|line| line.contains(text));
    until("the first rows", || {
        has(r#""device":"d1","line":"L1","since":"2026-01-01T00:00:00"#)
            && has(r#""device":"d2","line":"L2","since":null"#)
    });
    database.execute("UPDATE machines SET line = 'L3' WHERE machine = 'd1' AND site = 1");
    until("the change", || has(r#""device":"d1","line":"L3""#));
    database.execute("INSERT INTO machines VALUES ('d1', 1, 'L4', NULL)");
    running.until_said("have the same `machine`, `site`; the rows that it held stay");
    postgres.stop();
    running.until_said("nothing from");
    let before = running.read("out.ndjson").lines().count();
    until("events go on", || running.read("out.ndjson").lines().count() > before + 20);
    postgres.start_again();
    database.execute(
        "DELETE FROM machines WHERE machine = 'd1'; INSERT INTO machines VALUES ('d1', 1, 'L5', NULL)",
    );
    until("rows after the outage", || has(r#""device":"d1","line":"L5""#));
    let out = running.read("out.ndjson");
    assert!(!out.contains("L4") && !out.contains("L9") && !out.contains(r#""line":null"#));
    let (said, _) = running.stop();
    assert!(!said.contains("postgres-secret"), "{said}");
}
