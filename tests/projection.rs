//! Fields reach the places that name them: through unions, parsed events, explode, rejects and several workers.

pub mod common;

use common::Folder;

/// What a pipeline writes to standard output for the given input files.
fn out(pipeline: &str, inputs: &[(&str, &str)]) -> String {
    let folder = Folder::empty();
    for (name, text) in inputs {
        folder.write(name, text);
    }
    folder.write("p.yaml", pipeline);
    folder.run(&["run", "-q", "p.yaml"]).succeeded().stdout
}

const TWO: &str = "
sources:
  a: { file: { path: a.ndjson } }
  b: { file: { path: b.ndjson } }
";

#[test]
fn a_parsed_event_behind_a_union_shows_the_fields_below() {
    let pipeline = format!(
        "{TWO}
transforms:
  p: {{ from: [a, b], parse: {{ field: msg, as: json }} }}
  s: {{ from: p, select: [device, temp] }}
sinks: {{ o: {{ from: s, stdout: {{}} }} }}
"
    );
    let input = r#"{"device":"d1","msg":"{\"temp\":1}"}"#;
    assert_eq!(out(&pipeline, &[("a.ndjson", input), ("b.ndjson", "")]), "{\"device\":\"d1\",\"temp\":1}\n");
}

#[test]
fn a_branch_behind_a_union_does_not_see_what_its_sibling_set() {
    let pipeline = format!(
        "{TWO}
transforms:
  t1: {{ from: [a, b], set: {{ x: 99 + 0 * n }} }}
  u: {{ from: [a, b] , where: n > 0 }}
  v: {{ from: u, set: {{ x: 99 + 0 * n }} }}
  w: {{ from: u, where: x = 1, select: [n] }}
sinks: {{ o: {{ from: w, stdout: {{}} }}, other: {{ from: [t1, v], drop: {{}} }} }}
"
    );
    let a = "{\"x\":1,\"n\":1}\n{\"x\":2,\"n\":2}\n";
    assert_eq!(
        out(&pipeline, &[("a.ndjson", a), ("b.ndjson", "{\"x\":1,\"n\":3}\n")]),
        "{\"n\":1}\n{\"n\":3}\n"
    );
}

#[test]
fn a_nested_value_below_a_parsed_event_shows_through() {
    let pipeline = "
sources: { a: { file: { path: a.ndjson } } }
transforms:
  o: { from: a, set: { o: json_parse(s) } }
  p: { from: o, parse: { field: msg, as: json } }
  x: { from: p, select: { x: o.b, t: t } }
sinks: { out: { from: x, stdout: {} } }
";
    let input = r#"{"s":"{\"b\":1}","msg":"{\"t\":2}"}"#;
    assert_eq!(out(pipeline, &[("a.ndjson", input)]), "{\"x\":1,\"t\":2}\n");
}

#[test]
fn an_exploded_list_is_not_written_for_each_of_its_elements() {
    let pipeline = "
sources: { a: { file: { path: a.ndjson } } }
transforms: { e: { from: a, explode: list } }
sinks: { out: { from: e, stdout: {} } }
";
    let elements: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
    let input = format!("{{\"id\":7,\"list\":[{}],\"z\":null}}\n", elements.join(","));
    let stdout = out(pipeline, &[("a.ndjson", &input)]);
    assert_eq!(stdout.lines().count(), 3_000);
    assert_eq!(stdout.lines().nth(42), Some(r#"{"id":7,"list":42,"z":null}"#));
}

#[test]
fn rejects_of_all_steps_of_a_node_are_on_time_and_end_once() {
    for workers in [1, 2] {
        let pipeline = format!(
            "
options: {{ parallelism: {workers} }}
sources: {{ a: {{ file: {{ path: a.ndjson }}, event_time: {{ field: ts }} }} }}
windows:
  w:
    from: a
    key: {{ k: n % 2 }}
    tumbling: 1s
    aggregate: {{ r: sum(x) / sum(y) }}
  again: {{ from: w.rejected, tumbling: 1s, aggregate: {{ c: count(*) }} }}
sinks:
  o: {{ from: again, stdout: {{}} }}
  late: {{ from: again.late, stdout: {{}} }}
  good: {{ from: w, drop: {{}} }}
"
        );
        let input: String =
            (0..4).map(|n| format!("{{\"ts\":{},\"n\":{n},\"x\":1,\"y\":0}}\n", n * 1000)).collect();
        let stdout = out(&pipeline, &[("a.ndjson", &input)]);
        let expected: String = (0..4)
            .map(|n| format!("{{\"c\":1,\"window_start\":{},\"window_end\":{}}}\n", n * 1000, (n + 1) * 1000))
            .collect();
        assert_eq!(stdout, expected, "{workers} workers");
    }
}

#[test]
fn equal_times_come_in_the_order_of_the_files_whatever_the_workers() {
    for workers in [1, 2, 3, 4] {
        let pipeline = format!(
            "
options: {{ parallelism: {workers} }}
sources: {{ a: {{ file: {{ path: [a.ndjson, b.ndjson, c.ndjson] }}, event_time: {{ field: ts }} }} }}
windows: {{ w: {{ from: a, count: {{ size: 2 }}, aggregate: {{ x: collect(x) }} }} }}
transforms: {{ s: {{ from: w, select: [x] }} }}
sinks: {{ o: {{ from: s, stdout: {{}} }} }}
"
        );
        let line = |x: u32| format!("{{\"ts\":0,\"x\":{x}}}\n");
        let (a, b, c) = (line(0), line(1), line(2));
        let stdout = out(&pipeline, &[("a.ndjson", &a), ("b.ndjson", &b), ("c.ndjson", &c)]);
        assert_eq!(stdout, "{\"x\":[0,1]}\n{\"x\":[2]}\n", "{workers} workers");
    }
}

#[test]
fn a_misspelled_field_of_a_rejected_event_is_refused() {
    let folder = Folder::empty();
    let pipeline = "
sources: { a: { stdin: {} } }
transforms: { t: { from: a.rejected, select: { why: reason, r: raww } } }
sinks: { o: { from: t, stdout: {} } }
";
    folder.write("p.yaml", pipeline);
    let ran = folder.run(&["check", "p.yaml"]);
    assert_eq!(ran.status, Some(78));
    assert!(ran.stderr.contains("there is no field `raww`"), "{}", ran.stderr);
}
