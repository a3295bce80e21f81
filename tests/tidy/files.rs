//! No dead files, no module without a purpose, no path of somebody's machine.

use super::source::{Fault, Source};
use std::path::Path;
use std::process::Command;

/// Every file is declared by the module that owns its folder.
pub fn check_declared(sources: &[Source]) -> Vec<Fault> {
    sources.iter().filter_map(|source| undeclared(source, sources)).collect()
}

fn undeclared(source: &Source, sources: &[Source]) -> Option<Fault> {
    let (owners, module) = declaration(&source.path)?;
    let declares = |other: &&Source| owners.contains(&other.path) && declares(other, &module);
    let declared = sources.iter().any(|other| declares(&other));
    (!declared).then(|| source.fault(1, format!("dead file: no `mod {module};` in {}", owners.join(" or "))))
}

/// Where a file may be declared, and as what; None for the roots.
fn declaration(path: &str) -> Option<(Vec<String>, String)> {
    let stem = path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs"))?;
    let (folder, module) = stem.rsplit_once('/')?;
    if folder == "src" {
        let is_root = matches!(module, "lib" | "main");
        let owners = ["src/lib.rs", "src/main.rs"].map(String::from).to_vec();
        return (!is_root).then_some((owners, module.to_string()));
    }
    Some((vec![format!("{folder}/mod.rs"), format!("{folder}.rs")], module.to_string()))
}

fn declares(owner: &Source, module: &str) -> bool {
    let behind = |at: &usize| owner.code[at + "mod".len()..].trim_start();
    let mut declarations = owner.find_word("mod").into_iter();
    declarations.any(|at| behind(&at).strip_prefix(module).is_some_and(|rest| rest.starts_with(';')))
}

/// A file starts by saying what it is for; a file of tests is named by what it tests.
pub fn check_documented(source: &Source) -> Option<Fault> {
    let is_tests = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    let documented = source.comments.trim_start().starts_with("//!") && source.code.starts_with(' ');
    (!is_tests && !documented).then(|| source.fault(1, "a file starts with `//!` and what it is for"))
}

/// Nothing under version control names a folder of the machine it was written on.
pub fn check_machine_paths(root: &Path) -> Vec<Fault> {
    let tracked = tracked_files(root);
    let text =
        |name: &String| Some((name.clone(), String::from_utf8(std::fs::read(root.join(name)).ok()?).ok()?));
    tracked.iter().filter_map(text).flat_map(|(name, text)| machine_paths(&name, &text)).collect()
}

fn machine_paths(name: &str, text: &str) -> Vec<Fault> {
    // Put together here, so that this file does not hold them itself.
    let paths = [["/wo", "rk/"], ["/tmp", "/wt"], ["/ro", "ot/"]].map(|parts| parts.concat());
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let found = paths.iter().filter(|path| starts_path(line, path));
        let fault = |path: &String| {
            let message = format!("`{path}` is a path of one machine");
            Fault { file: name.to_string(), line: number + 1, message }
        };
        faults.extend(found.map(fault));
    }
    faults
}

/// Whether an absolute path starts in the line with the given folders.
fn starts_path(line: &str, path: &str) -> bool {
    let is_start = |at: usize| {
        line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"._-}".contains(c))
    };
    line.match_indices(path).any(|(at, _)| is_start(at))
}

/// The names of all files under version control; none in a tree without it, such as an unpacked archive.
fn tracked_files(root: &Path) -> Vec<String> {
    if !root.join(".git").exists() {
        return Vec::new();
    }
    let output = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output().unwrap();
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    names.split_terminator('\0').map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_files_are_found() {
        let source = |path, text| Source::new(path, text);
        let live =
            [source("src/lib.rs", "pub mod a;"), source("src/a/mod.rs", "mod b;"), source("src/a/b.rs", "")];
        assert!(check_declared(&live).is_empty());
        let dead = [
            source("src/lib.rs", "pub mod a;"),
            source("src/a/mod.rs", "// mod b;"),
            source("src/a/b.rs", ""),
        ];
        let faults = check_declared(&dead);
        assert_eq!(faults[0].to_string(), "src/a/b.rs:1: dead file: no `mod b;` in src/a/mod.rs or src/a.rs");
        let twin =
            [source("src/lib.rs", "mod a;"), source("src/a.rs", "mod tests;"), source("src/a/tests.rs", "")];
        assert!(check_declared(&twin).is_empty());
        assert_eq!(check_declared(&[source("src/lib.rs", "mod ab;"), source("src/a.rs", "")]).len(), 1);
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert!(check_documented(&Source::new("src/a.rs", "//! What.\n\nfn a() {}")).is_none());
        assert!(check_documented(&Source::new("src/a.rs", "fn a() {}\n//! What.")).is_some());
        assert!(check_documented(&Source::new("src/a.rs", "// What.\nfn a() {}")).is_some());
        assert!(check_documented(&Source::new("src/a/tests.rs", "fn a() {}")).is_none());
    }

    #[test]
    fn machine_paths_are_found() {
        let path = ["/wo", "rk/main"].concat();
        assert_eq!(machine_paths("a", &format!("one\nin {path}"))[0].line, 2);
        assert!(machine_paths("a", &format!("https://example.org{path}")).is_empty());
        assert!(machine_paths("a", &format!("${{HOME}}{path} ~{}", "/bin")).is_empty());
    }

    #[test]
    fn version_control_is_asked() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(tracked_files(root).is_empty(), !root.join(".git").exists());
    }
}
