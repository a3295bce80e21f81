//! `state`: what pipelines keep in the data directory. A process that uses it is asked; where none does, files are read and
//! mended.

pub mod args;
pub mod folders;
pub mod get;
pub mod key;
pub mod list;
pub mod mend;

use super::exit::Exit;
use super::terminal::Terminal;
use args::StateVerb;
use folders::{Folders, Whereabouts};

/// Does what was asked with the state of one pipeline or of all.
///
/// # Errors
/// There is no such state, another process uses it, or something is wrong with it.
pub fn state(verb: &StateVerb, whereabouts: &Whereabouts, terminal: &Terminal) -> Result<(), Exit> {
    let data_dir = whereabouts.data_dir()?;
    let was_asked = match verb {
        StateVerb::List(chosen) => list::list_live(data_dir, chosen, terminal)?,
        StateVerb::Get { pipeline, node, key } => get::get_live(data_dir, pipeline, node, key, terminal)?,
        StateVerb::Export { pipeline } => get::export_live(data_dir, pipeline)?,
        StateVerb::Check(chosen) => mend::check_live(data_dir, chosen, terminal)?,
        StateVerb::Repair(_) => mend::refuse_live(data_dir).map(|()| false)?,
        StateVerb::Compact(chosen) => mend::compact_live(data_dir, chosen, terminal)?,
    };
    if was_asked {
        return Ok(());
    }
    let folders = Folders::existing(whereabouts)?;
    match verb {
        StateVerb::List(chosen) => list::list(&folders, chosen, terminal),
        StateVerb::Get { pipeline, node, key } => get::get(&folders, pipeline, node, key, terminal),
        StateVerb::Export { pipeline } => get::export(&folders, pipeline),
        StateVerb::Check(chosen) => mend::check(&folders, chosen, terminal),
        StateVerb::Repair(chosen) => mend::repair(&folders, chosen, terminal),
        StateVerb::Compact(chosen) => mend::compact(&folders, chosen, terminal),
    }
}
