use proptest::prelude::*;

use super::*;
use crate::config::{FixedEnvironment, Snippet, SourceFile};

const WHOLE: &str = r#"pipeline: purchases
description: Spend per user and minute.

options:
  delivery: at_least_once
  checkpoint: 1s
  parallelism: 2

params:
  minimum: 0.5

sources:
  events:
    file: { path: events.ndjson }
    format: json
    event_time: { field: ts, unit: ms, out_of_order: 5s }

transforms:
  bought:
    from: events
    where: type = 'purchase' AND amount >= param('minimum')
    select: { user: user_id, amount: amount }

windows:
  spend:
    from: bought
    key: [user]
    tumbling: 1m
    aggregate: { total: sum(amount) }

sinks:
  results:
    from: [spend, spend.late]
    stdout:
tests:
  - name: one
"#;

fn read(name: &str, text: &str) -> (Option<PipelineFile>, String) {
    let faults = Faults::new(SourceFile::new(name, text.as_bytes().to_vec()).unwrap());
    let environment = FixedEnvironment::default();
    let pipeline = read_pipeline(&faults, Surroundings { environment: &environment, overrides: &[] });
    assert_eq!(faults.has_errors(), !faults.diagnostics().is_empty());
    (pipeline, faults.diagnostics().iter().map(|diagnostic| diagnostic.render(false)).collect())
}

#[test]
fn a_whole_pipeline_is_read() {
    let (pipeline, faults) = read("p.yaml", WHOLE);
    assert_eq!(faults, "");
    let pipeline = pipeline.unwrap();
    assert_eq!((pipeline.name.as_str(), pipeline.params.len()), ("purchases", 1));
    let options = PipelineOptions {
        delivery: Delivery::AtLeastOnce,
        checkpoint: Checkpointing { every: crate::time::Millis(1_000), ..Checkpointing::default() },
        parallelism: 2,
        ..PipelineOptions::default()
    };
    assert_eq!(pipeline.options, options);
    assert_eq!(pipeline.description.as_deref(), Some("Spend per user and minute."));
    let nodes: Vec<_> = pipeline.nodes.iter().map(Declaration::what).collect();
    assert_eq!(nodes, ["source `events`", "transform `bought`", "window `spend`", "sink `results`"]);
    let from: Vec<_> = pipeline.node("results").unwrap().from.iter().map(ToString::to_string).collect();
    assert_eq!(from, ["spend", "spend.late"]);
    assert!(pipeline.tests.unwrap().items().is_some());
}

#[test]
fn a_node_opens_with_its_components() {
    let file = SourceFile::new("p.yaml", WHOLE.replace("format: json", "formt: json").into_bytes()).unwrap();
    let faults = Faults::new(file);
    let environment = FixedEnvironment::default();
    let pipeline =
        read_pipeline(&faults, Surroundings { environment: &environment, overrides: &[] }).unwrap();
    let source = pipeline.nodes_of(Role::Source).next().unwrap();
    let section = source.open(["file", "stdin"], &["mqtt"], &faults);
    assert_eq!(section.exactly_one(&["file", "stdin"], "connector").unwrap().name, "file");
    assert_eq!(
        faults.diagnostics()[0].render(false),
        "p.yaml:15:5: error: unknown key `formt` in source `events`
 15 |     formt: json
    |     ^^^^^
  hint: did you mean `format`? There are `format`, `event_time`, `ordered`, `startup`, `stale_after`, `durable`, `id`, `id_within`, `was`, `file`, `stdin`
"
    );
}

#[test]
fn the_name_defaults_to_the_stem() {
    let text = "sources: { a: {} }\nsinks: { b: { from: a } }\n";
    for (file, name) in [("x/site-1.yaml", "site-1"), ("my pipe.yml", "my_pipe"), (".yaml", "_yaml")] {
        assert_eq!(read(file, text).0.unwrap().name, name);
    }
}

#[test]
fn all_faults_come_at_once_in_order() {
    let text = "\
pipelin: x
options: { delivery: exactly_onc, checkpoint: 2h, parallelism: 0 }
lookups: {}
params: { list: [1] }
sources:
  'a b': { stdin: }
transforms:
  t: { where: x > 1 }
  u: { from: a.b.c }
  v: 5
windows: []
sinks:
  t: { from: [], stdout: }
  w: { from: [u, u], stdout: }
";
    let want = "\
p.yaml:1:1: error: unknown key `pipelin` in the pipeline
 1 | pipelin: x
   | ^^^^^^^
  hint: did you mean `pipeline`? There are `pipeline`, `description`, `options`, `params`, `sources`, `transforms`, \
`windows`, `sinks`, `tables`, `plugins`, `tests`
p.yaml:2:22: error: the text `exactly_onc` is nothing that `delivery` can be
 2 | options: { delivery: exactly_onc, checkpoint: 2h, parallelism: 0 }
   |                      ^^^^^^^^^^^
  hint: did you mean `exactly_once`? There are `at_least_once`, `exactly_once`
p.yaml:2:47: error: expected a duration of at least 10ms and at most 1h for `checkpoint`, found the text `2h`
 2 | options: { delivery: exactly_onc, checkpoint: 2h, parallelism: 0 }
   |                                               ^^
p.yaml:2:64: error: expected a whole number of at least 1 and at most 256 for `parallelism`, found the number 0
 2 | options: { delivery: exactly_onc, checkpoint: 2h, parallelism: 0 }
   |                                                                ^
p.yaml:3:1: error: unknown key `lookups` in the pipeline
 3 | lookups: {}
   | ^^^^^^^
  hint: there are `pipeline`, `description`, `options`, `params`, `sources`, `transforms`, `windows`, `sinks`, `tables`, `plugins`, `tests`
p.yaml:4:11: error: parameter `list` needs a text, a number, `true` or `false` as default, found a list
 4 | params: { list: [1] }
   |           ^^^^
  hint: the default also says what type it has
p.yaml:6:3: error: `a b` cannot name a source
 6 |   'a b': { stdin: }
   |   ^^^^^
  hint: call it `a_b`: a name is a letter followed by letters, digits, `_` and `-`, at most 100 of them
p.yaml:8:3: error: transform `t` needs `from`
 8 |   t: { where: x > 1 }
   |   ^
  hint: `from: name` says which node it reads from
p.yaml:9:14: error: expected `name` or `name.port` for `from`, found the text `a.b.c`
 9 |   u: { from: a.b.c }
   |              ^^^^^
p.yaml:11:10: error: expected a map for `windows`, found a list
 11 | windows: []
    |          ^^
  hint: write `name: …` lines below it, or `{ name: … }`
p.yaml:13:3: error: a transform is called `t` already
 13 |   t: { from: [], stdout: }
    |   ^
  hint: it stands in line 8; names are unique in a file
p.yaml:14:18: error: `u` is read twice by sink `w`
 14 |   w: { from: [u, u], stdout: }
    |                  ^
";
    let (_, got) = read("p.yaml", text);
    assert_eq!(got, want, "\n{got}");
}

