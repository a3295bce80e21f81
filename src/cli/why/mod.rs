//! `why`: why a window does not fire, as the process knows that runs it, or as what was kept says where none runs.

mod kept;
mod shown;

pub use shown::{source, to_json};

use super::args::WhyArgs;
use super::exit::Exit;
use super::process::Process;
use super::remote;
use super::state::folders::Whereabouts;
use super::terminal::Terminal;
use crate::event::nearest;
use serde_json::Value;

/// Says what keeps a node from going on, `PIPELINE.NODE`.
///
/// # Errors
/// Nobody knows: no process listens and nothing was kept, or there is no such node.
pub fn why(
    args: &WhyArgs,
    whereabouts: &Whereabouts,
    process: &Process,
    terminal: &Terminal,
) -> Result<(), Exit> {
    let which = || Exit::usage("which node? `headwater why PIPELINE.NODE`");
    let (pipeline, node) = args.node.split_once('.').ok_or_else(which)?;
    if let Some(file) = &args.savepoint {
        print(&kept::of_savepoint((pipeline, node), file, args, (process, terminal))?, terminal);
        return Ok(());
    }
    let data_dir = whereabouts.data_dir()?;
    let path = format!("/api/v1/pipelines/{pipeline}/why/{node}");
    let said = match remote::ask_some(data_dir, "GET", &path, String::new())? {
        Some(said) => said,
        None => kept::of_data_dir((pipeline, node), whereabouts, args, (process, terminal))?,
    };
    print(&said, terminal);
    Ok(())
}

fn print(said: &Value, terminal: &Terminal) {
    terminal.print(&match terminal.json {
        true => format!("{said}\n"),
        false => shown::text(said),
    });
}

/// That a pipeline has no node of a name, with the nearest that it has.
pub fn unknown<'a>(pipeline: &str, node: &str, names: impl Iterator<Item = &'a str>) -> String {
    let hint = nearest(node, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("pipeline `{pipeline}` has no node `{node}`{hint}")
}
