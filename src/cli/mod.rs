//! The command line.

mod args;
mod bench;
mod check;
mod completions;
mod components;
mod configuration;
mod connect;
mod control;
mod data_dir;
mod dlq;
mod exit;
mod explain;
mod exporting;
mod fleet;
mod functions;
mod graph;
mod keep;
mod listening;
mod load;
mod lua;
mod man;
mod new;
mod process;
mod progress;
pub mod reference;
mod remote;
mod rewrite;
mod run;
mod savepoint;
mod schema;
mod snapshot;
mod state;
mod status;
mod tap;
mod terminal;
mod test;
mod why;

use crate::config::{ProcessEnvironment, SourceFile};
use crate::event::nearest;
use crate::telemetry::otlp::LogLayer;
use args::{Cli, LATER_VERBS, LogFormat, LogLevel, OutputFormat, Shared, Verb};
use clap::{CommandFactory, Parser};
use exit::Exit;
use process::Process;
use state::folders::Whereabouts;
use std::process::ExitCode;
use terminal::Terminal;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(&cli.shared);
    match dispatch(&cli, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            if let Some(message) = exit.message() {
                terminal.say(&format!("{}: {message}\n", terminal.bold("error")));
            }
            exit.code()
        }
    }
}

fn dispatch(cli: &Cli, terminal: &Terminal) -> Result<(), Exit> {
    if let Some(flag) = cli.shared.later.given().first() {
        return Err(Exit::config(format!("`{flag}` is not in this version")));
    }
    refuse_notation(cli)?;
    start_log(&cli.shared, terminal);
    let process = Process::read(&cli.shared, environment(&cli.shared)?);
    if matches!(
        cli.verb,
        Verb::Status
            | Verb::Pause(_)
            | Verb::Resume(_)
            | Verb::Stop(_)
            | Verb::Tap(_)
            | Verb::Dlq(_)
            | Verb::Snapshot(_)
    ) {
        load::said(&process, terminal)?;
    }
    match &cli.verb {
        Verb::Run(args) => run::run(args, &cli.shared, &process, terminal),
        Verb::Check(args) => check::check(args, &process, terminal),
        Verb::Test(args) => test::test(args, &process, terminal),
        Verb::Explain(paths) => explain::explain(paths, &cli.shared, &process, terminal),
        Verb::Graph(paths) => graph::graph(paths, cli.shared.format, &process, terminal),
        Verb::Bench(args) => bench::bench(args, &process, terminal),
        Verb::Status => status::status(process.data_dir(&cli.shared).as_deref(), terminal),
        Verb::Why(args) => {
            why::why(args, &Whereabouts::of(&process, &cli.shared, terminal)?, &process, terminal)
        }
        Verb::Tap(args) => tap::tap(args, process.data_dir(&cli.shared).as_deref(), terminal),
        Verb::Pause(args) => {
            control::tell(&args.pipeline, "pause", process.data_dir(&cli.shared).as_deref(), terminal)
        }
        Verb::Resume(args) => {
            control::tell(&args.pipeline, "resume", process.data_dir(&cli.shared).as_deref(), terminal)
        }
        Verb::Stop(args) => control::stop(args, process.data_dir(&cli.shared).as_deref(), terminal),
        Verb::Snapshot(verb) => {
            snapshot::snapshot(verb, process.data_dir(&cli.shared).as_deref(), &process, terminal)
        }
        Verb::Savepoint(verb) => {
            savepoint::savepoint(verb, &Whereabouts::of(&process, &cli.shared, terminal)?, terminal)
        }
        Verb::State(verb) => state::state(verb, &Whereabouts::of(&process, &cli.shared, terminal)?, terminal),
        Verb::Dlq(args) => dlq::dlq(args, process.data_dir(&cli.shared).as_deref(), terminal),
        Verb::Components(named) => components::components(named, terminal),
        Verb::Functions(named) => functions::functions(named, terminal),
        Verb::Lua(args) => lua::lua(args, &process, terminal),
        Verb::New(args) => new::new(args, terminal),
        Verb::Man => man::man(terminal),
        Verb::Schema(args) => {
            schema::schema(args.of, terminal);
            Ok(())
        }
        Verb::Completions(args) => {
            completions::completions(args, terminal);
            Ok(())
        }
        Verb::Other(words) => Err(other(words)),
    }
}

/// Only `graph` writes other notations than text and JSON.
fn refuse_notation(cli: &Cli) -> Result<(), Exit> {
    let notation = !matches!(cli.shared.format, OutputFormat::Text | OutputFormat::Json);
    match &cli.verb {
        Verb::Graph(_) => Ok(()),
        _ if notation => Err(Exit::usage("mermaid, dot and svg are formats of `graph` only")),
        _ => Ok(()),
    }
}

/// A verb that is of a later version, or none.
fn other(words: &[String]) -> Exit {
    let verb = words.first().map(String::as_str).unwrap_or_default();
    if LATER_VERBS.contains(&verb) {
        return Exit::config(format!("`{verb}` is not in this version"));
    }
    let command = Cli::command();
    let verbs = command.get_subcommands().map(clap::Command::get_name);
    let hint = nearest(verb, verbs).map(|near| format!("; did you mean `{near}`?"));
    Exit::usage(format!("there is no verb `{verb}`{}", hint.unwrap_or_default()))
}

fn environment(shared: &Shared) -> Result<ProcessEnvironment, Exit> {
    let mut environment = ProcessEnvironment::default();
    if let Some(path) = &shared.env_file {
        let added = SourceFile::read(path).and_then(|file| environment.add_file(&file));
        added.map_err(|diagnostic| Exit::config(diagnostic.to_string()))?;
    }
    Ok(environment)
}

/// Logs go to standard error.
fn start_log(shared: &Shared, terminal: &Terminal) {
    let level = match shared.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info if shared.quiet => LevelFilter::WARN,
        LogLevel::Info if shared.verbose => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(terminal.color)
        .with_target(false);
    let all = tracing_subscriber::registry().with(level).with(LogLayer::new());
    let started = match shared.log_format {
        LogFormat::Json => all.with(log.json()).try_init(),
        LogFormat::Text => all.with(log.compact()).try_init(),
    };
    // A log that runs already is that of the program this library is part of.
    drop(started);
}
