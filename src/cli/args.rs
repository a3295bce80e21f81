//! The command line: verbs, flags, and what belongs to later versions.

pub use super::state::args::{SavepointVerb, StateVerb};
use crate::config::units;
use crate::time::Millis;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

/// One small binary that runs streaming pipelines where the data is born.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, about, args_override_self = true)]
pub struct Cli {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of all verbs")]
pub struct Shared {
    /// Reads variables for `${…}` from a file of NAME=value lines; the environment wins
    #[arg(long, global = true, value_name = "FILE", env = "HEADWATER_ENV_FILE")]
    pub env_file: Option<PathBuf>,
    /// Configures the process: see the reference. Absent: headwater.yaml of the working directory, if there is one
    #[arg(long, global = true, value_name = "FILE", env = "HEADWATER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where `run` keeps what must last, one process at a time, and where `state`, `savepoint`, `snapshot`, `dlq`,
    /// `status`, `why`, `pause`, `resume`, `stop` and `tap` look for it. Absent: as configured, `$STATE_DIRECTORY`, or nothing lasts
    #[arg(long, global = true, value_name = "DIR", env = "HEADWATER_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// What is logged to standard error
    #[arg(long, global = true, value_name = "LEVEL", env = "HEADWATER_LOG_LEVEL", default_value = "info")]
    pub log_level: LogLevel,
    /// How it is logged
    #[arg(long, global = true, value_name = "FORMAT", env = "HEADWATER_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// How the verb prints what it was asked for
    #[arg(long, global = true, value_name = "FORMAT", env = "HEADWATER_FORMAT", default_value = "text")]
    pub format: OutputFormat,
    /// Whether output is coloured; auto: on a terminal
    #[arg(long, global = true, value_name = "WHEN", env = "HEADWATER_COLOR", default_value = "auto")]
    pub color: Color,
    /// Prints less: no summary, warnings and errors only
    #[arg(short, long, global = true, env = "HEADWATER_QUIET", value_parser = BoolishValueParser::new())]
    pub quiet: bool,
    /// Prints more
    #[arg(short, long, global = true, env = "HEADWATER_VERBOSE", value_parser = BoolishValueParser::new())]
    pub verbose: bool,
    #[command(flatten)]
    pub later: LaterFlags,
}

/// Flags of the language that this version does not have; given, they are refused.
#[derive(Clone, Debug, Args)]
pub struct LaterFlags {
    #[arg(long, global = true, hide = true)]
    pub url: Option<String>,
}

impl LaterFlags {
    /// The flags that were given.
    pub fn given(&self) -> Vec<&'static str> {
        let flags = [("--url", self.url.is_some())];
        flags.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Runs pipelines: files, or directories of them; ends when all bounded input has ended
    Run(RunArgs),
    /// Validates pipelines, everything short of opening what they read and write
    Check(CheckArgs),
    /// Runs the tests of pipelines on a virtual clock: nothing sleeps, nothing connects
    Test(TestArgs),
    /// Draws how a pipeline's nodes are connected
    Graph(Paths),
    /// Shows the plan: operators as they run, fields decoded, state kept, the guarantee of each path
    Explain(Paths),
    /// Runs a pipeline as fast as its input comes and measures it
    Bench(BenchArgs),
    /// What the process that uses the data directory does: pipelines, checkpoints, bytes written, events by node
    Status,
    /// Why a window does not fire: the cause in words, the watermark, who holds it and since when, the earliest open window
    Why(WhyArgs),
    /// Shows events that leave a node of a running process, as they come: those fields that the pipeline reads
    Tap(TapArgs),
    /// Has a pipeline of a running process read its sources no more for now; state is kept, checkpoints go on
    Pause(PipelineArgs),
    /// Has a paused pipeline read on
    Resume(PipelineArgs),
    /// Stops a pipeline of a running process; no window fires, and a later run goes on from here
    Stop(StopArgs),
    /// Takes, lists or restores snapshots of state
    #[command(subcommand)]
    Snapshot(SnapshotVerb),
    /// All that a pipeline must not lose as one file, which another machine or a changed pipeline goes on from
    #[command(subcommand)]
    Savepoint(SavepointVerb),
    /// What pipelines keep in the data directory; `list` also while a process uses it
    #[command(subcommand)]
    State(StateVerb),
    /// Shows events that were rejected and that no pipeline reads, or writes them to standard output as they came
    Dlq(DlqArgs),
    /// Lists sources, transforms, windows, sinks and formats, or shows one: options and a runnable example
    Components(Named),
    /// Lists functions and aggregates, or shows one: what it takes, and examples with their results
    Functions(Named),
    /// Prints the JSON Schema of a pipeline's file, or of headwater.yaml, for editors
    Schema(SchemaArgs),
    /// Runs a script over NDJSON on standard input, as a `lua` node would: events go to standard output, what is rejected to
    /// standard error. Without a script: a session at a terminal
    Lua(LuaArgs),
    /// Writes a small pipeline with a test, to start from
    New(NewArgs),
    /// Prints a script that completes this command line in a shell
    Completions(CompletionsArgs),
    /// Prints the manual page: `headwater man | man -l -`
    Man,
    /// A verb that is none of these.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Pipelines and their parameters.
#[derive(Clone, Debug, Args)]
pub struct Paths {
    /// Pipeline files, or directories of them (*.yaml and *.yml, not recursive)
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Sets a parameter of the pipelines
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// Pipelines to check.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub paths: Paths,
    /// Connects to the servers too, and looks whether a run would find what it needs there
    #[arg(long)]
    pub connect: bool,
}

/// Pipelines to run, and how they go on where an earlier run stopped.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub paths: Paths,
    /// Starts over: reads all input again, with empty windows; what earlier runs have put out stays, and comes again
    #[arg(long)]
    pub fresh: bool,
    /// Ends where what earlier runs kept is damaged, in place of setting that aside
    #[arg(long)]
    pub strict_recovery: bool,
    /// Goes on where damaged state breaks `exactly_once`: sets it aside, and output may be there twice, or be missing where
    /// what was to be delivered is lost
    #[arg(long, conflicts_with = "accept_gap")]
    pub accept_duplicates: bool,
    /// In this version the same as --accept-duplicates: no sink can tell what its target lacks
    #[arg(long)]
    pub accept_gap: bool,
    /// Drops what was kept for a node where it no longer fits; may be given several times
    #[arg(long, value_name = "NODE")]
    pub allow_dropped_state: Vec<String>,
    /// Answers HTTP there, or nowhere: `none`. Absent: as configured, or on 127.0.0.1:8080 where a source never ends by itself
    #[arg(long, value_name = "ADDRESS", env = "HEADWATER_LISTEN")]
    pub listen: Option<String>,
}

/// What to describe.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Which file it is about
    #[arg(long, value_name = "FILE", default_value = "pipeline")]
    pub of: Document,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// A pipeline.
    Pipeline,
    /// headwater.yaml
    Config,
}

