//! `check`: validates everything short of opening what pipelines read and write; with `--connect` it connects, too.

use super::args::CheckArgs;
use super::connect;
use super::exit::Exit;
use super::load::{self, Findings};
use super::process::Process;
use super::terminal::Terminal;
use super::test;
use crate::config::{Diagnostic, Severity};
use std::path::PathBuf;

/// Checks pipelines.
///
/// # Errors
/// If one cannot run.
pub fn check(args: &CheckArgs, process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    let paths = &args.paths;
    let mut findings = load::load(paths, process, &|_| Vec::new())?;
    refuse_shared(&mut findings, &paths.paths)?;
    findings.add_tables();
    add_tests(&mut findings, test::find(paths, process)?.diagnostics);
    if terminal.json {
        // Diagnostics are what this verb was asked to print.
        let lines = findings.diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.to_json()));
        terminal.print(&lines.collect::<String>());
    }
    let reported = match terminal.json {
        true if findings.has_errors() => Err(Exit::Config),
        true => Ok(()),
        false => load::report(&findings, terminal),
    };
    if !terminal.json && !terminal.quiet {
        let warnings = findings.diagnostics.iter().filter(|d| d.severity == Severity::Warning).count();
        let errors = findings.diagnostics.len() - warnings;
        terminal.say(&format!("{}\n", verdict(findings.loaded.len(), errors, warnings)));
    }
    reported?;
    if args.connect { connect::connect(&findings.loaded, terminal) } else { Ok(()) }
}

/// The pipelines of a folder run together; those that were named one by one may never do.
fn refuse_shared(findings: &mut Findings, paths: &[PathBuf]) -> Result<(), Exit> {
    for folder in paths.iter().filter(|path| path.is_dir()) {
        let files = load::files(std::slice::from_ref(folder))?;
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        load::refuse_shared(findings, |loaded| names.iter().any(|name| name == loaded.source.name()));
    }
    Ok(())
}

/// Adds what is wrong with tests, which were read together with their pipelines, to what is known of those.
fn add_tests(findings: &mut Findings, with_tests: Vec<Diagnostic>) {
    let known: Vec<String> = findings.diagnostics.iter().map(ToString::to_string).collect();
    let more = with_tests.into_iter().filter(|diagnostic| !known.contains(&diagnostic.to_string()));
    findings.diagnostics.extend(more);
}

fn verdict(good: usize, errors: usize, warnings: usize) -> String {
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if good > 0 && errors == 0 {
        parts.push(format!("{} ok", count(good, "pipeline")));
    }
    if errors > 0 {
        parts.push(count(errors, "error"));
    }
    if warnings > 0 {
        parts.push(count(warnings, "warning"));
    }
    parts.join(", ")
}
