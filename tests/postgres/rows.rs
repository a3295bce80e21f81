//! What comes to stand in tables.

use crate::common::Folder;
use crate::servers::postgres::Postgres;
use crate::{pipeline, run};

#[test]
fn fields_become_values_of_their_columns_types() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute(
        "CREATE TYPE state AS ENUM ('on', 'off'); CREATE DOMAIN level AS int CHECK (VALUE >= 0);
         CREATE TABLE t (i int, n numeric(10, 2), at timestamptz, day date, j jsonb, b boolean, s text, a int[],
                         names text[], raw bytea, state state, level level, made int DEFAULT 7,
                         twice int GENERATED ALWAYS AS (i * 2) STORED)",
    );
    let event = r#"{"i":3.0,"n":12345.67,"at":1500,"day":"2024-02-29","j":{"x":[1,null]},"b":true,"s":"a\t\"ä\\","a":[1,2],"names":["x y",null],"raw":"AP8=","state":"on","level":4}"#;
    for mode in ["insert", "copy"] {
        let (ran, _) = run(
            &pipeline(&database.url(), &format!("table: t\n      mode: {mode}"), ""),
            &[event, r#"{"i":null,"made":null}"#],
        );
        ran.succeeded();
        let rows = database.lines(
            "SELECT i, n, at AT TIME ZONE 'UTC', day, j, b, s, a, names, raw, state, level, made, twice FROM t ORDER BY i",
        );
        let full = "3|12345.67|1970-01-01 00:00:01.5|2024-02-29|{\"x\": [1, null]}|t|a\t\"ä\\|{1,2}|{\"x y\",NULL}|\
                    \\x00ff|on|4|7|6";
        assert_eq!(rows, [full, "-|-|-|-|-|-|-|-|-|-|-|-|-|-"], "{mode}");
        database.execute("TRUNCATE t");
    }
}

#[test]
fn upsert_keeps_the_last_of_each_key() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    database.execute("CREATE TABLE t (device text, at int, temp float8, PRIMARY KEY (device, at))");
    let lines: Vec<String> = (0..1000)
        .map(|n| format!(r#"{{"device":"d{}","at":{},"temp":{n}}}"#, n % 3, n % 2))
        .chain([r#"{"device":"d0","at":9}"#.to_owned()])
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let options = "table: public.t\n      mode: upsert\n      key: [device, at]";
    run(&pipeline(&database.url(), options, ""), &lines).0.succeeded();
    let rows = database.lines("SELECT * FROM t ORDER BY device, at");
    assert_eq!(rows, ["d0|0|996", "d0|1|999", "d0|9|-", "d1|0|994", "d1|1|997", "d2|0|998", "d2|1|995"]);
}

#[test]
fn a_table_is_made_from_what_is_known_of_events() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let options = "table: made\n      create: true\n      key: device\n      columns: { device: CAST(d AS TEXT), \
                   at: \"to_timestamp(ts, 'ms')\", n: CAST(n AS BIGINT), x: CAST(x AS DOUBLE), rest: rest }";
    let line = r#"{"d":"a","ts":0,"n":1,"x":0.5,"rest":[1],"other":2}"#;
    run(&pipeline(&database.url(), options, ""), &[line]).0.succeeded();
    let types = database.lines(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'made' ORDER BY ordinal_position",
    );
    let want = ["device|text", "at|timestamp with time zone", "n|bigint", "x|double precision", "rest|jsonb"];
    assert_eq!(types, want);
    assert_eq!(database.lines("SELECT device, n, x, rest FROM made"), ["a|1|0.5|[1]"]);
}

#[test]
fn what_a_table_refuses_holds_nothing_up() {
    let Some(postgres) = Postgres::shared() else { return };
    for delivery in ["at_least_once", "exactly_once"] {
        for mode in ["insert", "copy"] {
            let database = postgres.database();
            database.execute(
                "CREATE TABLE t (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, s text CHECK (s <> 'bad'))",
            );
            let mut lines: Vec<String> = (0..700).map(|n| format!(r#"{{"n":{n},"s":"good"}}"#)).collect();
            lines.insert(650, r#"{"n":"x","s":"good"}"#.to_owned());
            lines.insert(300, r#"{"n":1000,"s":"bad"}"#.to_owned());
            lines.insert(200, r#"{"n":5,"s":"again"}"#.to_owned());
            lines.insert(100, r#"{"n":1001,"other":1}"#.to_owned());
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let options = format!("table: t\n      mode: {mode}");
            let beside = format!("    delivery: {delivery}\n");
            let (ran, _) = run(&pipeline(&database.url(), &options, &beside), &lines);
            let said = ran.succeeded().stderr;
            assert_eq!(database.number("SELECT count(*) FROM t WHERE s = 'good'"), 700, "{said}");
            assert_eq!(database.number("SELECT sum(n) FROM t"), 700 * 699 / 2, "{said}");
            assert!(said.contains("refuses 4 events") || said.contains("does not take the row"), "{said}");
        }
    }
}

#[test]
fn without_a_data_directory_rows_arrive_as_well() {
    let Some(postgres) = Postgres::shared() else { return };
    let (database, folder) = (postgres.database(), Folder::empty());
    database.execute("CREATE TABLE t (n int)");
    folder.write("p.yaml", pipeline(&database.url(), "table: t", "    batch: { every: 0s }\n"));
    folder.write("in.ndjson", "{\"n\":1}\n{\"n\":\"x\"}\n{\"n\":3}\n");
    let said = folder.run(&["run", "p.yaml"]).succeeded().stderr;
    assert_eq!(database.lines("SELECT n FROM t ORDER BY n"), ["1", "3"]);
    let why = "`out` of `p`: \"t\" at postgres://127.0.0.1:";
    assert!(said.contains(why) && said.contains("invalid input syntax"), "{said}");
}
