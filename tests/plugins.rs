//! What scripts register: each `tests/plugins/NAME.yaml` is a pipeline whose own tests say what happens, and results do
//! not depend on the number of workers.

pub mod common;

use common::{Folder, files, none_failed, project, run_in};
use std::fmt::Write;

#[test]
fn plugins_do_what_their_tests_say() {
    let folder = project("tests/plugins");
    let failures = files(&folder, "yaml").into_iter().filter_map(|file| {
        let ran = run_in(&folder, &["test", file.file_name().unwrap().to_str().unwrap()]);
        (ran.status != Some(0)).then(|| format!("{}:\n{}{}", file.display(), ran.stdout, ran.stderr))
    });
    none_failed(&failures.collect::<Vec<_>>());
}

const PLUGIN: &str = r#"
register.scalar("half", function(x) return x // 2 end)
register.aggregate("digest", {
  init = 7,
  add = function(state, x) return (state * 31 + x) % 1000003 end,
  merge = function(state, other) return (state + other) % 1000003 end,
})
register.trigger("third", {
  on_event = function(pane, event)
    pane.state = (pane.state or 0) + event.x
    if pane.state >= 30 then
      pane.state = nil
      return "fire"
    end
  end,
  on_merge = function(pane, other) pane.state = (pane.state or 0) + (other or 0) end,
})
"#;

const PIPELINE: &str = r#"
plugins: own.lua
options: { parallelism: WORKERS }
sources:
  in: { file: { path: in.ndjson }, event_time: { field: t, out_of_order: 2s } }
transforms:
  halved: { from: in, set: { h: half(x) } }
windows:
  fixed: { from: halved, key: [k], tumbling: 5s, aggregate: { d: digest(h) } }
  sliding: { from: halved, key: [k], sliding: { size: 6s, every: 2s }, aggregate: { d: digest(h), n: count(*) } }
  sessions:
    from: halved
    key: [k]
    session: { gap: 1s }
    trigger: { lua: { name: third, reads: x } }
    accumulation: accumulating
    aggregate: { d: digest(h), n: count(*) }
sinks:
  out:
    from: [fixed, sliding, sessions]
    stdout: {}
"#;

#[test]
fn the_number_of_workers_does_not_show() {
    let mut events = String::new();
    for i in 0..1_500u64 {
        let (k, x, late) = (i * i % 13, i * 7 % 23, i * 31 % 17);
        writeln!(events, "{{\"k\":{k},\"x\":{x},\"t\":{}}}", i * 40 + 3_000 - late * 100).unwrap();
    }
    let run = |workers: &str| {
        let folder = Folder::empty();
        folder.write("own.lua", PLUGIN);
        folder.write("in.ndjson", &events);
        folder.write("p.yaml", PIPELINE.replace("WORKERS", workers));
        let ran = folder.run(&["run", "p.yaml"]).succeeded();
        let mut rows: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    };
    let one = run("1");
    assert!(one.len() > 500, "{}", one.len());
    assert_eq!(run("2"), one);
    assert_eq!(run("4"), one);
}

/// A pipeline around an `aggregate` window.
fn check(window: &str) -> String {
    let folder = Folder::empty();
    folder.write(
        "own.lua",
        "register.aggregate('latest', { add = function(_, x) return x end })\n\
        register.trigger('eager', { on_event = function() return 'fire' end })",
    );
    folder.write(
        "p.yaml",
        format!(
            "plugins: own.lua\nsources:\n  a: {{ stdin: {{}}, event_time: {{ field: t }} }}\nwindows:\n  w:\n    from: a\n\
             {window}\nsinks:\n  o: {{ from: w, stdout: {{}} }}\n"
        ),
    );
    let ran = folder.run(&["check", "p.yaml"]);
    format!("{}{}", ran.stdout, ran.stderr)
}

#[test]
fn what_cannot_be_is_refused_beforehand() {
    let cases = [
        ("    session: { gap: 1s }\n    aggregate: { x: latest(x) }", "`latest` of `own.lua` has no `merge`"),
        ("    count: { size: 5 }\n    aggregate: { x: latest(x) }", "`latest` of `own.lua` has no `merge`"),
        (
            "    tumbling: 1s\n    aggregate: { x: latest(DISTINCT x) }",
            "`latest` of `own.lua` takes no DISTINCT",
        ),
        (
            "    session: { gap: 1s }\n    trigger: { lua: own.lua }\n    accumulation: discarding\n    aggregate: { x: sum(x) }",
            "the trigger `lua eager` has no `on_merge`",
        ),
        (
            "    tumbling: 1s\n    trigger: { lua: own.lua }\n    aggregate: { x: sum(x) }",
            "needs `accumulation`: with `trigger` it can fire more than once",
        ),
        (
            "    tumbling: 1s\n    trigger: { lua: { name: eagre } }\n    accumulation: discarding\n    aggregate: { x: sum(x) }",
            "no script under `plugins` registers a trigger `eagre`",
        ),
    ];
    for (window, message) in cases {
        let told = check(window);
        assert!(told.contains(message), "{window}\n{told}");
    }
    let told = check("    sliding: { size: 2s, every: 1s }\n    aggregate: { x: latest(x) }");
    assert!(told.contains("1 pipeline ok"), "{told}");
}
