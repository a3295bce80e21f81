//! Scripts in a running process: any number of workers, a script that is replaced, versions, failures.

pub mod common;

use common::{Folder, headwater, until};
use std::io::Write;
use std::process::{Child, Stdio};

/// A line an event; times go on by up to 100 ms and back by up to 2 s.
fn events(seed: u64, count: u64) -> String {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut now = 10_000;
    let mut line = |_| {
        now += draw(100);
        format!("{{\"t\":{},\"k\":{},\"x\":{}}}\n", now - draw(2_000), draw(20), draw(100))
    };
    (0..count).map(&mut line).collect()
}

const KEYED: &str = r#"
options: { parallelism: WORKERS }
sources:
  in: { file: { path: [a.ndjson, b.ndjson] }, event_time: { field: t, out_of_order: 2s } }
transforms:
  plain: { from: in, lua: "function process(event) event.y = event.x * 2 return event end" }
  counted:
    from: in
    lua:
      key: [k]
      script: |
        function process(event)
          event.n = (state.get("n") or 0) + event.x
          state.set("n", event.n)
          return event
        end
  quiet:
    from: in
    lua:
      key: k
      script: |
        function process(event)
          state.set("seen", (state.get("seen") or 0) + 1)
          timer.at(event.t // 1000 * 1000 + 1000)
        end
        function on_timer(key, time)
          local seen = state.get("seen")
          state.delete("seen")
          return { k = key, time = time, seen = seen }
        end
  sorted:
    from: in
    ordered: true
    lua:
      key: [k]
      script: |
        function process(event)
          event.before = state.get("t")
          state.set("t", event.t)
          return { event, { k = event.k, again = event.t } }
        end
windows:
  per_second: { from: quiet, key: [k], tumbling: 10s, aggregate: { seen: sum(seen) } }
sinks:
"#;

const OUTPUTS: [&str; 5] = ["plain", "counted", "quiet", "sorted", "per_second"];

#[test]
fn workers_that_share_keys_make_no_difference() {
    let run = |workers: &str| {
        let folder = Folder::empty();
        folder.write("a.ndjson", events(1, 2_000));
        folder.write("b.ndjson", events(2, 2_000));
        let sinks =
            OUTPUTS.map(|name| format!("  to_{name}: {{ from: {name}, file: {{ path: {name}.out }} }}\n"));
        folder.write("p.yaml", KEYED.replace("WORKERS", workers) + &sinks.concat());
        folder.run(&["run", "p.yaml"]).succeeded();
        OUTPUTS.map(|name| {
            let mut lines: Vec<String> =
                folder.read(&format!("{name}.out")).lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        })
    };
    let alone = run("1");
    for workers in ["2", "4"] {
        for ((name, alone), shared) in OUTPUTS.iter().zip(&alone).zip(run(workers)) {
            assert!(alone.len() > 20, "{name} put out {} lines", alone.len());
            assert_eq!(*alone, shared, "{name} with {workers} workers");
        }
    }
}

const COUNTING: &str = r#"
sources:
  in: { stdin: {} }
transforms:
  counted: { from: in, lua: { script: plugins/count.lua, key: [k], version: VERSION } }
sinks:
  out: { from: counted, file: { path: out.ndjson } }
  bad: { from: counted.rejected, file: { path: bad.ndjson } }
"#;

fn counting(by: u32) -> String {
    format!(
        "function process(event)\n  event.n = (state.get('n') or 0) + {by}\n  state.set('n', event.n)\n  \
         return event\nend\n"
    )
}

fn start(folder: &Folder) -> Child {
    let errors =
        std::fs::File::options().append(true).create(true).open(folder.path().join("errors")).unwrap();
    headwater(folder.path(), &["run", "p.yaml"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap()
}

/// Sends an event until a script with that step is at work; returns how many were sent.
fn send_until(folder: &Folder, process: &mut Child, what: &str, mut done: impl FnMut(&str) -> bool) -> u64 {
    let mut sent = 0;
    until(what, || {
        sent += 1;
        process.stdin.as_mut().unwrap().write_all(b"{\"k\":1}\n").unwrap();
        done(&folder.read("out.ndjson"))
    });
    sent
}

#[test]
fn a_script_that_is_replaced_goes_on_with_what_it_kept() {
    let folder = Folder::empty();
    std::fs::create_dir_all(folder.path().join("plugins")).unwrap();
    folder.write("plugins/count.lua", counting(1));
    folder.write("p.yaml", COUNTING.replace("VERSION", "1"));
    let mut process = start(&folder);
    let mut sent = send_until(&folder, &mut process, "events", |out| out.lines().count() > 5);
    // One that does not fit is told, and the old one goes on.
    folder.write("plugins/count.lua", "function process(event) event.other = 1 return event end");
    sent += send_until(&folder, &mut process, "what is told", |_| {
        folder.read("errors").contains("also writes the field `other`")
    });
    folder.write("plugins/count.lua", "function process(event) return");
    sent += send_until(&folder, &mut process, "what is told", |_| {
        folder.read("errors").contains("'end' expected")
    });
    folder.write("plugins/count.lua", counting(1_000_000));
    sent += send_until(&folder, &mut process, "the new script", |out| {
        out.lines().filter(|line| line.contains("000")).count() > 5
    });
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success(), "{}", folder.read("errors"));
    let out = folder.read("out.ndjson");
    let counts: Vec<u64> = out
        .lines()
        .map(|line| line.trim_end_matches('}').rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(counts.len() as u64, sent, "no event is lost, none comes twice");
    let step = |pair: &[u64]| pair[1] - pair[0];
    assert!(counts.windows(2).all(|pair| [1, 1_000_000].contains(&step(pair))), "what is kept stays: {out}");
    assert_eq!(
        counts.windows(2).map(step).filter(|step| *step == 1).count() as u64,
        counts.last().unwrap() % 1_000_000 - 1
    );
    assert_eq!(folder.read("bad.ndjson"), "");
}

#[test]
fn state_of_an_older_version_is_migrated_and_that_of_a_newer_refused() {
    let folder = Folder::empty();
    std::fs::create_dir_all(folder.path().join("plugins")).unwrap();
    let run = |version: &str, script: String, input: &str| {
        folder.write("plugins/count.lua", script);
        folder.write(
            "p.yaml",
            COUNTING.replace("VERSION", version).replace("stdin: {}", "file: { path: in.ndjson }"),
        );
        let before = std::fs::read_to_string(folder.path().join("in.ndjson")).unwrap_or_default();
        folder.write("in.ndjson", before + input);
        folder.run(&["run", "--data-dir", "data", "p.yaml"])
    };
    run("1", counting(1), "{\"k\":1}\n{\"k\":2}\n{\"k\":1}\n").succeeded();
    let second = "function process(event)\n  local all = state.get('all') or { n = 0 }\n  all.n = all.n + 10\n  \
                  state.set('all', all)\n  event.n = all.n\n  return event\nend\n";
    // Without `migrate` an event of a key with old state is rejected, and its state stays.
    run("2", second.to_owned(), "{\"k\":1}\n{\"k\":3}\n").succeeded();
    assert!(
        folder.read("bad.ndjson").contains("no function `migrate(old, version)`"),
        "{}",
        folder.read("bad.ndjson")
    );
    let migrate = "function migrate(old, version)\n  return { all = { n = old.n * 100 + version } }\nend\n";
    run("2", format!("{second}{migrate}"), "{\"k\":1}\n{\"k\":2}\n{\"k\":1}\n").succeeded();
    let wanted = [1, 1, 2, 10, 211, 111, 221];
    let out = folder.read("out.ndjson");
    let counts: Vec<u64> = out
        .lines()
        .map(|line| line.trim_end_matches('}').rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(counts, wanted);
    let ran = run("1", counting(1), "{\"k\":1}\n");
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("newer version of the script"), "{}", ran.stderr);
}

#[test]
fn a_script_that_breaks_its_budget_is_left_alone_for_a_while() {
    let folder = Folder::empty();
    folder.write("in.ndjson", "{\"x\":1}\n".repeat(1_015) + &"{\"x\":0}\n".repeat(3));
    folder.write(
        "p.yaml",
        "
sources:
  in: { file: { path: in.ndjson } }
transforms:
  spun:
    from: in
    lua:
      instructions: 1000
      script: |
        function process(event)
          while event.x == 1 do end
          return event
        end
sinks:
  out: { from: spun, file: { path: out.ndjson } }
  bad: { from: spun.rejected, file: { path: bad.ndjson } }
",
    );
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(ran.stderr.matches("left alone for 1000 events").count(), 1, "{}", ran.stderr);
    let bad = folder.read("bad.ndjson");
    assert_eq!(bad.lines().count(), 1_015);
    assert_eq!(bad.lines().filter(|line| line.contains("is left alone")).count(), 1_000);
    assert!(bad.lines().next().unwrap().contains("spun:2: uses more instructions than it may"), "{bad}");
    assert_eq!(folder.read("out.ndjson").lines().count(), 3);
}

#[test]
fn a_failure_may_stop_the_pipeline() {
    let folder = Folder::empty();
    folder.write("in.ndjson", "{\"x\":1}\n{\"x\":2}\n{\"x\":3}\n");
    folder.write(
        "p.yaml",
        "
sources:
  in: { file: { path: in.ndjson } }
transforms:
  picky:
    from: in
    lua:
      on_error: stop
      script: |
        function process(event)
          if event.x == 2 then error('not two') end
          return event
        end
sinks:
  out: { from: picky, stdout: {} }
",
    );
    let ran = folder.run(&["run", "p.yaml"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("`picky`: picky:2: not two"), "{}", ran.stderr);
}

#[test]
fn what_is_wrong_with_a_script_is_said_by_check() {
    let check = |lua: &str| {
        let folder = Folder::empty();
        let text = format!(
            "sources:\n  in: {{ stdin: {{}} }}\ntransforms:\n  a: {{ from: in, lua: {lua} }}\nsinks:\n  out: {{ from: a, stdout: {{}} }}\n"
        );
        folder.write("p.yaml", text);
        let ran = folder.run(&["check", "p.yaml"]);
        (ran.status, ran.stderr)
    };
    let faults = [
        ("\"function process(event) return\"", "'end' expected"),
        ("\"local x = 1 + nil\"", "attempt to perform arithmetic"),
        ("\"x = 1 + 1\"", "defines no function `process(event)`"),
        ("\"function process() end function process_batch() end\"", "one of them is meant"),
        ("nothing.lua", "the script cannot be read"),
        ("{ script: \"while true do end\" }", "more instructions than it may"),
        ("{ script: \"function process_batch(e) end\", key: [k] }", "gets events of all keys at once"),
        ("{ script: \"function process(e) emit(e, 'rejected') end\" }", "is there by itself"),
        ("{ script: \"function process(e) end\", version: 0 }", "version"),
        ("{ script: \"function process(e) end\", memory: 1KiB }", "from 1MiB to 1GiB"),
        ("{ script: \"function process(e) end\", on_error: ignore }", "on_error"),
        ("{ scrpt: \"function process(e) end\" }", "script"),
        ("{ script: \"function process(e) e['(x'] = 1 return e end\" }", "cannot start with `(`"),
    ];
    for (lua, message) in faults {
        let (status, said) = check(lua);
        assert_eq!(status, Some(78), "{lua}: {said}");
        assert!(said.contains(message), "{lua}: {said}");
    }
    let (status, said) = check("\"function process(e) return e end\"");
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn what_a_script_logs_shows_no_secrets() {
    let folder = Folder::empty();
    folder.write("in.ndjson", "{\"k\":1}\n");
    folder.write("token", "hush-hush-4711\n");
    folder.write(
        "p.yaml",
        "sources: { in: { file: { path: in.ndjson } } }\n\
         transforms:\n  told: { from: in, lua: { args: { token: '${file:token}' }, script: \"\n\
         function process(event) log.info('the token is', args.token, event.k) return event end\" } }\n\
         sinks: { out: { from: told, drop: {} } }\n",
    );
    let ran = folder.run(&["run", "p.yaml"]);
    assert!(ran.stderr.contains("the token is *** 1"), "{}", ran.stderr);
    ran.succeeded();
}

const PRICED: &str = r#"
sources:
  in: { stdin: {} }
plugins: [plugins/price.lua]
transforms:
  priced: { from: in, set: { n: price(k) } }
  rated: { from: priced, lua: plugins/rate.lua }
sinks:
  out: { from: rated, file: { path: out.ndjson } }
"#;

/// A function registered for expressions, and a step that multiplies by what its module says.
fn pricing(folder: &Folder, price: u32, rate: u32) {
    folder
        .write("plugins/price.lua", format!("register.scalar('price', function(k) return k * {price} end)"));
    folder.write("plugins/rates.lua", format!("return {{ rate = {rate} }}"));
}

#[test]
fn plugins_and_modules_are_replaced_while_events_flow() {
    let folder = Folder::empty();
    std::fs::create_dir_all(folder.path().join("plugins")).unwrap();
    pricing(&folder, 1, 1);
    folder.write(
        "plugins/rate.lua",
        "local rates = require('rates')\nfunction process(event) event.r = rates.rate return event end",
    );
    folder.write("p.yaml", PRICED);
    let mut process = start(&folder);
    let mut sent = send_until(&folder, &mut process, "events", |out| out.lines().count() > 5);
    // What the plan was made with must stay.
    folder.write("plugins/price.lua", "register.scalar('cost', function(k) return 2 * k end)");
    folder.write("plugins/rates.lua", "return {");
    sent += send_until(&folder, &mut process, "what is told", |_| {
        let errors = folder.read("errors");
        errors.contains("registers no function `price` any more") && errors.contains("rates.lua:1:")
    });
    pricing(&folder, 7, 9);
    sent += send_until(&folder, &mut process, "new scripts", |out| out.contains("\"n\":7,\"r\":9"));
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success(), "{}", folder.read("errors"));
    let out = folder.read("out.ndjson");
    assert_eq!(out.lines().count() as u64, sent, "no event is lost, none comes twice");
    let is_known = |line: &str| ["\"n\":1,", "\"n\":7,"].iter().any(|n| line.contains(n));
    assert!(out.lines().all(is_known), "{out}");
}
