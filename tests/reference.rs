//! `docs/reference/` says what the program knows, and every component's documented example runs.
//!
//! `UPDATE=1` rewrites the pages. Examples of functions and aggregates are evaluated beside their registries.

pub mod common;

use common::{Folder, compare_kept, files, none_failed, project, updating};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// What `headwater components --format json` says.
fn components() -> Vec<Value> {
    lines(&["components", "--format", "json"])
}

fn lines(arguments: &[&str]) -> Vec<Value> {
    let ran = Folder::empty().run(arguments).succeeded();
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

#[test]
fn the_pages_are_those_of_this_program() {
    let folder = project("docs/reference");
    fs::create_dir_all(&folder).unwrap();
    let pages = headwater::cli::reference::pages();
    let failures = pages.iter().filter_map(|page| compare_kept(&folder.join(&page.name), &page.text).err());
    none_failed(&failures.collect::<Vec<_>>());
    for stale in files(&folder, "md") {
        let known = pages.iter().any(|page| stale.ends_with(&page.name));
        if !known && updating() {
            fs::remove_file(&stale).unwrap();
        } else {
            assert!(known, "{} is no page of the reference", stale.display());
        }
    }
}

#[test]
fn what_is_asked_of_panes_is_as_documented() {
    let all = lines(&["functions", "--format", "json"]);
    let panes: Vec<&Value> = all.iter().filter(|function| function["group"] == "panes").collect();
    assert_eq!(panes.len(), 5);
    let fields = |what: &dyn Fn(&Value) -> String| {
        let each =
            panes.iter().enumerate().map(|(number, function)| format!("e{number}: {}", what(function)));
        each.collect::<Vec<_>>().join(", ")
    };
    let folder = Folder::empty();
    let pipeline = format!(
        "pipeline: panes
sources: {{ in: {{ stdin: {{}}, event_time: {{ field: t }} }} }}
windows:
  w:
    from: in
    tumbling: 1m
    trigger: {{ watermark: {{ early: {{ count: 2 }} }} }}
    accumulation: discarding
    aggregate: {{ n: count(*), {} }}
sinks: {{ out: {{ from: w, stdout: {{}} }} }}
tests:
  - name: an early pane and the one on time
    steps:
      - send: {{ in: [{{ t: 60000 }}, {{ t: 60001 }}, {{ t: 60002 }}] }}
      - close: in
      - expect: {{ out: [{{ n: 2 }}, {{ n: 1, {} }}] }}
",
        fields(&|function| text(&function["examples"][0], "call").to_owned()),
        fields(&|function| text(&function["examples"][0], "result").to_owned()),
    );
    folder.write("panes.yaml", pipeline);
    folder.run(&["test", "panes.yaml"]).succeeded();
}

#[test]
fn examples_are_right_and_pass_their_tests() {
    let folder = Folder::empty();
    fs::create_dir(folder.path().join("schemas")).unwrap();
    for schema in ["plant.pb", "reading.avsc"] {
        fs::copy(project("pipelines/schemas").join(schema), folder.path().join("schemas").join(schema))
            .unwrap();
    }
    fs::create_dir(folder.path().join("data")).unwrap();
    for table in ["assets.csv", "zones.ndjson"] {
        fs::copy(project("pipelines/data").join(table), folder.path().join("data").join(table)).unwrap();
    }
    let mut names = Vec::new();
    for component in components() {
        let name = format!("{}-{}.yaml", text(&component, "role"), text(&component, "name"));
        folder.write(&name, text(&component, "example"));
        names.push(name);
    }
    let run = |verb| {
        let arguments: Vec<&str> = [verb].into_iter().chain(names.iter().map(String::as_str)).collect();
        let ran = folder.run(&arguments);
        assert_eq!(ran.status, Some(0), "{verb}:\n{}{}", ran.stdout, ran.stderr);
        ran.stderr
    };
    let said = run("check");
    assert!(!said.contains("warning"), "{said}");
    run("test");
}

#[test]
fn everything_is_described() {
    let sentence = |value: &Value, what: &str| {
        let summary = text(value, "summary");
        assert!(summary.ends_with('.') && summary.len() > 5, "{what}: {summary:?} is no sentence");
    };
    for component in components() {
        let name = format!("{} {}", text(&component, "role"), text(&component, "name"));
        sentence(&component, &name);
        for option in component["options"].as_array().unwrap() {
            sentence(option, &format!("{name}.{}", text(option, "name")));
        }
    }
    for function in lines(&["functions", "--format", "json"]) {
        sentence(&function, text(&function, "name"));
        assert!(!function["examples"].as_array().unwrap().is_empty(), "{function}");
    }
}

/// Examples about several events are run as pipelines: an aggregate gives one result, keyed history one an event.
#[test]
fn examples_over_events_give_their_results() {
    let mut wrong = Vec::new();
    for function in lines(&["functions", "--format", "json"]) {
        for example in function["examples"].as_array().unwrap().iter().filter(|e| !e["values"].is_null()) {
            let (call, result) = (text(example, "call"), text(example, "result"));
            let found = match text(&function, "group") {
                "aggregates" => over_events(example, "windows", "global: {}, aggregate").remove(0),
                _ => Value::from(over_events(example, "transforms", "set")),
            };
            let expected: Value = serde_json::from_str(result).unwrap();
            if found != expected {
                wrong.push(format!("{call}: expected {expected}, found {found}"));
            }
        }
    }
    none_failed(&wrong);
}

/// What a call gives for events with the example's values, a millisecond apart.
fn over_events(example: &Value, section: &str, node: &str) -> Vec<Value> {
    let folder = Folder::empty();
    let values: Vec<Value> = serde_json::from_str(text(example, "values")).unwrap();
    let events = values.iter().enumerate().map(|(i, x)| format!("{{\"k\":1,\"t\":{i},\"x\":{x}}}\n"));
    folder.write("events.ndjson", events.collect::<String>());
    let call = Value::from(text(example, "call"));
    let source = "file: { path: events.ndjson }, event_time: { field: t }";
    let pipeline = format!(
        "sources: {{ in: {{ {source} }} }}\n{section}: {{ n: {{ from: in, {node}: {{ y: {call} }} }} }}\n\
         sinks: {{ out: {{ from: n, stdout: {{}} }} }}\n"
    );
    folder.write("p.yaml", pipeline);
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["y"].clone()).collect()
}