/// Pipelines to test.
#[derive(Clone, Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub paths: Paths,
    /// Rewrites what failing steps expect, in place, to what came
    #[arg(long)]
    pub update: bool,
}

/// What to do with snapshots.
#[derive(Clone, Debug, Subcommand)]
pub enum SnapshotVerb {
    /// Has the process that uses the data directory take a snapshot of every pipeline now
    Create,
    /// Lists the snapshots at a target that are whole
    List(SnapshotArgs),
    /// Restores the newest snapshot of each pipeline, or that of a time, into a data directory in which they have no state
    Restore(SnapshotArgs),
}

/// What to ask about.
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// A node of a pipeline that the process with this data directory runs
    #[arg(value_name = "PIPELINE.NODE")]
    pub node: String,
    /// Where no process runs: the pipeline's file, or a directory of them, by which what was kept can be read. Absent: only
    /// what is known without is told
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Looks at a savepoint, not at the data directory
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub savepoint: Option<PathBuf>,
    /// Sets a parameter of the pipelines in PATH
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// What to look at.
#[derive(Clone, Debug, Args)]
pub struct TapArgs {
    /// A node of a pipeline that the process with this data directory runs
    #[arg(value_name = "PIPELINE.NODE")]
    pub node: String,
    /// Events at the most
    #[arg(long, value_name = "NUMBER", default_value = "1000", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub limit: u64,
    /// Events a second at the most
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub rate: u64,
    /// How long
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub time: Millis,
}

