//! The nodes of a pipeline as they are written: what each is for, and what it reads from.

use std::collections::BTreeSet;
use std::fmt;

use super::diagnostic::Faults;
use super::name;
use super::node::Node;
use super::read;
use super::section::{Keys, Section, Setting};
use super::source::Place;

/// What a source may have beside its connector.
const SOURCE: Keys<'static> = Keys {
    known: &[
        "format",
        "event_time",
        "ordered",
        "startup",
        "stale_after",
        "durable",
        "id",
        "id_within",
        "was",
    ],
    later: &[],
    hints: &[
        (
            "from",
            "a source reads from outside; what reads from nodes stands under `transforms`, `windows`, `sinks`",
        ),
        ("align", "it stands inside `event_time`"),
        ("idle_after", "it stands inside `event_time`"),
        ("when_all_idle", "it stands inside `event_time`"),
        ("state_ttl", "it stands in the pipeline's `options`, or in a transform or window"),
        ("max_ahead", "it stands inside `event_time`"),
        ("out_of_order", "it stands inside `event_time`"),
        ("partition_by", "it stands inside `event_time`"),
    ],
};
/// What a transform may have beside its operators.
const TRANSFORM: Keys<'static> = Keys {
    known: &["from", "ordered", "state_ttl", "was"],
    later: &[],
    hints: &[("key", "it stands inside the operator's map: `dedupe: { key: [device], within: 10m }`")],
};
/// What a window may have beside its kind.
const WINDOW: Keys<'static> = Keys {
    known: &[
        "from",
        "key",
        "offset",
        "timezone",
        "allowed_lateness",
        "accumulation",
        "carry",
        "aggregate",
        "having",
        "trigger",
        "emit_empty",
        "ordered",
        "state_ttl",
        "was",
    ],
    later: &[],
    hints: &[
        ("select", "a window puts out its key and its aggregates; a transform behind it can `select`"),
        ("where", "filter in a transform before the window, or its results with `having`"),
    ],
};
/// What a sink may have beside its connector.
const SINK: Keys<'static> = Keys {
    known: &["from", "format", "ordered", "delivery", "buffer", "retry", "batch", "was"],
    later: &[],
    hints: &[("state_ttl", "it stands in the pipeline's `options`, or in a transform or window")],
};

/// What a table may have beside what it is read from.
const TABLE: Keys<'static> = Keys { known: &["key", "format", "from"], later: &[], hints: &[] };

/// What a node or component is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Where events come from.
    Source,
    /// What changes events one by one.
    Transform,
    /// What gathers events by time.
    Window,
    /// Where events go.
    Sink,
    /// Rows by key, which events are looked up in; no node.
    Table,
    /// How events are written down; a component's role, never a node's.
    Format,
}

impl Role {
    /// What one is called.
    pub fn noun(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Transform => "transform",
            Role::Window => "window",
            Role::Sink => "sink",
            Role::Table => "table",
            Role::Format => "format",
        }
    }

    /// The section of a file that they stand in.
    pub fn section(self) -> &'static str {
        match self {
            Role::Source => "sources",
            Role::Transform => "transforms",
            Role::Window => "windows",
            Role::Sink => "sinks",
            Role::Table => "tables",
            Role::Format => "format",
        }
    }

    /// What the key is called that says which component it is.
    pub fn selector(self) -> &'static str {
        match self {
            Role::Source | Role::Sink | Role::Table => "connector",
            Role::Transform => "operator",
            Role::Window => "window kind",
            Role::Format => "format",
        }
    }

    /// What a node of this role may have beside the key that says which component it is.
    pub fn keys(self) -> Keys<'static> {
        match self {
            Role::Source => SOURCE,
            Role::Transform => TRANSFORM,
            Role::Window => WINDOW,
            Role::Sink => SINK,
            Role::Table => TABLE,
            Role::Format => Keys::default(),
        }
    }
}

/// A node as it is written.
#[derive(Debug)]
pub struct Declaration {
    /// What it is for.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// What it reads from; empty for a source, and where it was faulty.
    pub from: Vec<Input>,
    /// What fills the table that it looks events up in, where nodes do.
    pub asks: Vec<Input>,
    /// What it was called before, and where that stands.
    pub was: Vec<(String, Place)>,
    /// All that stands under its name.
    pub node: Node,
}

