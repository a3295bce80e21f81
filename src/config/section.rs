//! Typed reading of maps. Every fault is reported where it stands, and reading goes on, so that all of them
//! come at once: an accessor that returns `None` or a default has already said why, and
//! [`Faults::has_errors`] decides in the end whether anything read may be used.

use super::diagnostic::{Faults, Reported};
use super::node::{Content, Entry, Meaning, Node, Style, shortened};
use super::source::Place;

/// A value under a name, with the collector of faults: what a reader (see [`super::read`]) is given.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The key, or the key of the list that it is an item of.
    pub name: &'a str,
    /// Where the key stands.
    pub key: Place,
    /// The value.
    pub node: &'a Node,
    /// Where faults go.
    pub faults: &'a Faults,
    /// Whether the key stands in a flow map without a `:`.
    pub bare: bool,
}

/// A map that is being read. Opening it reports every key that it cannot have.
pub struct Section<'a> {
    what: String,
    place: Place,
    entries: &'a [Entry],
    faults: &'a Faults,
    /// It is no map, which was reported: what it lacks is not reported as well.
    broken: bool,
    /// It has keys that it cannot have, which was reported.
    strange: bool,
}

/// The keys of a section.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys<'k> {
    /// Those that it can have.
    pub known: &'k [&'static str],
    /// Those that the language has and this version has not.
    pub later: &'k [&'static str],
    /// Those that it cannot have but someone will try, and what to tell them.
    pub hints: &'k [(&'static str, &'static str)],
}

impl<'k> Keys<'k> {
    /// Keys of which none is kept for a later version.
    pub const fn of(known: &'k [&'static str]) -> Keys<'k> {
        Keys { known, later: &[], hints: &[] }
    }
}

static NULL: Node = Node {
    place: Place { start: 0, end: 0 },
    style: Style::Plain,
    in_flow: false,
    content: Content::Scalar(String::new()),
    written: None,
};

