//! What is wrong at the server is said in words that help.

use crate::common::Folder;
use crate::pipeline;
use crate::process::Running;
use crate::servers::postgres::{Database, Postgres};
use headwater::config::{Faults, ProcessEnvironment, SourceFile, Surroundings, read_pipeline};
use headwater::plan;
use std::path::Path;

/// What looking at the server comes to.
fn probed(pipeline: &str) -> Result<String, String> {
    let faults = Faults::new(SourceFile::new("p.yaml", pipeline.into()).unwrap());
    let surroundings = Surroundings { environment: &ProcessEnvironment::default(), overrides: &[] };
    let file = read_pipeline(&faults, surroundings).unwrap();
    let surroundings = plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
    let plan = plan::plan(&file, &surroundings, &faults).unwrap();
    plan.sinks[0].plan.probe().unwrap()
}

/// Looks at the server and runs a pipeline: both say this.
fn says(url: &str, options: &str, texts: &[&str]) {
    let folder = Folder::empty();
    folder.write("in.ndjson", "{\"n\":1}\n");
    let running = Running::start_in(folder, &pipeline(url, options, ""), &["--data-dir", "data"]);
    texts.iter().for_each(|text| _ = running.until_said(text));
    let found = probed(&pipeline(url, options, "")).unwrap_err();
    assert!(found.starts_with("postgres://") && texts.iter().all(|text| found.contains(text)), "{found}");
    running.until_said("`out` of `p`").until_said("postgres://");
    let (_, said, _) = running.stop_anyhow();
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn users_and_rights() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int); CREATE USER guest PASSWORD 'guest-secret'");
    says(
        &database.url_of("postgres", "wrong-secret"),
        "table: t",
        &["password authentication failed for user \"postgres\"; is the password of `postgres` right?"],
    );
    let elsewhere = Database { name: "elsewhere".to_owned(), ..postgres.maintenance() };
    says(
        &elsewhere.url(),
        "table: t",
        &["database \"elsewhere\" does not exist; make it with `CREATE DATABASE`"],
    );
    says(
        &database.url_of("guest", "guest-secret"),
        "table: t",
        &["permission denied for table t; `GRANT SELECT, INSERT, UPDATE ON \"t\" TO guest` allows it"],
    );
}

#[test]
fn tables_and_columns() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int)");
    let url = database.url();
    says(
        &url,
        "table: other",
        &["relation \"other\" does not exist; make `\"other\"`, or write `create: true`"],
    );
    says(
        &url,
        "table: t\n      columns: [n, site]",
        &["column \"site\" of relation \"t\" does not exist; add it to `\"t\"`, or name in `columns`"],
    );
    says(
        &url,
        "table: t\n      mode: upsert\n      key: n",
        &["no unique or exclusion constraint", "`key` needs a primary key or a unique index of `\"t\"`"],
    );
}

#[test]
fn what_is_right_is_found_and_nothing_changed() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int, s text)");
    let exactly_once = "    delivery: exactly_once\n";
    let found = probed(&pipeline(&database.url(), "table: t", exactly_once)).unwrap();
    assert!(found.contains("; \"t\" has 2 columns") && !found.contains("secret"), "{found}");
    let options = "table: made\n      create: true\n      columns: [n]";
    let found = probed(&pipeline(&database.url(), options, exactly_once)).unwrap();
    assert!(found.ends_with("the table \"made\" will be made"), "{found}");
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename IN ('made', 'headwater_epochs')";
    assert_eq!(database.number(tables), 0);
    // Whoever may not make the table of markers is told how it is made.
    database.execute("CREATE USER visitor PASSWORD 'visitor-secret'; GRANT SELECT, INSERT ON t TO visitor");
    let url = database.url_of("visitor", "visitor-secret");
    let folder = Folder::empty();
    folder.write("in.ndjson", "{\"n\":1}\n");
    let text = pipeline(&url, "table: t", exactly_once);
    let running = Running::start_in(folder, &text, &["--data-dir", "data"]);
    running.until_said("must run `CREATE TABLE IF NOT EXISTS headwater_epochs");
    assert!(probed(&text).unwrap_err().contains("headwater_epochs"));
}

#[test]
fn certificates() {
    let Some(postgres) = Postgres::start() else { return };
    let database = postgres.database();
    database.execute(
        "CREATE TABLE t (n int); CREATE USER client; CREATE USER secure PASSWORD 'secure-secret';
         GRANT SELECT, INSERT ON t TO client, secure",
    );
    let file = |name: &str| postgres.certificates().join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let plain = database.url_of("secure", "secure-secret");
    says(
        &plain,
        "table: t",
        &["may `secure` connect from here without TLS? `sslmode=verify-full` asks for it"],
    );
    says(&format!("{plain}?sslmode=verify-full"), "table: t", &["name them by `tls: { ca: … }`"]);
    let tls = format!("table: t\n      tls: {{ ca: {ca} }}");
    let own = format!("table: t\n      tls: {{ ca: {ca}, cert: {cert}, key: {key} }}");
    let client = format!("postgres://client@localhost:{}/{}", database.port, database.name);
    for (url, options) in [(&plain, &tls), (&client, &own)] {
        let (ran, _) = crate::run(&pipeline(url, options, ""), &["{\"n\":1}"]);
        ran.succeeded();
    }
    assert_eq!(database.number("SELECT count(*) FROM t"), 2);
    postgres.show_certificate("expired");
    let said = "the server's certificate has expired and must be renewed";
    says(&plain, &tls, &[said]);
}
