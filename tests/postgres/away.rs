//! Servers that are away, and come back.

use crate::common::Folder;
use crate::common::until;
use crate::pipeline;
use crate::process::Running;
use crate::servers::postgres::Postgres;

const LIVE: &str = "pipeline: p
options: { checkpoint: 100ms, delivery: DELIVERY }
sources:
  in: { generate: { count: 4000, rate: 1000, fields: { n: sequence() } } }
sinks:
  out:
    from: in
    batch: { events: 100, every: 50ms }
    postgres: { url: \"URL\", table: t, mode: MODE }
";

/// Runs the pipeline while the server goes and comes; returns the rows that came.
fn disturbed(postgres: &mut Postgres, delivery: &str, mode: &str) -> (Vec<String>, String) {
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int)");
    let text = LIVE.replace("DELIVERY", delivery).replace("URL", &database.url()).replace("MODE", mode);
    let running = Running::start_in(Folder::empty(), &text, &["--data-dir", "data"]);
    until("first rows", || database.number("SELECT count(*) FROM t") > 300);
    postgres.stop();
    running.until_said("nothing can be written to");
    postgres.start_again();
    let before = database.number("SELECT count(*) FROM t");
    until("further rows", || database.number("SELECT count(*) FROM t") > before + 300);
    postgres.kill();
    postgres.start_again();
    until("all rows", || database.number("SELECT count(DISTINCT n) FROM t") == 4000);
    let (_, said) = running.finish();
    (database.lines("SELECT n, count(*) FROM t GROUP BY n HAVING count(*) > 1"), said)
}

#[test]
fn a_restarted_server_gets_exactly_the_right_rows() {
    let Some(mut postgres) = Postgres::start() else { return };
    let (doubled, said) = disturbed(&mut postgres, "exactly_once", "insert");
    assert!(doubled.is_empty(), "{doubled:?}\n{said}");
    let (doubled, said) = disturbed(&mut postgres, "exactly_once", "copy");
    assert!(doubled.is_empty(), "{doubled:?}\n{said}");
    // A commit whose outcome is unknown is repeated, and nothing else.
    let (doubled, said) = disturbed(&mut postgres, "at_least_once", "insert");
    assert!(doubled.len() <= 200, "{} doubled\n{said}", doubled.len());
    assert!(said.contains("nothing can be written to postgres://127.0.0.1:"), "{said}");
    assert!(!said.contains(Postgres::PASSWORD), "{said}");
}

#[test]
fn a_pipeline_starts_before_its_server() {
    let Some(mut postgres) = Postgres::start() else { return };
    let database = postgres.database();
    postgres.stop();
    let folder = Folder::empty();
    folder.write("in.ndjson", "{\"n\":1}\n{\"n\":2}\n");
    let text = pipeline(&database.url(), "table: t", "    delivery: exactly_once\n");
    let running = Running::start_in(folder, &text, &["--data-dir", "data"]);
    running.until_said("nothing listens there");
    postgres.start_again();
    running.until_said("relation \"t\" does not exist; make `\"t\"`, or write `create: true`");
    database.execute("CREATE TABLE t (n int)");
    let (status, said) = running.finish();
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(database.lines("SELECT n FROM t ORDER BY n"), ["1", "2"]);
    let marker = database.lines("SELECT sink, marker FROM headwater_epochs");
    assert!(marker.len() == 1 && marker[0].contains("/p/out|"), "{marker:?}");
}
