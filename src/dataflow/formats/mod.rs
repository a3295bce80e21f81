//! The formats and how their options are read.

mod binary;
mod csv;
mod influx;
mod json;
mod kv;
mod lines;
mod pattern;
mod registry;
mod schema;

use super::FormatPlan;
use super::spec::{ComponentSpec, choose_named};
use crate::config::{Role, Section, Setting, read};
use crate::expr::Type;
use crate::formats::{FieldType, Wanted};
use std::sync::Arc;

pub use registry::RegistryOptions;

/// Reads a format's options, and what stands beside its name; None if something was reported.
pub type PlanFormat = fn(Setting<'_>, Option<&Section<'_>>) -> Option<Arc<dyn FormatPlan>>;

/// A format, as the registry lists it.
pub struct FormatSpec {
    /// What documents it.
    pub spec: &'static ComponentSpec,
    /// What may stand beside its name.
    pub beside: &'static [&'static str],
    /// Plans one.
    pub plan: PlanFormat,
}

/// All formats.
pub const FORMATS: &[FormatSpec] = &[
    FormatSpec { spec: &json::JSON, beside: &[], plan: json::plan },
    FormatSpec { spec: &csv::CSV, beside: &[], plan: csv::plan },
    FormatSpec { spec: &lines::TEXT, beside: &[], plan: lines::plan_text },
    FormatSpec { spec: &lines::RAW, beside: &[], plan: lines::plan_raw },
    FormatSpec { spec: &binary::MSGPACK, beside: &[], plan: binary::plan_msgpack },
    FormatSpec { spec: &binary::CBOR, beside: &[], plan: binary::plan_cbor },
    FormatSpec { spec: &schema::PROTOBUF, beside: &[], plan: schema::plan_protobuf },
    FormatSpec { spec: &schema::AVRO, beside: &[], plan: schema::plan_avro },
    FormatSpec { spec: &influx::INFLUX, beside: &[], plan: influx::plan },
    FormatSpec { spec: &pattern::REGEX, beside: &["types"], plan: pattern::plan },
];

/// What only `parse` takes besides.
pub const PARSERS: &[FormatSpec] = &[FormatSpec { spec: &kv::KV, beside: &[], plan: kv::plan }];

/// Formats of the language that this version does not have.
pub const LATER: &[&str] = &[];

/// What a source or sink without a `format` reads or writes.
pub fn json() -> Arc<dyn FormatPlan> {
    Arc::new(json::JsonPlan::default())
}

/// Reads the `format` of something that is read.
pub fn reader(setting: Setting<'_>) -> Option<Arc<dyn FormatPlan>> {
    readable(setting, any(setting, FORMATS.iter().collect())?)
}

/// Reads what `parse` takes: a format that can be read, or `kv`.
pub fn parser(setting: Setting<'_>) -> Option<Arc<dyn FormatPlan>> {
    let format = readable(setting, any(setting, FORMATS.iter().chain(PARSERS).collect())?)?;
    if format.registry().is_some() {
        setting
            .error("`parse` cannot wait for a registry")
            .hint("give `schema`, or read it as the `format` of the source");
        return None;
    }
    Some(format)
}

/// Reads the `format` of something that is written. Whether it can write the events is seen when those are known.
pub fn writer(setting: Setting<'_>) -> Option<Arc<dyn FormatPlan>> {
    any(setting, FORMATS.iter().collect())
}

fn readable(setting: Setting<'_>, format: Arc<dyn FormatPlan>) -> Option<Arc<dyn FormatPlan>> {
    match format.decoder(&Wanted::default()) {
        Ok(_) => Some(format),
        Err(message) => {
            setting.error(message);
            None
        }
    }
}

fn any(setting: Setting<'_>, formats: Vec<&'static FormatSpec>) -> Option<Arc<dyn FormatPlan>> {
    let chosen = choose_named(setting, Role::Format, &formats, |format| format.spec, &["types"], LATER)?;
    if let Some(beside) = &chosen.beside {
        let misplaced = |s: &Setting<'_>| s.name == "types" && !chosen.component.beside.contains(&s.name);
        if let Some(key) = beside.settings().find(misplaced) {
            let message = format!("`{}` does not stand beside `{}`", key.name, chosen.component.spec.name);
            key.faults.error(key.key, message).hint("it is an option of the format");
            return None;
        }
    }
    (chosen.component.plan)(chosen.setting, chosen.beside.as_ref())
}

/// Reads `types`: a map of field names and the types they are read as.
fn types(setting: Setting<'_>) -> Option<Vec<(String, FieldType)>> {
    let words = ["text", "int", "float", "bool", "timestamp"];
    let words: Vec<(&'static str, FieldType)> =
        words.into_iter().filter_map(|word| Some((word, FieldType::named(word)?))).collect();
    let entries = read::map(read::word(&words, &[]))(setting)?;
    Some(entries.into_iter().map(|(setting, ty)| (setting.name.to_owned(), ty)).collect())
}

/// Names of fields with their types.
fn typed(names: impl IntoIterator<Item = String>, types: &[(String, FieldType)]) -> Vec<(String, Type)> {
    names.into_iter().map(|name| (name.clone(), type_of(&name, types))).collect()
}

/// The type of a field; text where none is given.
fn type_of(name: &str, types: &[(String, FieldType)]) -> Type {
    match types.iter().find(|(n, _)| n == name).map(|(_, ty)| *ty).unwrap_or_default() {
        FieldType::Text => Type::TEXT,
        FieldType::Int => Type::INT,
        FieldType::Float => Type::FLOAT,
        FieldType::Bool => Type::BOOL,
        FieldType::Timestamp => Type::TIMESTAMP,
    }
}
