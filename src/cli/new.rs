//! `new`: a pipeline to start from.

use super::args::NewArgs;
use super::components::unknown;
use super::exit::Exit;
use super::reference::{catalog, example};
use super::terminal::Terminal;
use crate::config::is_name;
use crate::dataflow::ComponentSpec;
use crate::event::nearest;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

/// What a pipeline starts as; `NAME` stands for its name.
const START: &str = include_str!("new/start.yaml");

/// Writes `NAME.yaml` into the working directory. A file that is there stays as it is.
///
/// # Errors
/// If the name is none, there is no such component, the file is there, or it cannot be written.
pub fn new(args: &NewArgs, terminal: &Terminal) -> Result<(), Exit> {
    let name = args.name.strip_suffix(".yaml").unwrap_or(&args.name);
    if !is_name(name) {
        let message = "a pipeline's name is a letter followed by letters, digits, `_` and `-`";
        return Err(Exit::usage(format!("`{name}` cannot name a pipeline: {message}")));
    }
    let text = match &args.from {
        Some(component) => from_example(component)?,
        None => START.replace("NAME", name),
    };
    let path = format!("{name}.yaml");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| {
        let there = error.kind() == ErrorKind::AlreadyExists;
        let reason = if there { "it is there already".to_owned() } else { error.to_string() };
        Exit::failed(format!("{path} cannot be written: {reason}"))
    })?;
    let written = file.write_all(text.as_bytes());
    written.map_err(|error| Exit::failed(format!("{path} cannot be written: {error}")))?;
    if !terminal.quiet {
        terminal.say(&next_steps(&path, text.contains("\ntests:")));
    }
    Ok(())
}

/// The examples of all components of a name, of which the first is taken.
fn from_example(name: &str) -> Result<String, Exit> {
    let all = catalog::components();
    let found: Option<&&ComponentSpec> = all.iter().find(|spec| spec.name == name);
    match found {
        Some(spec) => Ok(format!("# {}\n{}", spec.summary, example::whole(spec))),
        None => {
            let near = nearest(name, all.iter().map(|spec| spec.name));
            Err(unknown("component", "components", name, near))
        }
    }
}

fn next_steps(path: &str, tested: bool) -> String {
    let steps = [
        (true, "check", "says what is wrong with it"),
        (tested, "test", "runs its tests"),
        (true, "run", "runs it; Ctrl-C stops it"),
        (true, "explain", "shows how it runs"),
    ];
    let lines = steps.iter().filter(|(there, ..)| *there);
    let lines = lines.map(|(_, verb, does)| {
        format!("  {:<width$}  {does}\n", format!("headwater {verb} {path}"), width = 19 + path.len())
    });
    format!("wrote {path}\n{}", lines.collect::<String>())
}
