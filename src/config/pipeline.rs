//! A pipeline's file as far as its structure goes: which nodes there are, and what they read from. What the
//! nodes do is read by whoever knows the components.

use std::collections::BTreeMap;
use std::path::Path;

use super::declaration::{Declaration, Role};
use super::delivery::{Checkpointing, Delivery};
use super::diagnostic::Faults;
use super::environment::Environment;
use super::name;
use super::node::Node;
use super::params::{Override, Param, read_params};
use super::read;
use super::section::{Keys, Section, Setting};
use super::source::Place;
use super::state_ttl::StateTtl;
use super::substitute::Substitution;
use super::yaml;

/// The keys of a pipeline's file.
pub const TOP_LEVEL: Keys<'static> = Keys {
    known: &[
        "pipeline",
        "description",
        "options",
        "params",
        "sources",
        "transforms",
        "windows",
        "sinks",
        "tables",
        "plugins",
        "tests",
    ],
    later: &[],
    hints: &[],
};
/// The keys of `options`.
pub const PIPELINE_OPTIONS: Keys<'static> =
    Keys { known: &["delivery", "checkpoint", "parallelism", "state_ttl"], later: &[], hints: &[] };

/// The most workers that may share a pipeline's keys.
const MAX_PARALLELISM: i64 = 256;

/// How a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineOptions {
    /// What shall hold for every event, at each sink that says nothing else.
    pub delivery: Delivery,
    /// How checkpoints are taken.
    pub checkpoint: Checkpointing,
    /// How many workers share the keys.
    pub parallelism: usize,
    /// How long nodes keep state of a key without events, where they do not say.
    pub state_ttl: StateTtl,
}

impl Default for PipelineOptions {
    fn default() -> PipelineOptions {
        PipelineOptions {
            delivery: Delivery::default(),
            checkpoint: Checkpointing::default(),
            parallelism: 1,
            state_ttl: StateTtl(None),
        }
    }
}

/// A pipeline as it is written.
#[derive(Debug)]
pub struct PipelineFile {
    /// Its name: as given, or the file's stem.
    pub name: String,
    /// What it is for, in the author's words.
    pub description: Option<String>,
    /// How it runs.
    pub options: PipelineOptions,
    /// Its parameters, overrides done.
    pub params: Vec<Param>,
    /// Its nodes in the order sources, transforms, windows, sinks, each in the order of the file. Names are
    /// distinct.
    pub nodes: Vec<Declaration>,
    /// Its tables in the order of the file. No table has the name of another one, or of a node.
    pub tables: Vec<Declaration>,
    /// Scripts that register functions, aggregates and triggers: paths and patterns as they are written.
    pub plugins: Vec<(String, Place)>,
    /// Its tests, for the test runner.
    pub tests: Option<Node>,
}

impl PipelineFile {
    /// The node of a name.
    pub fn node(&self, name: &str) -> Option<&Declaration> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The nodes of a role.
    pub fn nodes_of(&self, role: Role) -> impl Iterator<Item = &Declaration> {
        self.nodes.iter().filter(move |node| node.role == role)
    }
}

/// What a pipeline is read with.
#[derive(Clone, Copy)]
pub struct Surroundings<'s> {
    /// Where substitutions come from.
    pub environment: &'s dyn Environment,
    /// Values for parameters, by name; the last of a name wins.
    pub overrides: &'s [Override],
}

/// Reads the file behind `faults` as a pipeline. `None` where it is no readable map; where faults were
/// reported, what is returned is what could be read, fit only for finding more of them.
pub fn read_pipeline(faults: &Faults, surroundings: Surroundings<'_>) -> Option<PipelineFile> {
    let (root, params) = read_document(faults, surroundings)?;
    if root.is_null() {
        let reported = faults.error(Place::default(), "the file is empty");
        reported.hint("a pipeline has at least `sources:` and `sinks:`");
        return None;
    }
    let first = root.entries().and_then(<[_]>::first).map_or(Place::default(), |entry| entry.place);
    let section = Section::open(&root, first, "the pipeline", TOP_LEVEL, faults);
    if section.is_broken() {
        return None;
    }
    let given = section.optional("pipeline", read::name).map(str::to_owned);
    let name = given.unwrap_or_else(|| default_name(faults.file().name()));
    let description = section.optional("description", read::any_text).map(str::to_owned);
    let options = section.optional("options", |setting| Some(read_options(setting))).unwrap_or_default();
    let (nodes, tables) = read_nodes(&section);
    let path = |setting: Setting<'_>| Some((read::text(setting)?.to_owned(), setting.place()));
    let plugins = section.optional("plugins", read::one_or_list(path)).unwrap_or_default();
    let tests = section.get("tests").map(|setting| setting.node.clone());
    Some(PipelineFile { name, description, options, params, nodes, tables, plugins, tests })
}

