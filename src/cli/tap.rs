//! `tap`: events that leave a node, as they come.

use super::args::TapArgs;
use super::exit::Exit;
use super::remote;
use super::terminal::Terminal;
use crate::server::watch_lines;
use serde_json::Value;
use std::path::Path;

/// Prints events, a line each, until there are enough.
///
/// # Errors
/// No process listens, or it refuses.
pub fn tap(args: &TapArgs, data_dir: Option<&Path>, terminal: &Terminal) -> Result<(), Exit> {
    let which = || Exit::usage("which node? `headwater tap PIPELINE.NODE`");
    let (pipeline, node) = args.node.split_once('.').ok_or_else(which)?;
    let data_dir = remote::whose(data_dir)?;
    let seconds = (args.time.0 / 1_000).clamp(1, 3_600);
    let (limit, rate) = (args.limit, args.rate);
    let query = format!("limit={limit}&rate={rate}&seconds={seconds}");
    let path = format!("/api/v1/pipelines/{pipeline}/nodes/{node}/tap?{query}");
    let (mut is_end, mut missed) = (false, 0);
    let answered = watch_lines(data_dir, &path, &mut |line| {
        match line.strip_prefix("data: ") {
            Some(said) if is_end => {
                let said: Value = serde_json::from_str(said).unwrap_or_default();
                missed = said["missed"].as_u64().unwrap_or_default();
            }
            Some(event) => terminal.print(&format!("{event}\n")),
            None => is_end |= line == "event: end",
        }
        Ok(())
    });
    let none = || Exit::failed(format!("no process runs with the data directory `{}`", data_dir.display()));
    let answered = answered.map_err(Exit::failed)?.ok_or_else(none)?;
    if answered.status != 200 {
        let why = answered.body["error"].as_str().unwrap_or("the process refused");
        return Err(Exit::failed(why));
    }
    if missed > 0 && !terminal.quiet {
        terminal.say(&format!("{missed} events were not shown: `--rate` says how many are\n"));
    }
    Ok(())
}
