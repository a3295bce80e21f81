//! The house rules, as tests: layers, lengths, words, dead files, machine paths.
//!
//! Each rule is a function from sources to faults in `tests/tidy/`, and beside it stand samples that it
//! must refuse and samples that it must let pass. Here the rules meet the real tree.

#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lengths.rs"]
mod lengths;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::{Fault, Source};
use std::path::Path;

/// The crate's own code.
fn crate_sources() -> Vec<Source> {
    Source::read_tree(root(), "src")
}

/// All Rust code of the project.
fn all_sources() -> Vec<Source> {
    ["src", "tests", "benches", "fuzz"].iter().flat_map(|folder| Source::read_tree(root(), folder)).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with one `file:line: message` a fault.
fn none(faults: Vec<Fault>) {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), lines.join("\n"));
}

#[test]
fn modules_import_only_lower_layers() {
    none(crate_sources().iter().flat_map(layers::check).collect());
}

#[test]
fn files_are_short() {
    none(lengths::check_files(&crate_sources()));
}

#[test]
fn functions_are_short() {
    none(all_sources().iter().flat_map(lengths::check_functions).collect());
}

#[test]
fn no_word_asks_to_come_back_later() {
    none(all_sources().iter().flat_map(words::check_banned).collect());
}

#[test]
fn every_unwrap_says_why_it_holds() {
    none(crate_sources().iter().flat_map(words::check_unwraps).collect());
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    none(all_sources().iter().flat_map(words::check_unsafe).collect());
}

#[test]
fn no_file_is_dead() {
    none(files::check_declared(&crate_sources()));
}

#[test]
fn every_module_says_what_it_is_for() {
    none(crate_sources().iter().flat_map(files::check_documented).collect());
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    none(files::check_machine_paths(root()));
}
