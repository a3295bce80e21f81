//! `graph`: how the nodes of each pipeline are connected, as text or in another notation.

use super::args::{OutputFormat, Paths};
use super::exit::Exit;
use super::load;
use super::process::Process;
use super::terminal::Terminal;
use crate::plan::Graph;

/// Draws pipelines.
///
/// # Errors
/// If one cannot run, or if a notation takes one pipeline only and there are several.
pub fn graph(
    paths: &Paths,
    format: OutputFormat,
    process: &Process,
    terminal: &Terminal,
) -> Result<(), Exit> {
    let findings = load::load(paths, process, &|_| Vec::new())?;
    load::report(&findings, terminal)?;
    let count = findings.loaded.len();
    if count > 1 && matches!(format, OutputFormat::Mermaid | OutputFormat::Svg) {
        return Err(Exit::usage(format!("this format draws one pipeline at a time, and there are {count}")));
    }
    for (i, loaded) in findings.loaded.iter().enumerate() {
        let graph = Graph::of(&loaded.plan, &loaded.secrets);
        let text = match format {
            OutputFormat::Text => {
                let blank = if i > 0 { "\n" } else { "" };
                let name = terminal.bold_out(&loaded.plan.name);
                format!("{blank}{name}\n\n{}", graph.to_text(terminal.columns(), terminal.color_out))
            }
            OutputFormat::Json => format!("{}\n", graph.to_json()),
            OutputFormat::Mermaid => graph.to_mermaid(),
            OutputFormat::Dot => graph.to_dot(),
            OutputFormat::Svg => graph.to_svg(),
        };
        terminal.print(&text);
    }
    Ok(())
}
