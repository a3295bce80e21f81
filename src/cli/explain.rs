//! `explain`: the plan of each pipeline in words.

use super::args::{Paths, Shared};
use super::exit::Exit;
use super::load;
use super::process::Process;
use super::terminal::Terminal;
use crate::plan::Explanation;

/// Explains pipelines: as text, or as JSON, a line each.
///
/// # Errors
/// If one cannot run.
pub fn explain(paths: &Paths, shared: &Shared, process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    let findings = load::load(paths, process, &|_| Vec::new())?;
    load::report(&findings, terminal)?;
    let lasting = process.data_dir(shared).is_some();
    let explain = |loaded: &load::Loaded| Explanation::of(&loaded.plan, lasting, &loaded.secrets);
    let explained = findings.loaded.iter().map(explain);
    if terminal.json {
        explained.for_each(|explanation| terminal.print(&format!("{}\n", explanation.to_json())));
        return Ok(());
    }
    let texts: Vec<String> =
        explained.map(|explanation| headed(&explanation.to_string(), terminal)).collect();
    terminal.print(&texts.join("\n"));
    Ok(())
}

/// The text with the lines in bold that begin a section.
fn headed(text: &str, terminal: &Terminal) -> String {
    let line = |line: &str| match line.is_empty() || line.starts_with(' ') {
        true => format!("{line}\n"),
        false => format!("{}\n", terminal.bold_out(line)),
    };
    text.lines().map(line).collect()
}