/// A component that is written but not in its folder's registry would not be there at all.
#[test]
fn every_component_is_registered() {
    let known: Vec<(String, String)> =
        components().iter().map(|c| (text(c, "role").to_owned(), text(c, "name").to_owned())).collect();
    let mut found = 0;
    for folder in ["sources", "tables", "transforms", "windows", "sinks", "dataflow/formats"] {
        for file in rust_files(&project("src").join(folder)) {
            let code = fs::read_to_string(&file).unwrap();
            for (name, role) in declared(&code) {
                found += 1;
                let is_known = known.contains(&(role.clone(), name.clone()));
                assert!(is_known, "{}: {role} `{name}` is not in its registry", file.display());
            }
        }
    }
    assert_eq!(found, known.len(), "components are declared as `name: \"…\", role: Role::…`");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, rest): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let here = rest.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    here.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

/// Name and role of each `ComponentSpec` in a file, which start with these two.
fn declared(code: &str) -> Vec<(String, String)> {
    let behind_name = code.split("name: \"").skip(1);
    let both = behind_name.filter_map(|rest| {
        let (name, rest) = rest.split_once('"')?;
        let role = rest.trim_start_matches([',', ' ', '\n']).strip_prefix("role: Role::")?;
        Some((name.to_owned(), role.split_once(',')?.0.to_lowercase()))
    });
    both.collect()
}

#[test]
fn a_name_is_shown_with_all_its_roles() {
    let shown = Folder::empty().run(&["components", "file"]).succeeded().stdout;
    assert!(shown.contains("source `file`") && shown.contains("sink `file`"), "{shown}");
    let shown = Folder::empty().run(&["functions", "COUNT"]).succeeded().stdout;
    assert!(shown.starts_with("count(*) or count(x)  (aggregates)"), "{shown}");
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let cases = [
        (["components", "flie"], "there is no component `flie`; did you mean `file`?"),
        (["components", "zzz"], "there is no component `zzz`; `headwater components` lists them"),
        (["functions", "coun"], "there is no function `coun`; did you mean `count`?"),
    ];
    for (arguments, message) in cases {
        let ran = Folder::empty().run(&arguments);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}