/// Whom to tell.
#[derive(Clone, Debug, Args)]
pub struct PipelineArgs {
    /// A pipeline that the process with this data directory runs
    #[arg(value_name = "PIPELINE")]
    pub pipeline: String,
}

/// What to stop, and how.
#[derive(Clone, Debug, Args)]
pub struct StopArgs {
    /// A pipeline that the process with this data directory runs
    #[arg(value_name = "PIPELINE")]
    pub pipeline: String,
    /// Ends it as if its input had ended: all windows fire
    #[arg(long, conflicts_with = "savepoint")]
    pub drain: bool,
    /// Writes a savepoint first, and nothing goes past it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub savepoint: Option<PathBuf>,
}

/// Which snapshots.
#[derive(Clone, Debug, Args)]
pub struct SnapshotArgs {
    /// A directory, or s3://BUCKET/PREFIX (keys by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY); with @TIME those of that
    /// time. Absent, or only @TIME: where `snapshots` of headwater.yaml go
    #[arg(value_name = "TARGET[@TIME]", value_hint = ValueHint::AnyPath)]
    pub target: Option<String>,
    /// Only those of this gateway
    #[arg(long, value_name = "ID")]
    pub instance: Option<String>,
    /// Only those of this pipeline
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// The server of a bucket that is not Amazon's
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub endpoint: Option<String>,
    /// The region of the bucket
    #[arg(long, value_name = "NAME", env = "AWS_REGION")]
    pub region: Option<String>,
}

/// Dead letters: with `--data-dir`, also while a pipeline runs.
#[derive(Clone, Debug, Args)]
pub struct DlqArgs {
    /// `list` prints a line for each; `replay` what was rejected, byte for byte, a line each, to be given in again:
    /// `headwater dlq replay NAME | headwater run …`
    #[arg(value_name = "ACTION")]
    pub action: DlqAction,
    /// The pipeline; absent: all
    #[arg(value_name = "PIPELINE")]
    pub pipeline: Option<String>,
    /// Only what this node rejected
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
}

/// What is done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DlqAction {
    List,
    Replay,
}

/// What to show.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// One of them; absent: all, a line each
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// A script to run.
#[derive(Clone, Debug, Args)]
pub struct LuaArgs {
    /// A script that defines `process(event)`
    #[arg(value_name = "SCRIPT", value_hint = ValueHint::FilePath)]
    pub script: Option<PathBuf>,
    /// What the script finds in its table `args`; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub arg: Vec<String>,
    /// What the interpreter may hold, such as 16MiB
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// What one call may execute
    #[arg(long, value_name = "COUNT")]
    pub instructions: Option<u64>,
    /// How long one call may take, such as 1s
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,
}

/// A pipeline to begin.
#[derive(Clone, Debug, Args)]
pub struct NewArgs {
    /// The pipeline's name; the file is NAME.yaml
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Starts from the example of a component
    #[arg(long, value_name = "COMPONENT")]
    pub from: Option<String>,
}

/// A shell.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Shells that can complete a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// A pipeline to measure.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// A pipeline file. Files are written as in a run; standard output is counted instead
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub path: PathBuf,
    /// Sets a parameter of the pipeline
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Ends the input after this time; 10s where it never ends by itself
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub time: Option<Millis>,
    /// Ends the input after this many events, give or take a batch
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub events: Option<u64>,
}

fn duration(text: &str) -> Result<Millis, String> {
    units::duration(text).map_err(|unreadable| unreadable.hint)
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// For people or for programs; `graph` has notations of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Text,
    Json,
    Mermaid,
    Dot,
    Svg,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// Verbs of the language that this version does not have.
pub const LATER_VERBS: &[&str] = &["top", "reload", "record", "replay", "sql", "export"];
