//! `headwater lua SCRIPT`: events in, events out, what is rejected told apart.

pub mod common;

use common::{Folder, headwater};
use std::io::Write;
use std::process::Stdio;

const SCRIPT: &str = "function process(event)
  if event.n == 3 then error('three') end
  event.more = event.n * (tonumber(args.by) or 2)
  return event
end
";

/// Runs the verb over lines: its exit code, what it put out, and what it said.
fn run(folder: &Folder, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let arguments = [&["lua"], arguments].concat();
    let mut command = headwater(folder.path(), &arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A script that cannot be run reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn events_go_through_a_script() {
    let folder = Folder::empty();
    folder.write("s.lua", SCRIPT);
    let input = "{\"n\":1}\n{\"n\":3}\nnope\n{\"n\":4}\n";
    let (code, out, said) = run(&folder, &["s.lua"], input);
    assert_eq!((code, &*out), (Some(0), "{\"n\":1,\"more\":2}\n{\"n\":4,\"more\":8}\n"), "{said}");
    let rejected: Vec<&str> = said.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(rejected.len(), 2, "{said}");
    assert!(said.contains("s.lua:2: three") && said.contains("\"event\":{\"n\":3}"), "{said}");
    let (code, out, _) = run(&folder, &["s.lua", "--arg", "by=5"], input);
    assert_eq!((code, &*out), (Some(0), "{\"n\":1,\"more\":5}\n{\"n\":4,\"more\":20}\n"));
}

#[test]
fn budgets_hold() {
    let folder = Folder::empty();
    folder.write("s.lua", "function process(event) while event.n == 1 do end return event end");
    let (code, out, said) = run(&folder, &["s.lua", "--instructions", "1000"], "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!((code, &*out), (Some(0), "{\"n\":2}\n"), "{said}");
    assert!(said.contains("s.lua:1: uses more instructions than it may (1000 a call)"), "{said}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = Folder::empty();
    folder.write("s.lua", SCRIPT);
    folder.write("broken.lua", "function process(event)\n  return event +\nend");
    let wrong = [
        (&["missing.lua"][..], 78, "missing.lua: No such file"),
        (&["broken.lua"], 78, "broken.lua:3"),
        (&["s.lua", "--arg", "by"], 2, "--arg takes NAME=VALUE"),
        (&["s.lua", "--memory", "much"], 78, "memory"),
        (&[], 2, "name a script"),
    ];
    for (arguments, expected, why) in wrong {
        let (code, out, said) = run(&folder, arguments, "{}\n");
        assert_eq!((code, &*out), (Some(expected), ""), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}
