//! A pipeline's parameters: typed by their defaults, overridden from the command line.

use std::fmt;

use super::diagnostic::Faults;
use super::name;
use super::node::{Entry, Meaning, Node};
use super::read;
use super::secrets::Secrets;
use super::source::Place;

/// A parameter with the value that it has in this run.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value, of the default's type.
    pub value: ParamValue,
    /// Where its name stands.
    pub place: Place,
    /// Whether its value must not be shown.
    pub secret: bool,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number; always finite.
    Float(f64),
    /// A text.
    Text(String),
}

/// A value for a parameter that stands in place of its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The parameter.
    pub name: String,
    /// The value, to be read as the default's type.
    pub value: String,
    /// Whether it must not be shown.
    pub secret: bool,
}

impl ParamValue {
    fn of(meaning: Meaning<'_>) -> Option<ParamValue> {
        match meaning {
            Meaning::Bool(value) => Some(ParamValue::Bool(value)),
            Meaning::Int(value) => Some(ParamValue::Int(value)),
            Meaning::Float(value) if value.is_finite() => Some(ParamValue::Float(value)),
            Meaning::Text(text) => Some(ParamValue::Text(text.to_owned())),
            _ => None,
        }
    }

    /// A text read as a value of the same type as this one.
    fn typed(&self, text: &str) -> Option<ParamValue> {
        match (self, ParamValue::of(read::meaning_of(text))) {
            (ParamValue::Text(_), _) => Some(ParamValue::Text(text.to_owned())),
            (ParamValue::Float(_), Some(ParamValue::Int(int))) => Some(ParamValue::Float(int as f64)),
            (_, Some(value)) if std::mem::discriminant(&value) == std::mem::discriminant(self) => Some(value),
            _ => None,
        }
    }

    /// Whether a text can be read as a value of the same type as this one.
    pub fn takes(&self, text: &str) -> bool {
        self.typed(text).is_some()
    }

    /// The type, as messages name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            ParamValue::Bool(_) => "`true` or `false`",
            ParamValue::Int(_) => "a whole number",
            ParamValue::Float(_) => "a number",
            ParamValue::Text(_) => "a text",
        }
    }
}

/// As `${param:name}` gives it.
impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamValue::Bool(value) => write!(f, "{value}"),
            ParamValue::Int(value) => write!(f, "{value}"),
            ParamValue::Float(value) => write!(f, "{value:?}"),
            ParamValue::Text(text) => f.write_str(text),
        }
    }
}

/// Reads the `params:` of a document, with overrides, of which the last one wins. An override of
/// a parameter that this document does not have is left to the caller, who knows all documents: see
/// [`unknown_override`].
pub(super) fn read_params(node: &Node, overrides: &[Override], faults: &Faults) -> Vec<Param> {
    let Some(entries) = node.entries() else {
        if !node.is_null() {
            let reported = faults.error(node, format!("`params` must be a map, found {}", node.describe()));
            reported.hint("write `name: default` lines below it");
        }
        return Vec::new();
    };
    entries.iter().filter_map(|entry| read_param(entry, overrides, faults)).collect()
}

fn read_param(entry: &Entry, overrides: &[Override], faults: &Faults) -> Option<Param> {
    let name = entry.key.clone();
    name::check(&name, "parameter", entry.place, faults);
    if entry.value.is_failed() {
        // That was reported; that the parameter were missing where it is used would be no news.
        let value = ParamValue::Text(String::new());
        return Some(Param { name, value, place: entry.place, secret: true });
    }
    let Some(default) = ParamValue::of(entry.value.meaning()) else {
        let found = entry.value.describe();
        let message =
            format!("parameter `{name}` needs a text, a number, `true` or `false` as default, found {found}");
        faults.error(entry, message).hint("the default also says what type it has");
        return None;
    };
    let given = overrides.iter().rev().find(|given| given.name == name);
    let value = match given {
        None => default,
        Some(given) => match default.typed(&given.value) {
            Some(value) => value,
            None => {
                let shown = if given.secret { "what is given" } else { &format!("`{}`", given.value) };
                let message = format!("parameter `{name}` is {}, which {shown} is not", default.type_name());
                faults.error(entry, message).hint("its default says what type it has");
                default
            }
        },
    };
    if let Some(given) = given.filter(|given| given.secret) {
        let mut secrets = Secrets::default();
        secrets.add(&given.value);
        faults.keep_secret(&secrets);
    }
    let secret = given.map_or(entry.value.is_secret(), |given| given.secret);
    Some(Param { name, value, place: entry.place, secret })
}

/// The first override that no document has a parameter for, with the nearest name of one.
pub fn unknown_override<'a>(
    overrides: &'a [Override],
    params: &'a [Param],
) -> Option<(&'a str, Option<&'a str>)> {
    let names = || params.iter().map(|param| param.name.as_str());
    let unknown = overrides.iter().find(|given| !names().any(|known| known == given.name))?;
    Some((&unknown.name, crate::event::nearest(&unknown.name, names())))
}