#[test]
fn a_pipeline_without_ends_is_none() {
    let (pipeline, faults) = read("p.yaml", "");
    assert!(pipeline.is_none());
    let want = "p.yaml:1:1: error: the file is empty\n 1 | \n   | ^\n  hint: a pipeline has at least `sources:` and \
                `sinks:`\n";
    assert_eq!(faults, want);
    let (_, faults) = read("p.yaml", "sources:\ntransforms:\n");
    let want = "\
p.yaml:1:1: error: the pipeline has no source
 1 | sources:
   | ^^^^^^^
  hint: add one under `sources:`
p.yaml:1:1: error: the pipeline has no sink
 1 | sources:
   | ^^^^^^^
  hint: add one under `sinks:`
";
    assert_eq!(faults, want);
    let (pipeline, faults) = read("p.yaml", "- a\n");
    assert!(pipeline.is_none());
    assert!(faults.contains("1:1: error: the pipeline must be a map, found a list"), "{faults}");
}

#[test]
fn tests_may_stand_beside_their_pipeline() {
    let faults = Faults::new(
        SourceFile::new("p.test.yaml", b"tests: [{ name: '${param:x}' }]\nx: 1".to_vec()).unwrap(),
    );
    let param = Param {
        name: "x".to_owned(),
        value: crate::config::ParamValue::Int(5),
        place: Place::default(),
        secret: false,
    };
    let tests = read_tests(&faults, &FixedEnvironment::default(), &[param]).unwrap();
    assert_eq!(tests.items().unwrap()[0].get("name").unwrap().value.scalar(), Some("5"));
    assert_eq!(faults.diagnostics()[0].message, "unknown key `x` in the test file");
}

/// Reads a node and all below it in every way there is.
fn read_in_every_way(setting: Setting<'_>) {
    read::text(setting);
    read::boolean(setting);
    read::integer(1..5)(setting);
    read::number(..1.0)(setting);
    read::positive_duration(setting);
    read::size(setting);
    read::time(setting);
    read::name(setting);
    read::word(&[("json", 1), ("csv", 2)], &["cbor"])(setting);
    read::one_or_list(read::text)(setting);
    read::list(read::any_text)(setting);
    read::map(read::expression)(setting);
    if let Some(Snippet { text, .. }) = read::expression(setting) {
        let snippet = Snippet { text, node: setting.node, faults: setting.faults };
        for at in 0..text.len() + 2 {
            let place = snippet.place(at..at + 1);
            let node = setting.node.place;
            assert!(node.start <= place.start && place.start <= place.end && place.end <= node.end);
        }
    }
    let section = setting.section("it", Keys { known: &["from", "a"], later: &["b"], hints: &[("c", "d")] });
    section.exactly_one(&["a", "from"], "operator");
    section.settings().for_each(read_in_every_way);
    setting
        .node
        .items()
        .into_iter()
        .flatten()
        .for_each(|node| read_in_every_way(Setting { node, ..setting }));
}

proptest! {
    /// Damaged pipelines never make a reader panic, and every fault can be shown.
    #[test]
    fn any_damage_is_survived(
        damage in proptest::collection::vec((0..WHOLE.len(), 0usize..4, "[-a:{}\\[\\]'\"\n\t ,$#&*ä|>!]{0,3}"), 1..5)
    ) {
        let mut text = WHOLE.replace("0.5", "${X:-1}").replace("json", "'${json:?x}$$'");
        for (at, cut, put) in damage {
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &put);
            }
        }
        let faults = Faults::new(SourceFile::new("p.yaml", text.into_bytes()).unwrap());
        let environment = FixedEnvironment::default();
        let pipeline = read_pipeline(&faults, Surroundings { environment: &environment, overrides: &[] });
        for node in pipeline.iter().flat_map(|pipeline| &pipeline.nodes) {
            node.open(["file", "where"], &["mqtt"], &faults).settings().for_each(read_in_every_way);
        }
        for diagnostic in faults.diagnostics() {
            prop_assert!(diagnostic.render(true).ends_with('\n'));
            prop_assert!(diagnostic.to_json().is_object());
        }
    }
}
