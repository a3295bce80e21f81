//! The located document: what the YAML text says, each piece with its place.

use super::source::Place;
use super::yaml::scalar;

/// One value of the document.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands; quotes and brackets included.
    pub place: Place,
    /// How it is written.
    pub style: Style,
    /// Whether a flow map `{…}` or flow list `[…]` surrounds it.
    pub in_flow: bool,
    /// What it holds.
    pub content: Content,
    /// How its text came about, where substitution changed it.
    pub written: Option<Box<Written>>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes.
    Plain,
    /// A scalar in single quotes.
    SingleQuoted,
    /// A scalar in double quotes.
    DoubleQuoted,
    /// A scalar of several lines after `|`.
    Literal,
    /// A scalar of several lines after `>`.
    Folded,
    /// A map or list by indentation.
    Block,
    /// A map or list in brackets.
    Flow,
}

/// What a value holds. A scalar is kept as text: what type it has depends on who reads it, see
/// [`Node::meaning`].
#[derive(Clone, Debug)]
pub enum Content {
    /// A scalar, after substitution.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file; keys are distinct.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
    /// Whether the key stands in a flow map without a `:`, as in `{ key }`.
    pub bare: bool,
}

/// The text of a scalar before substitution.
#[derive(Clone, Debug)]
pub struct Written {
    /// As the file has it, quotes resolved.
    pub text: String,
    /// Whether it is one substitution and nothing else, so that it is read as whatever type is wanted.
    pub whole: bool,
    /// Whether something in it must not be shown: it came from the environment, a file, or a credential.
    pub secret: bool,
    /// Whether something could not be put in, which was reported: what is wrong with the text is no news.
    pub failed: bool,
    /// The substituted stretches in order: in the text as written, and in the text they became.
    pub parts: Vec<(Place, Place)>,
}

/// What a value means by the rules of YAML 1.2.
#[derive(Clone, Copy, Debug)]
pub enum Meaning<'a> {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// Any other number; whole ones beyond 64 bits too.
    Float(f64),
    /// Any other scalar.
    Text(&'a str),
    /// A list.
    List(&'a [Node]),
    /// A map.
    Map(&'a [Entry]),
}

impl Node {
    /// What it means.
    pub fn meaning(&self) -> Meaning<'_> {
        match &self.content {
            Content::List(items) => Meaning::List(items),
            Content::Map(entries) => Meaning::Map(entries),
            Content::Scalar(text) if self.style == Style::Plain || self.is_whole() => scalar::resolve(text),
            Content::Scalar(text) => Meaning::Text(text),
        }
    }

    /// The text of a scalar whatever type it has, as the file has it but with substitutions done.
    pub fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar before substitution: what may be shown.
    pub fn as_written(&self) -> Option<&str> {
        match &self.written {
            Some(written) => Some(&written.text),
            None => self.scalar(),
        }
    }

    /// The entries of a map.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entry of a map with this key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        match &mut self.content {
            Content::Map(entries) => entries.iter_mut().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Whether nothing was written.
    pub fn is_null(&self) -> bool {
        matches!(self.meaning(), Meaning::Null)
    }

    /// Whether it is a scalar in quotes.
    pub fn is_quoted(&self) -> bool {
        matches!(self.style, Style::SingleQuoted | Style::DoubleQuoted)
    }

    /// Whether its text is one substitution and nothing else.
    pub fn is_whole(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.whole)
    }

    /// Whether its text must not be shown.
    pub fn is_secret(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.secret)
    }

    /// Whether a substitution in it failed, which was reported.
    pub fn is_failed(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.failed)
    }

    /// What it is, for a message: `the number 5`, `a list`. Never shows what was substituted.
    pub fn describe(&self) -> String {
        if let Some(written) = &self.written {
            return format!("`{}`", shortened(&written.text));
        }
        match self.meaning() {
            Meaning::Null => "nothing".to_owned(),
            Meaning::Bool(value) => format!("`{value}`"),
            Meaning::Int(_) | Meaning::Float(_) => {
                format!("the number {}", shortened(self.scalar().unwrap_or_default()))
            }
            Meaning::Text("") => "an empty text".to_owned(),
            Meaning::Text(text) => format!("the text `{}`", shortened(text)),
            Meaning::List(_) => "a list".to_owned(),
            Meaning::Map(_) => "a map".to_owned(),
        }
    }
}

/// At most 40 characters of a text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

impl From<&Node> for Place {
    fn from(node: &Node) -> Place {
        node.place
    }
}

/// An entry's place is its key's.
impl From<&Entry> for Place {
    fn from(entry: &Entry) -> Place {
        entry.place
    }
}
