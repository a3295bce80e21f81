//! `lua`: a script over NDJSON, or a session to try Lua in.

mod session;

use super::args::LuaArgs;
use super::exit::Exit;
use super::load;
use super::process::Process;
use super::run;
use super::terminal::Terminal;
use crate::config::SourceFile;
use crate::dataflow::Instance;
use crate::runtime::{NodeCounts, Pipeline};
use crate::time::SystemClock;
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use std::path::Path;

/// Runs a script over standard input, as a `lua` node without key would; without one, reads lines of Lua from a terminal.
///
/// # Errors
/// The script cannot be run, or there is none and nobody to type one.
pub fn lua(args: &LuaArgs, process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    match &args.script {
        Some(script) => over_input(script, args, process, terminal),
        None if std::io::stdin().is_terminal() => session::hold(args, terminal),
        None => Err(Exit::usage("name a script: without one, `lua` is a session at a terminal")),
    }
}

/// Runs the pipeline that a script is.
fn over_input(script: &Path, args: &LuaArgs, process: &Process, terminal: &Terminal) -> Result<(), Exit> {
    let script = std::path::absolute(script).map_err(|error| Exit::usage(error.to_string()))?;
    let text = pipeline(&script, args)?.to_string();
    // It is shorter than a file may be.
    let source = SourceFile::new("lua", text.into_bytes())
        .map_err(|diagnostic| Exit::usage(diagnostic.to_string()))?;
    let findings = load::load_text(source, &Instance::default(), process);
    load::report(&findings, terminal)?;
    let Some(loaded) = findings.loaded.first() else { return Err(Exit::Config) };
    let clock = SystemClock::new();
    let stop = run::stop_on_signals()?;
    let failed = |message: String| Exit::failed(loaded.secrets.mask(&message).into_owned());
    let pipeline = Pipeline::open(&loaded.plan, &clock).map_err(failed)?;
    pipeline.run(&clock, &stop, &mut |_: &[NodeCounts]| {}).map_err(failed)?;
    Ok(())
}

/// Standard input, the script, standard output; what is rejected goes to standard error.
fn pipeline(script: &Path, args: &LuaArgs) -> Result<Value, Exit> {
    let Some(path) = script.to_str() else { return Err(Exit::usage("the script's path is not UTF-8")) };
    let mut options = Map::new();
    options.insert("script".to_owned(), json!(path));
    for (name, value) in [("memory", &args.memory), ("time", &args.time)] {
        options.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    options.extend(args.instructions.map(|count| ("instructions".to_owned(), json!(count))));
    let mut given = Map::new();
    for pair in &args.arg {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Exit::usage(format!("--arg takes NAME=VALUE, not `{pair}`")));
        };
        given.insert(name.to_owned(), json!(value));
    }
    if !given.is_empty() {
        options.insert("args".to_owned(), Value::Object(given));
    }
    let sinks = json!({
        "output": { "from": "script", "stdout": {} },
        "errors": { "from": ["input.rejected", "script.rejected"], "stdout": { "stream": "stderr" } },
    });
    Ok(json!({
        "pipeline": "lua",
        "sources": { "input": { "stdin": {} } },
        "transforms": { "script": { "from": "input", "lua": options } },
        "sinks": sinks,
    }))
}
