//! The options of `lua`.

use super::SPEC;
use super::needs::Declared;
use super::plan::OnError;
use super::runner::Plugin;
use crate::config::{Meaning, Node, Section, Setting, read};
use crate::event::json;
use crate::lua::{Budget, Mask, Script};
use std::time::Duration;

/// What stands under `lua`.
pub(super) struct Options<'a> {
    pub(super) plugin: Plugin,
    pub(super) declared: Declared,
    pub(super) on_error: OnError,
    pub(super) version: u32,
    /// Where the script is named.
    pub(super) script: Setting<'a>,
    /// Absent in the short form.
    pub(super) section: Option<Section<'a>>,
}

const ON_ERROR: &[(&str, OnError)] =
    &[("reject", OnError::Reject), ("pass", OnError::Pass), ("stop", OnError::Stop)];

/// Bytes that the arguments may have.
const MOST_ARGS: usize = 64 << 10;

impl<'a> Options<'a> {
    /// Reads them. `node` is the name of the node.
    pub(super) fn read(setting: Setting<'a>, node: &str) -> Option<Options<'a>> {
        if setting.node.entries().is_none() {
            let plugin =
                Plugin { script: script(setting, node)?, budget: Budget::default(), args: b"{}".to_vec() };
            return Some(Options {
                plugin,
                declared: Declared::default(),
                on_error: OnError::Reject,
                version: 1,
                script: setting,
                section: None,
            });
        }
        let section = SPEC.open(setting);
        let text = section.required("script", |setting| Some((setting, script(setting, node)?)));
        let names = |key| section.optional(key, read::one_or_list(read::text)).map(owned);
        let declared = Declared {
            reads: names("reads"),
            writes: names("writes"),
            ports: section.optional("ports", ports).unwrap_or_default(),
            keyed: section.has("key"),
        };
        let usual = Budget::default();
        let budget = Budget {
            memory: section.or("memory", usual.memory, memory),
            instructions: section.or("instructions", usual.instructions, instructions),
            time: section.or("time", usual.time, time),
        };
        let on_error = section.or("on_error", OnError::Reject, read::word(ON_ERROR, &[]));
        let version = section.or("version", 1, read::integer(1..=1_000_000));
        let args = section.optional("args", args).unwrap_or_else(|| b"{}".to_vec());
        if section.is_broken() {
            return None;
        }
        let (script, text) = text?;
        let secrets = setting.faults.secrets().clone();
        let mask = Mask::new(move |text| secrets.mask(text).into_owned());
        let plugin = Plugin { script: Script { mask, ..text }, budget, args };
        let version = u32::try_from(version).unwrap_or(1);
        Some(Options { plugin, declared, on_error, version, script, section: Some(section) })
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The script, read.
fn script(setting: Setting<'_>, node: &str) -> Option<Script> {
    let text = read::text(setting)?;
    if Script::is_inline(text) {
        let beside = setting.faults.file().name().to_owned();
        return Some(Script::inline(node, text, Some(std::path::Path::new(&beside))));
    }
    let path = setting.faults.folder().join(text);
    match Script::read(&path) {
        Ok(script) => Some(Script { name: text.to_owned(), ..script }),
        Err(error) => {
            setting.error(format!("the script cannot be read: {error}"));
            None
        }
    }
}

fn memory(setting: Setting<'_>) -> Option<usize> {
    let bytes = read::positive_size(setting)?;
    let found = usize::try_from(bytes).ok().filter(|bytes| (1 << 20..=1 << 30).contains(bytes));
    if found.is_none() {
        setting.wrong("a size from 1MiB to 1GiB");
    }
    found
}

fn instructions(setting: Setting<'_>) -> Option<u64> {
    read::integer(1_000..=10_000_000_000)(setting).and_then(|count| u64::try_from(count).ok())
}

fn time(setting: Setting<'_>) -> Option<Duration> {
    let time = read::positive_duration(setting)?;
    u64::try_from(time.0).ok().map(Duration::from_millis)
}

/// Names of ports.
fn ports(setting: Setting<'_>) -> Option<Vec<String>> {
    let names = read::one_or_list(read::name)(setting)?;
    Some(owned(names))
}

/// The arguments as JSON.
fn args(setting: Setting<'_>) -> Option<Vec<u8>> {
    if setting.node.entries().is_none() {
        setting.wrong("a map");
        return None;
    }
    let mut json = Vec::new();
    write(setting.node, &mut json);
    if json.len() > MOST_ARGS {
        setting.error(format!("`args` are longer than {MOST_ARGS} bytes"));
        return None;
    }
    Some(json)
}

/// A value of the file as JSON. The file's own limits keep it from being too deep.
fn write(node: &Node, into: &mut Vec<u8>) {
    match node.meaning() {
        Meaning::Null => into.extend_from_slice(b"null"),
        Meaning::Bool(bool) => into.extend_from_slice(if bool { b"true" } else { b"false" }),
        Meaning::Int(int) => json::write_int(int, into),
        Meaning::Float(float) if float.is_finite() => json::write_float(float, into),
        Meaning::Float(_) => json::write_string(node.scalar().unwrap_or_default().as_bytes(), into),
        Meaning::Text(text) => json::write_string(text.as_bytes(), into),
        Meaning::List(items) => {
            into.push(b'[');
            for (i, item) in items.iter().enumerate() {
                into.extend_from_slice(if i > 0 { b"," } else { b"" });
                write(item, into);
            }
            into.push(b']');
        }
        Meaning::Map(entries) => {
            into.push(b'{');
            for (i, entry) in entries.iter().enumerate() {
                into.extend_from_slice(if i > 0 { b"," } else { b"" });
                json::write_string(entry.key.as_bytes(), into);
                into.push(b':');
                write(&entry.value, into);
            }
            into.push(b'}');
        }
    }
}