/// Reads the file behind `faults` as tests that stand beside their pipeline, whose parameters they may use: a
/// map with the one key `tests`.
pub fn read_tests(faults: &Faults, environment: &dyn Environment, params: &[Param]) -> Option<Node> {
    let mut root = yaml::parse(faults)?;
    Substitution::new(environment, Some(params), faults).document(&mut root);
    let section = Section::open(&root, Place::default(), "the test file", Keys::of(&["tests"]), faults);
    section.required("tests", |setting| Some(setting.node.clone()))
}

/// The document with its parameters, substitutions done.
fn read_document(faults: &Faults, surroundings: Surroundings<'_>) -> Option<(Node, Vec<Param>)> {
    let Surroundings { environment, overrides } = surroundings;
    let mut root = yaml::parse(faults)?;
    let mut params = Vec::new();
    if let Some(entry) = root.get_mut("params") {
        Substitution::new(environment, None, faults).node(&mut entry.value);
        params = read_params(&entry.value, overrides, faults);
    }
    Substitution::new(environment, Some(&params), faults).document(&mut root);
    Some((root, params))
}

/// The file's stem, with `_` for what cannot stand in a name.
fn default_name(file: &str) -> String {
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let tidy = |c| if name::is_inner(c) { c } else { '_' };
    let stem: String = stem.chars().take(name::MAX_BYTES).map(tidy).collect();
    if stem.is_empty() { "pipeline".to_owned() } else { stem }
}

fn read_options(setting: Setting<'_>) -> PipelineOptions {
    let options = setting.section("`options`", PIPELINE_OPTIONS);
    let parallelism = options.or("parallelism", 1, read::integer(1..=MAX_PARALLELISM));
    PipelineOptions {
        delivery: options.or("delivery", Delivery::default(), Delivery::read),
        checkpoint: options.or("checkpoint", Checkpointing::default(), Checkpointing::read),
        parallelism: usize::try_from(parallelism).unwrap_or(1),
        state_ttl: options.or("state_ttl", StateTtl::default(), StateTtl::read),
    }
}

/// Reads nodes and tables.
fn read_nodes(section: &Section<'_>) -> (Vec<Declaration>, Vec<Declaration>) {
    let mut nodes: Vec<Declaration> = Vec::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for role in [Role::Source, Role::Transform, Role::Window, Role::Sink, Role::Table] {
        let key = role.section();
        let declared =
            section.optional(key, |setting| match setting.node.is_null() && !setting.node.is_failed() {
                true => Some(Vec::new()),
                false => setting.entries(),
            });
        let is_missing = declared.as_ref().map_or(!section.has(key), Vec::is_empty);
        if is_missing && matches!(role, Role::Source | Role::Sink) {
            report_missing(section, role);
        }
        for setting in declared.unwrap_or_default() {
            match names.get(setting.name) {
                Some(first) => report_same_name(&nodes[*first], setting),
                None => {
                    names.insert(setting.name, nodes.len());
                    nodes.push(Declaration::read(role, setting));
                }
            }
        }
    }
    let tables = nodes.split_off(nodes.partition_point(|node| node.role != Role::Table));
    for node in &mut nodes {
        let table = tables.iter().find(|table| Some(table.name.as_str()) == node.table());
        node.asks = table.map_or_else(Vec::new, |table| table.from.clone());
    }
    refuse_wrong_names(&nodes, section.faults());
    (nodes, tables)
}

/// What a node was called must be the name of no node, and each such name that of one node alone.
fn refuse_wrong_names(nodes: &[Declaration], faults: &Faults) {
    let mut claimed: BTreeMap<&str, &Declaration> = BTreeMap::new();
    for node in nodes {
        for (name, place) in &node.was {
            if let Some(other) = nodes.iter().find(|other| other.name == *name) {
                let reported =
                    faults.error(*place, format!("there still is a {} `{name}`", other.role.noun()));
                reported.hint("`was` names what a node was called that has another name now");
            } else if let Some(other) = claimed.insert(name, node) {
                let both = if other.name == node.name { "this node".to_owned() } else { other.what() };
                let message = format!("{both} was called `{name}` already");
                faults.error(*place, message).hint("its state can go to one node only");
            }
        }
    }
}

fn report_missing(section: &Section<'_>, role: Role) {
    let place = section.get(role.section()).map_or(section.place(), |setting| setting.key);
    let reported = section.faults().error(place, format!("the pipeline has no {}", role.noun()));
    reported.hint(format!("add one under `{}:`", role.section()));
}

fn report_same_name(first: &Declaration, second: Setting<'_>) {
    let line = second.faults.file().line_of(first.place.start);
    let message = format!("a {} is called `{}` already", first.role.noun(), first.name);
    second
        .faults
        .error(second.key, message)
        .hint(format!("it stands in line {line}; names are unique in a file"));
}

#[cfg(test)]
mod tests;
