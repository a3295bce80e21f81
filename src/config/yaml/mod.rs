//! YAML text to a located document. Nothing else in the project knows YAML.
//!
//! One parser, libyaml, decides what the text means ([`events`]); scalars mean what serde_yaml says
//! ([`scalar`]). What stops libyaml is put into our words with what to do about it ([`syntax`]); an
//! expression that a flow map has cut at its comma is put together again and reported ([`cut`]). Anchors and
//! aliases are read, within the limits below; tags, merge keys, and second documents have no meaning in a
//! pipeline and are refused.

mod cut;
mod events;
pub(super) mod scalar;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::events::{Event, Events, Located};
use super::diagnostic::Faults;
use super::node::{Content, Entry, Node, Style, shortened};
use super::source::Place;

/// The deepest nesting of lists and maps.
const MAX_DEPTH: usize = 64;
/// The most values in a document, with aliases written out.
const MAX_NODES: usize = 100_000;
/// The most bytes of text in a document, with aliases written out.
const MAX_TEXT: usize = 8 << 20;

/// Reads the file's text. Faults that leave the rest readable (such as duplicate keys) are reported and do
/// not stop it; `None` where nothing can be said about the rest. An empty document is null.
pub fn parse(faults: &Faults) -> Option<Node> {
    let text = faults.file().text();
    let mut builder =
        Builder { events: Events::new(text), faults, anchors: BTreeMap::new(), nodes: 0, text_bytes: 0 };
    builder.document().ok()
}

/// Reading cannot go on; why was reported.
struct Stopped;

struct Builder<'f> {
    events: Events<'f>,
    faults: &'f Faults,
    /// Finished nodes that aliases may name. A later anchor of the same name replaces the earlier.
    anchors: BTreeMap<String, Node>,
    nodes: usize,
    text_bytes: usize,
}