/// One of the things that a node reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// What stands before the dot: a node, or another pipeline.
    pub name: String,
    /// What stands behind the dot: a port, or a node of another pipeline.
    pub port: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// As it is written: `name` or `name.port`.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.iter().try_for_each(|port| write!(f, ".{port}"))
    }
}

impl Declaration {
    /// Reads a node as far as it is the same for all.
    pub(super) fn read(role: Role, setting: Setting<'_>) -> Declaration {
        name::check(setting.name, role.noun(), setting.key, setting.faults);
        let mut declared = Declaration {
            role,
            name: setting.name.to_owned(),
            place: setting.key,
            from: Vec::new(),
            asks: Vec::new(),
            was: Vec::new(),
            node: setting.node.clone(),
        };
        let is_map = setting.node.entries().is_some() || setting.node.is_null();
        let reads = match role {
            Role::Source => false,
            Role::Table => setting.node.get("from").is_some(),
            _ => true,
        };
        if reads && is_map {
            declared.from = declared.inputs(setting.faults);
        }
        if let Some(entry) = setting.node.get("was") {
            let name = |setting: Setting<'_>| Some((read::name(setting)?.to_owned(), setting.node.place));
            declared.was = read::one_or_list(name)(Setting::of(entry, setting.faults)).unwrap_or_default();
        }
        declared
    }

    fn inputs(&self, faults: &Faults) -> Vec<Input> {
        if let (Role::Transform, Some(join)) = (self.role, self.node.get("join")) {
            return self.sides(Setting::of(join, faults));
        }
        let Some(entry) = self.node.get("from") else {
            let reported = faults.error(self.place, format!("{} needs `from`", self.what()));
            reported.hint("`from: name` says which node it reads from");
            return Vec::new();
        };
        let setting = Setting::of(entry, faults);
        let inputs: Vec<Input> = read::one_or_list(input)(setting).unwrap_or_default();
        let mut seen = BTreeSet::new();
        for input in &inputs {
            if !seen.insert((&input.name, &input.port)) {
                faults.error(input.place, format!("`{input}` is read twice by {}", self.what()));
            }
        }
        inputs
    }

    /// The two inputs of a join: `left` and `right`. Where one is missing or faulty, which whoever knows joins reports, there
    /// is less.
    fn sides(&self, join: Setting<'_>) -> Vec<Input> {
        if let Some(from) = self.node.get("from") {
            let reported = join.faults.error(from.place, "a join has no `from`");
            reported.hint("it reads from what `left` and `right` of `join` name");
        }
        let sides = SIDES.iter().filter_map(|side| join.node.get(side));
        sides.filter_map(|entry| input(Setting::of(entry, join.faults))).collect()
    }

    /// All that it reads from.
    pub fn inputs_and_asked(&self) -> impl Iterator<Item = &Input> {
        self.from.iter().chain(&self.asks)
    }

    /// The name of the table that it looks events up in.
    pub fn table(&self) -> Option<&str> {
        self.node.get("lookup").filter(|_| self.role == Role::Transform)?.value.get("table")?.value.scalar()
    }

    /// What it is, for messages: ``source `events` ``.
    pub fn what(&self) -> String {
        format!("{} `{}`", self.role.noun(), self.name)
    }

    /// Opens the node: reports every key that is neither one of its role's nor a component's. `later` are
    /// components that the language has and this version has not.
    pub fn open<'a>(
        &'a self,
        components: impl IntoIterator<Item = &'static str>,
        later: &[&'static str],
        faults: &'a Faults,
    ) -> Section<'a> {
        let keys = self.role.keys();
        let known: Vec<&'static str> = keys.known.iter().copied().chain(components).collect();
        let later: Vec<&'static str> = keys.later.iter().chain(later).copied().collect();
        let keys = Keys { known: &known, later: &later, hints: keys.hints };
        Section::open(&self.node, self.place, self.what(), keys, faults)
    }
}

/// The keys of a join that name its inputs.
pub const SIDES: [&str; 2] = ["left", "right"];

fn input(setting: Setting<'_>) -> Option<Input> {
    let text = read::text(setting)?;
    let (name, port) = match text.split_once('.') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    if !name::is_name(name) || !port.is_none_or(name::is_name) {
        setting.wrong("`name` or `name.port`");
        return None;
    }
    Some(Input { name: name.to_owned(), port: port.map(str::to_owned), place: setting.node.place })
}
