//! What of a pipeline its tests can name.

use crate::config::{Faults, Param, PipelineFile, Place, Role, Setting};
use crate::dataflow::{FormatPlan, Origin};
use crate::expr::Type;
use crate::plan::{Plan, SourceNode};
use std::sync::Arc;

/// The names of a pipeline. What only a plan tells is left open while the pipeline cannot be planned.
#[derive(Debug)]
pub struct Shape<'a> {
    /// Its sources.
    pub sources: Vec<SourceShape>,
    /// Its nodes and their ports, if known; the main port is the empty name.
    nodes: Vec<(&'a str, Option<Vec<String>>)>,
    /// Its sinks.
    pub sinks: Vec<&'a str>,
    /// Its parameters.
    pub params: &'a [Param],
    /// Its tables.
    pub tables: Vec<TableShape<'a>>,
}

/// A table as tests see it.
#[derive(Debug)]
pub struct TableShape<'a> {
    /// Its name.
    pub name: &'a str,
    /// Why a test must state what it holds, if it must.
    pub unknown: Option<String>,
}

/// A source as tests see it.
#[derive(Debug)]
pub struct SourceShape {
    /// Its name.
    pub name: String,
    /// Whether it makes events itself, so that no payload can be read.
    pub makes: bool,
    /// Its fields, if its format or connector fixes them.
    fields: Option<Vec<(String, Type)>>,
    format: Option<Arc<dyn FormatPlan>>,
}

impl<'a> Shape<'a> {
    /// What can be named in tests of this file, planned if it can be.
    pub fn new(file: &'a PipelineFile, plan: Option<&Plan>) -> Shape<'a> {
        let names = |role| file.nodes_of(role).map(|node| node.name.as_str());
        let ports = |name: &str| {
            let node = plan?.nodes.iter().find(|node| node.name == name);
            node.map(|node| node.taps.clone())
        };
        // What nodes fill is said by what these are sent.
        let read = file.tables.iter().filter(|table| table.from.is_empty());
        Shape {
            sources: names(Role::Source).map(|name| SourceShape::of_name(name, plan)).collect(),
            nodes: file.nodes.iter().map(|node| (node.name.as_str(), ports(&node.name))).collect(),
            sinks: names(Role::Sink).collect(),
            params: &file.params,
            tables: read.map(|table| TableShape::new(&table.name, plan)).collect(),
        }
    }

    /// The source of a name. Reports a name that no source has.
    pub fn source(&self, faults: &Faults, place: Place, name: &str) -> Option<&SourceShape> {
        let found = self.sources.iter().find(|source| source.name == name);
        if found.is_none() {
            let names = self.sources.iter().map(|source| source.name.as_str());
            faults.unknown(place, format!("there is no source `{name}`"), name, names);
        }
        found
    }

    /// Whether `node` or `node.port` can be looked at; reports why not. The name is the setting's key.
    pub fn check_output(&self, setting: Setting<'_>) -> bool {
        let (name, port) = setting.name.split_once('.').unwrap_or((setting.name, ""));
        let faults = setting.faults;
        let Some((_, ports)) = self.nodes.iter().find(|(node, _)| *node == name) else {
            if ["ordered", "exact"].contains(&name) {
                let reported = faults.error(setting.key, format!("there is no node `{name}`"));
                reported.hint(format!("`{name}` stands beside `expect`, not in it"));
                return false;
            }
            let names = self.nodes.iter().map(|(name, _)| *name);
            faults.unknown(setting.key, format!("there is no node `{name}`"), name, names);
            return false;
        };
        match ports {
            Some(ports) if !ports.iter().any(|known| known == port) => {
                report_port(setting, name, port, ports);
                false
            }
            _ => true,
        }
    }
}

fn report_port(setting: Setting<'_>, name: &str, port: &str, ports: &[String]) {
    let faults = setting.faults;
    let named: Vec<&str> = ports.iter().map(String::as_str).filter(|port| !port.is_empty()).collect();
    if port.is_empty() {
        let listed: Vec<String> = named.iter().map(|port| format!("`{name}.{port}`")).collect();
        let reported = faults.error(setting.key, format!("nothing leaves `{name}` without a port"));
        reported.hint(format!("look at one of {}", listed.join(", ")));
    } else if named.is_empty() {
        let reported = faults.error(setting.key, format!("sink `{name}` has no port `{port}`"));
        reported.hint(format!("`{name}` stands for what it received"));
    } else {
        faults.unknown(setting.key, format!("`{name}` has no port `{port}`"), port, named);
    }
}

impl<'a> TableShape<'a> {
    fn new(name: &'a str, plan: Option<&Plan>) -> TableShape<'a> {
        let table = plan.and_then(|plan| plan.draft.tables.iter().find(|table| table.name == name));
        let used = table.filter(|table| table.is_used);
        let unknown = used.and_then(|table| match (table.plan.fault(), table.plan.columns()) {
            (Some(fault), _) => Some(fault.to_owned()),
            (None, None) => Some("a test connects to nothing".to_owned()),
            (None, Some(_)) => None,
        });
        TableShape { name, unknown }
    }
}

impl SourceShape {
    fn of_name(name: &str, plan: Option<&Plan>) -> SourceShape {
        let node = |plan: &Plan, source: &SourceNode| plan.nodes[source.node.0 as usize].name == name;
        let planned = plan.and_then(|plan| {
            let source = plan.sources.iter().find(|source| node(plan, source))?;
            Some(SourceShape::new(plan, source))
        });
        let unknown = SourceShape { name: name.to_owned(), makes: false, fields: None, format: None };
        planned.unwrap_or(unknown)
    }

    /// A planned source.
    pub fn new(plan: &Plan, source: &SourceNode) -> SourceShape {
        let name = plan.nodes[source.node.0 as usize].name.clone();
        let Some(decoding) = source.decoding else {
            let fields = match &plan.draft.stages[source.stage.0 as usize].origin {
                Origin::Made { fields, .. } => {
                    Some(fields.iter().map(|(name, _, ty)| (name.clone(), *ty)).collect())
                }
                _ => None,
            };
            return SourceShape { name, makes: true, fields, format: None };
        };
        let mut fields = plan.draft.decodings[decoding.0 as usize].known.clone();
        if let Some(fields) = &mut fields {
            let added = source.plan.added_fields().into_iter();
            fields.extend(added.map(|(name, _, ty)| (name, ty)));
        }
        SourceShape { name, makes: false, fields, format: Some(source.format.clone()) }
    }

    /// The type of a field; none if there is no such field.
    pub fn type_of(&self, field: &str) -> Option<Type> {
        match (&self.fields, &self.format) {
            (Some(fields), _) => fields.iter().find(|(name, _)| name == field).map(|(_, ty)| *ty),
            (None, Some(format)) => Some(format.type_of(field)),
            (None, None) => Some(Type::ANY),
        }
    }

    /// The names of its fields, as far as they are fixed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flatten().map(|(name, _)| name.as_str())
    }
}
