//! The verbs that help to begin: `new`, `completions`, `man`, and what is said of verbs that are not there.

pub mod common;

use common::Folder;
use std::process::Command;

#[test]
fn a_new_pipeline_is_right_and_passes_its_test() {
    let folder = Folder::empty();
    let ran = folder.run(&["new", "plant-1"]).succeeded();
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.starts_with("wrote plant-1.yaml\n  headwater check plant-1.yaml"), "{}", ran.stderr);
    let ran = folder.run(&["check", "plant-1.yaml"]).succeeded();
    assert_eq!(ran.stderr, "1 pipeline ok\n");
    assert!(folder.run(&["test", "plant-1.yaml"]).succeeded().stdout.contains("1 test passed"));
    let graph = folder.run(&["graph", "plant-1.yaml"]).succeeded().stdout;
    assert!(graph.starts_with("plant-1\n"), "{graph}");
}

#[test]
fn a_new_pipeline_may_start_from_an_example() {
    let folder = Folder::empty();
    folder.run(&["new", "visits.yaml", "--from", "session"]).succeeded();
    assert!(folder.read("visits.yaml").contains("session: { gap: 30s"));
    folder.run(&["test", "visits.yaml"]).succeeded();
    let ran = folder.run(&["new", "other", "--from", "sesion"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("did you mean `session`?"), "{}", ran.stderr);
    assert_eq!(folder.read("other.yaml"), "");
}

#[test]
fn a_file_that_is_there_stays() {
    let folder = Folder::empty();
    folder.write("mine.yaml", "precious");
    let ran = folder.run(&["new", "mine"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("mine.yaml cannot be written: it is there already"), "{}", ran.stderr);
    assert_eq!(folder.read("mine.yaml"), "precious");
}

#[test]
fn what_is_no_name_is_refused() {
    for name in ["1st", "a/b", "..", ""] {
        assert_eq!(Folder::empty().run(&["new", name]).status, Some(2), "{name}");
    }
}

#[test]
fn shells_complete_verbs_flags_and_names() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Folder::empty().run(&["completions", shell]).succeeded().stdout;
        for word in ["explain", "log-level", "event_time", "concat_ws", "update"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("--url"), "{shell} completes a flag of a later version");
    }
    assert_eq!(Folder::empty().run(&["completions", "tcsh"]).status, Some(2));
}

/// The shell itself reads the script.
#[test]
fn bash_understands_its_script() {
    let folder = Folder::empty();
    let script = folder.run(&["completions", "bash"]).succeeded().stdout;
    folder.write("script", script);
    let ask = "source ./script; COMP_WORDS=(headwater components gen); COMP_CWORD=2; \
               _headwater headwater gen components; echo \"${COMPREPLY[@]}\"";
    let ran = Command::new("bash").current_dir(folder.path()).args(["--norc", "-c", ask]).output().unwrap();
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "generate\n");
}

#[test]
fn the_manual_has_every_verb() {
    let page = Folder::empty().run(&["man"]).succeeded().stdout;
    for verb in ["run", "check", "test", "components", "man"] {
        assert!(page.contains(&format!(".SS \"headwater {verb}\"")), "{verb}");
    }
    assert!(page.contains(".TH headwater 1") && page.contains(".SH \"EXIT STATUS\""));
    assert!(!page.contains("\\-\\-url"), "a flag of a later version");
}

#[test]
fn a_misspelled_verb_is_refused_with_the_nearest() {
    let ran = Folder::empty().run(&["complete"]);
    assert_eq!(ran.status, Some(2));
    assert!(
        ran.stderr.contains("there is no verb `complete`; did you mean `completions`?"),
        "{}",
        ran.stderr
    );
}