impl Builder<'_> {
    fn document(&mut self) -> Result<Node, Stopped> {
        let root = match self.next()? {
            None => return Ok(empty(Place::default())),
            Some(_document_start) => {
                let first = self.event()?;
                self.node(first, 0, false)?
            }
        };
        self.event()?;
        match self.next()? {
            None => Ok(root),
            Some(second) => {
                let place = self.place(&second);
                let reported = self.faults.error(place, "a second YAML document starts here");
                reported.hint("one file is one pipeline: move this to a file of its own");
                Err(Stopped)
            }
        }
    }

    fn next(&mut self) -> Result<Option<Located>, Stopped> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok(located)) => Ok(Some(located)),
            Some(Err(problem)) => {
                syntax::report(self.faults, &problem);
                Err(Stopped)
            }
        }
    }

    /// An event where the grammar has one; only a problem of the parser itself could leave it out.
    fn event(&mut self) -> Result<Located, Stopped> {
        let next = self.next()?;
        next.ok_or_else(|| {
            self.faults.file_error("ends in the middle of a value");
            Stopped
        })
    }

    fn place(&self, located: &Located) -> Place {
        self.faults.file().place(located.start, located.end)
    }

    fn node(&mut self, first: Located, depth: usize, in_flow: bool) -> Result<Node, Stopped> {
        let place = self.place(&first);
        self.spend(place, 1, 0)?;
        if depth >= MAX_DEPTH {
            self.faults.error(place, format!("nested deeper than {MAX_DEPTH} levels"));
            return Err(Stopped);
        }
        let (node, anchor) = match first.event {
            Event::Scalar { text, style, anchor, tag } => {
                self.refuse_tag(tag, place);
                self.spend(place, 0, text.len())?;
                let content = Content::Scalar(text);
                let mut node = Node { place, style, in_flow, content, written: None };
                cut::mend_comment(&mut node, self.faults);
                (node, anchor)
            }
            Event::ListStart { style, anchor, tag } => {
                self.refuse_tag(tag, place);
                (self.list(place, style, depth, in_flow)?, anchor)
            }
            Event::MapStart { style, anchor, tag } => {
                self.refuse_tag(tag, place);
                (self.map(place, style, depth, in_flow)?, anchor)
            }
            Event::Alias(name) => return self.alias(&name, place),
            _ => return Ok(empty(place)),
        };
        if let Some(anchor) = anchor {
            self.spend_copy(place, &node)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, start: Place, style: Style, depth: usize, in_flow: bool) -> Result<Node, Stopped> {
        let within_flow = in_flow || style == Style::Flow;
        let mut items = Vec::new();
        loop {
            let next = self.event()?;
            if matches!(next.event, Event::ListEnd) {
                let place = Place { start: start.start, end: self.place(&next).end };
                if style == Style::Flow {
                    cut::mend_list(&mut items, self.faults);
                }
                return Ok(Node { place, style, in_flow, content: Content::List(items), written: None });
            }
            items.push(self.node(next, depth + 1, within_flow)?);
        }
    }

    fn map(&mut self, start: Place, style: Style, depth: usize, in_flow: bool) -> Result<Node, Stopped> {
        let within_flow = in_flow || style == Style::Flow;
        let mut entries = Vec::new();
        loop {
            let next = self.event()?;
            if matches!(next.event, Event::MapEnd) {
                let place = Place { start: start.start, end: self.place(&next).end };
                if style == Style::Flow {
                    cut::mend_map(&mut entries, self.faults);
                }
                self.refuse_duplicates(&mut entries);
                return Ok(Node { place, style, in_flow, content: Content::Map(entries), written: None });
            }
            let key = self.node(next, depth + 1, within_flow)?;
            let value = self.event()?;
            let value = self.node(value, depth + 1, within_flow)?;
            entries.extend(self.entry(key, value, style));
        }
    }

    fn entry(&self, key: Node, value: Node, style: Style) -> Option<Entry> {
        let place = key.place;
        let Content::Scalar(text) = key.content else {
            let reported = self.faults.error(place, "a key must be a name, not a list or map");
            reported.hint("a template or expression that starts with `{` or `[` must be quoted");
            return None;
        };
        if text == "<<" && key.style == Style::Plain {
            let reported = self.faults.error(place, "merge keys (`<<`) have no meaning here");
            reported.hint("write the entries out, or name the whole map with an alias");
            return None;
        }
        if text.is_empty() && key.style == Style::Plain {
            self.faults.error(place, "a key is missing before the `:`");
            return None;
        }
        let bare = style == Style::Flow && is_empty(&value) && !self.colon_follows(place.end as usize);
        Some(Entry { key: text, place, value, bare })
    }

    /// Whether a `:` comes next, behind white space and comments.
    fn colon_follows(&self, from: usize) -> bool {
        let mut rest = self.faults.file().text().get(from..).unwrap_or_default();
        loop {
            rest = rest.trim_start();
            match rest.strip_prefix('#') {
                Some(comment) => rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return rest.starts_with(':'),
            }
        }
    }

    fn refuse_duplicates(&self, entries: &mut Vec<Entry>) {
        let file = self.faults.file();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        entries.retain(|entry| match seen.get(&entry.key) {
            Some(first) => {
                let message = format!("duplicate key `{}`", shortened(&entry.key));
                let line = file.line_of(*first);
                self.faults.error(entry, message).hint(format!("it was first given in line {line}"));
                false
            }
            None => {
                seen.insert(entry.key.clone(), entry.place.start);
                true
            }
        });
    }

    fn alias(&mut self, name: &str, place: Place) -> Result<Node, Stopped> {
        let Some(node) = self.anchors.get(name).cloned() else {
            let reported = self
                .faults
                .error(place, format!("there is no anchor `&{}` before this alias", shortened(name)));
            reported.hint("a text that starts with `*` must be quoted");
            return Ok(empty(place));
        };
        self.spend_copy(place, &node)?;
        Ok(node)
    }

    fn refuse_tag(&self, tag: Option<String>, place: Place) {
        if let Some(tag) = tag {
            let tag = tag.strip_prefix("tag:yaml.org,2002:").map_or(tag.clone(), |name| format!("!!{name}"));
            let reported = self
                .faults
                .error(place, format!("YAML tags such as `{}` have no meaning here", shortened(&tag)));
            reported.hint("a text that starts with `!` must be quoted");
        }
    }

    fn spend_copy(&mut self, place: Place, node: &Node) -> Result<(), Stopped> {
        let (nodes, text_bytes) = size(node);
        self.spend(place, nodes, text_bytes)
    }

    fn spend(&mut self, place: Place, nodes: usize, text_bytes: usize) -> Result<(), Stopped> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes <= MAX_NODES && self.text_bytes <= MAX_TEXT {
            return Ok(());
        }
        let message =
            format!("the file holds more than {MAX_NODES} values or 8 MiB of text, aliases written out");
        self.faults.error(place, message);
        Err(Stopped)
    }
}

/// Nodes and bytes of text that a copy makes.
fn size(node: &Node) -> (usize, usize) {
    let add = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
    match &node.content {
        Content::Scalar(text) => (1, text.len()),
        Content::List(items) => items.iter().map(size).fold((1, 0), add),
        Content::Map(entries) => {
            entries.iter().map(|entry| add(size(&entry.value), (1, entry.key.len()))).fold((1, 0), add)
        }
    }
}

/// Whether nothing was written where a value may stand.
fn is_empty(node: &Node) -> bool {
    node.style == Style::Plain && node.scalar() == Some("")
}

fn empty(place: Place) -> Node {
    Node {
        place,
        style: Style::Plain,
        in_flow: false,
        content: Content::Scalar(String::new()),
        written: None,
    }
}