impl<'a> Section<'a> {
    /// Opens a node that must be a map; null is an empty one. `what` names it in messages: ``source `events`
    /// ``. `place` is where missing keys are reported: best the key that the map stands under.
    pub fn open(
        node: &'a Node,
        place: impl Into<Place>,
        what: impl Into<String>,
        keys: Keys<'_>,
        faults: &'a Faults,
    ) -> Section<'a> {
        let (what, place) = (what.into(), place.into());
        let (entries, broken) = match node.meaning() {
            Meaning::Map(entries) => (entries, false),
            Meaning::Null => (&[][..], false),
            _ if node.is_failed() => (&[][..], true),
            _ => {
                let message = format!("{what} must be a map, found {}", node.describe());
                faults.error(node, message).hint("write `key: value` lines below it, or `{ key: value }`");
                (&[][..], true)
            }
        };
        let mut section = Section { what, place, entries, faults, broken, strange: false };
        section.strange = section.refuse_unknown(keys);
        section
    }

    /// Whether there were keys that it cannot have.
    fn refuse_unknown(&self, keys: Keys<'_>) -> bool {
        let mut strange = false;
        for entry in self.entries {
            let key = entry.key.as_str();
            if keys.later.contains(&key) {
                let reported = self.faults.later(entry, key);
                if let Some((_, hint)) = keys.hints.iter().find(|(hinted, _)| *hinted == key) {
                    reported.hint(*hint);
                }
                strange = true;
            } else if !keys.known.contains(&key) {
                strange = true;
                let message = format!("unknown key `{}` in {}", shortened(key), self.what);
                if let Some((_, hint)) = keys.hints.iter().find(|(hinted, _)| *hinted == key) {
                    self.faults.error(entry, message).hint(*hint);
                    continue;
                }
                self.faults.unknown(entry, message, key, keys.known.iter().copied());
            }
        }
        strange
    }

    /// What it is, as messages name it.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Where missing keys are reported.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Where faults go.
    pub fn faults(&self) -> &'a Faults {
        self.faults
    }

    /// Whether it could not be read as a map at all.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The setting of a key, as it stands.
    pub fn get(&self, key: &str) -> Option<Setting<'a>> {
        self.settings().find(|setting| setting.name == key)
    }

    /// All settings in the order of the file, unknown ones too.
    pub fn settings(&self) -> impl Iterator<Item = Setting<'a>> + use<'a> {
        settings(self.entries, self.faults)
    }

    /// Reads a key that must be there.
    pub fn required<T>(&self, key: &str, read: impl FnOnce(Setting<'a>) -> Option<T>) -> Option<T> {
        if let Some(setting) = self.get(key) {
            return read(setting);
        }
        if !self.broken {
            self.error(format!("{} needs `{key}`", self.what));
        }
        None
    }

    /// Reads a key that may be missing. `None` where it is missing or faulty.
    pub fn optional<T>(&self, key: &str, read: impl FnOnce(Setting<'a>) -> Option<T>) -> Option<T> {
        self.get(key).and_then(read)
    }

    /// Reads a key that has a default.
    pub fn or<T>(&self, key: &str, default: T, read: impl FnOnce(Setting<'a>) -> Option<T>) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// The one key of `names` that is there; `role` names what they are: `connector`. Reports none and
    /// several.
    pub fn exactly_one(&self, names: &[&'static str], role: &str) -> Option<Setting<'a>> {
        let found = self.at_most_one(names, role);
        // A key that was refused was probably meant as the one that is missing.
        if found.is_none() && !self.broken && !self.strange {
            let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let reported = self.error(format!("{} has no {role}", self.what));
            reported.hint(format!("add one of {}", listed.join(", ")));
        }
        found
    }

    /// The first key of `names` that is there. Reports every further one.
    pub fn at_most_one(&self, names: &[&'static str], role: &str) -> Option<Setting<'a>> {
        let mut found = self.settings().filter(|setting| names.contains(&setting.name));
        let first = found.next()?;
        for further in found {
            let (one, two) = (first.name, further.name);
            let message = format!("{} has two {role}s: `{one}` and `{two}`", self.what);
            further.faults.error(further.key, message).hint("keep one of them");
        }
        Some(first)
    }

    /// Reports an error about the section as a whole.
    pub fn error(&self, message: impl Into<String>) -> Reported<'a> {
        self.faults.error(self.place, message)
    }
}

impl<'a> Setting<'a> {
    /// An entry of a map.
    pub fn of(entry: &'a Entry, faults: &'a Faults) -> Setting<'a> {
        Setting { name: &entry.key, key: entry.place, node: &entry.value, faults, bare: entry.bare }
    }

    /// A name by itself, as in the short form `format: json`: a setting without a value.
    pub fn without_value(self, name: &'a str) -> Setting<'a> {
        Setting { name, key: self.node.place, node: &NULL, ..self }
    }

    /// Reports an error at the value, or at the key where no value was written. Nothing is reported of a value
    /// in which a substitution failed, which was.
    pub fn error(&self, message: impl Into<String>) -> Reported<'a> {
        match self.node.is_failed() {
            true => self.faults.nothing(),
            false => self.faults.error(self.place(), message),
        }
    }

    /// Where the value stands, or the key where no value was written.
    pub fn place(&self) -> Place {
        let empty = self.node.place.start == self.node.place.end;
        if empty { self.key } else { self.node.place }
    }

    /// Reports that the value is not what was expected: `a duration`.
    pub fn wrong(&self, expected: &str) -> Reported<'a> {
        self.error(format!("expected {expected} for `{}`, found {}", self.name, self.node.describe()))
    }

    /// Opens the value as a section. `what` names it in messages.
    pub fn section(&self, what: impl Into<String>, keys: Keys<'_>) -> Section<'a> {
        Section::open(self.node, self.key, what, keys, self.faults)
    }

    /// The entries of a map whose keys are names that the user chose.
    pub fn entries(&self) -> Option<Vec<Setting<'a>>> {
        match self.node.entries() {
            Some(entries) => Some(settings(entries, self.faults).collect()),
            None => {
                self.wrong("a map").hint("write `name: …` lines below it, or `{ name: … }`");
                None
            }
        }
    }

    /// The items of a list, or the value itself where it is none.
    pub fn one_or_items(&self) -> Vec<Setting<'a>> {
        match self.node.items() {
            Some(items) => items.iter().map(|node| self.item(node)).collect(),
            None => vec![*self],
        }
    }

    /// An item of the list that this is.
    pub(super) fn item(&self, node: &'a Node) -> Setting<'a> {
        Setting { node, bare: false, ..*self }
    }
}

impl From<Setting<'_>> for Place {
    fn from(setting: Setting<'_>) -> Place {
        setting.place()
    }
}

fn settings<'a>(entries: &'a [Entry], faults: &'a Faults) -> impl Iterator<Item = Setting<'a>> + use<'a> {
    entries.iter().map(move |entry| Setting::of(entry, faults))
}

#[cfg(test)]
mod tests;
