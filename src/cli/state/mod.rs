//! `state`: what pipelines keep in the data directory, seen, and mended while no process uses it.

pub mod args;
pub mod folders;
mod get;
mod key;
pub mod list;
mod mend;

use super::exit::Exit;
use super::terminal::Terminal;
use args::StateVerb;
use folders::{Folders, Whereabouts};

/// Does what was asked with the state of one pipeline or of all.
///
/// # Errors
/// There is no such state, another process uses it, or something is wrong with it.
pub fn state(verb: &StateVerb, whereabouts: &Whereabouts, terminal: &Terminal) -> Result<(), Exit> {
    if let StateVerb::List(chosen) = verb
        && list::list_live(whereabouts.data_dir()?, chosen, terminal)?
    {
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
