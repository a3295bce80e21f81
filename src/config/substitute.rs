//! What is put into scalars from outside: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${file:path}`,
//! `${credential:name}`, `${param:name}`; `$$` is a dollar. It is done in scalars, after YAML was read, so
//! that no value can change the document's shape; once, so that what was put in is never looked at again.

use std::cell::Cell;
use std::ops::Range;

use super::diagnostic::Faults;
use super::environment::Environment;
use super::node::{Content, Entry, Node, Written};
use super::params::Param;
use super::secrets::Secrets;
use super::source::Place;
use super::within;
use crate::event::nearest;

/// The most bytes that substitution may put into a document: 8 MiB.
const MAX_BYTES: usize = 8 << 20;

/// The most substitutions in one scalar.
const MAX_PARTS: usize = 100;

/// Does the substitutions of a document or a part of it.
pub(super) struct Substitution<'s> {
    environment: &'s dyn Environment,
    /// `None` where parameters cannot be used: in their own defaults.
    params: Option<&'s [Param]>,
    faults: &'s Faults,
    /// The bytes put in so far.
    put_in: Cell<usize>,
}

/// What stands between `${` and `}`.
enum Source<'t> {
    Variable { name: &'t str, otherwise: Otherwise<'t> },
    File(&'t str),
    Credential(&'t str),
    Param(&'t str),
}

/// What holds where a variable is not set.
enum Otherwise<'t> {
    Nothing,
    Default(&'t str),
    Message(&'t str),
}

/// A fault in a substitution: what, and what to do.
struct Refused {
    message: String,
    hint: Option<String>,
}

fn refused(message: impl Into<String>, hint: &str) -> Refused {
    Refused { message: message.into(), hint: (!hint.is_empty()).then(|| hint.to_owned()) }
}

/// What a substitution gives.
struct Found {
    text: String,
    secret: bool,
}

impl<'s> Substitution<'s> {
    pub fn new(
        environment: &'s dyn Environment,
        params: Option<&'s [Param]>,
        faults: &'s Faults,
    ) -> Substitution<'s> {
        Substitution { environment, params, faults, put_in: Cell::new(0) }
    }

    /// Substitutes in the values of a pipeline's document; the text of `lua:` and `sql:` in transforms is
    /// left as it is.
    pub fn document(&self, root: &mut Node) {
        for section in entries(root) {
            if section.key != "transforms" {
                self.entry(section);
                continue;
            }
            self.key(section);
            for transform in entries(&mut section.value) {
                self.key(transform);
                for operator in entries(&mut transform.value) {
                    self.operator(operator);
                }
            }
            self.unless_map(&mut section.value);
        }
        self.unless_map(root);
    }

    fn operator(&self, operator: &mut Entry) {
        let is_code = matches!(operator.key.as_str(), "lua" | "sql");
        match &mut operator.value.content {
            Content::Scalar(_) if is_code => {}
            Content::Map(options) if is_code => {
                options
                    .iter_mut()
                    .filter(|option| option.key != "script")
                    .for_each(|option| self.entry(option));
            }
            _ => self.entry(operator),
        }
    }

    /// What should be a map and is none is substituted all the same, so that its own faults are found.
    fn unless_map(&self, node: &mut Node) {
        if node.entries().is_none() {
            self.node(node);
        }
    }

    /// Substitutes in a value and all below it.
    pub fn node(&self, node: &mut Node) {
        match &mut node.content {
            Content::Scalar(text) if text.contains('$') => self.scalar(node),
            Content::Scalar(_) => {}
            Content::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Content::Map(entries) => entries.iter_mut().for_each(|entry| self.entry(entry)),
        }
    }

    fn entry(&self, entry: &mut Entry) {
        self.key(entry);
        self.node(&mut entry.value);
    }

    fn key(&self, entry: &Entry) {
        if entry.key.contains("${") {
            let reported = self.faults.error(entry, "nothing is substituted in keys");
            reported.hint("`${…}` works in values");
        }
    }

    fn scalar(&self, node: &mut Node) {
        // A node that was done before is left alone: what was put in is no text of the file.
        let (Content::Scalar(text), None) = (&node.content, &node.written) else { return };
        let mut result = String::with_capacity(text.len());
        let mut written =
            Written { text: text.clone(), whole: false, secret: false, failed: false, parts: Vec::new() };
        let mut at = 0;
        while let Some(dollar) = text[at..].find('$').map(|offset| at + offset) {
            if written.parts.len() == MAX_PARTS {
                self.faults.error(&*node, format!("more than {MAX_PARTS} substitutions in one value"));
                break;
            }
            result.push_str(&text[at..dollar]);
            let start = result.len();
            at = match text.as_bytes().get(dollar + 1) {
                Some(b'$') => {
                    result.push('$');
                    dollar + 2
                }
                Some(b'{') => self.braces(node, text, dollar, &mut result, &mut written),
                _ => {
                    result.push('$');
                    dollar + 1
                }
            };
            if at > dollar + 1 {
                written.parts.push((place(dollar..at), place(start..result.len())));
            }
        }
        result.push_str(&text[at..]);
        let only = matches!(&written.parts[..], [(part, _)] if *part == place(0..text.len()));
        written.whole = only && text.starts_with("${");
        if !written.parts.is_empty() {
            node.content = Content::Scalar(result);
            node.written = Some(Box::new(written));
        }
    }

    /// Handles `${` at `start`; returns where it goes on.
    fn braces(
        &self,
        node: &Node,
        text: &str,
        start: usize,
        result: &mut String,
        written: &mut Written,
    ) -> usize {
        let inside = start + 2;
        let length = text[inside..].find('}');
        let end = length.map_or(text.len(), |length| inside + length + 1);
        let found = match length {
            Some(length) => self.find(&text[inside..inside + length]),
            None => {
                Err(refused("this `${` is not closed by `}`", "`$$` is a dollar: `$${` is the text `${`"))
            }
        };
        match found {
            Ok(found) => {
                written.secret |= found.secret;
                match self.spend(node, found.text.len()) {
                    true => result.push_str(&found.text),
                    false => written.failed = true,
                }
            }
            Err(Refused { message, hint }) => {
                written.failed = true;
                let place = within::place_as_written(self.faults.file(), node, text, start..end);
                let reported = self.faults.error(place, message);
                if let Some(hint) = hint {
                    reported.hint(hint);
                }
            }
        }
        end
    }

    /// Whether so many bytes may still be put in; reports it once where not.
    fn spend(&self, node: &Node, bytes: usize) -> bool {
        let before = self.put_in.get();
        self.put_in.set(before.saturating_add(bytes));
        let fits = self.put_in.get() <= MAX_BYTES;
        if !fits && before <= MAX_BYTES {
            self.faults.error(node, "substitutions make this file longer than 8 MiB");
        }
        fits
    }

    fn find(&self, inside: &str) -> Result<Found, Refused> {
        let secret = |text: String| {
            let mut secrets = Secrets::default();
            secrets.add(&text);
            self.faults.keep_secret(&secrets);
            Found { text, secret: true }
        };
        match read(inside)? {
            Source::File(path) => {
                let text = self.environment.file(self.faults.file(), path);
                text.map(secret).map_err(|reason| refused(format!("`{path}` cannot be read: {reason}"), ""))
            }
            Source::Credential(name) => self.environment.credential(name).map(secret).map_err(|reason| {
                let hint = "systemd gives credentials with `LoadCredential=`, in `$CREDENTIALS_DIRECTORY`";
                refused(format!("there is no credential `{name}`: {reason}"), hint)
            }),
            Source::Param(name) => self.param(name),
            Source::Variable { name, otherwise } => match (self.environment.variable(name), otherwise) {
                (Some(text), Otherwise::Nothing) => Ok(self.variable(text)),
                (Some(text), _) if !text.is_empty() => Ok(self.variable(text)),
                (_, Otherwise::Default(text)) => Ok(Found { text: text.to_owned(), secret: false }),
                (_, Otherwise::Message("")) => Err(refused(format!("`{name}` is not set"), "")),
                (_, Otherwise::Message(message)) => {
                    Err(refused(format!("`{name}` is not set: {message}"), ""))
                }
                (None, Otherwise::Nothing) => Err(refused(
                    format!("the environment variable `{name}` is not set"),
                    &format!("set it, or give a default: `${{{name}:-…}}`"),
                )),
            },
        }
    }

    fn variable(&self, text: String) -> Found {
        let mut secrets = Secrets::default();
        secrets.add_variable(&text);
        self.faults.keep_secret(&secrets);
        Found { text, secret: true }
    }

    fn param(&self, name: &str) -> Result<Found, Refused> {
        let Some(params) = self.params else {
            return Err(refused("a parameter's default cannot use a parameter", ""));
        };
        match params.iter().find(|param| param.name == name) {
            Some(param) => Ok(Found { text: param.value.to_string(), secret: param.secret }),
            None => {
                let near = nearest(name, params.iter().map(|param| param.name.as_str()));
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                let hint = hint.unwrap_or_else(|| "parameters stand under `params:`".to_owned());
                Err(refused(format!("there is no parameter `{name}`"), &hint))
            }
        }
    }
}

/// Reads what stands between `${` and `}`.
fn read(inside: &str) -> Result<Source<'_>, Refused> {
    if inside.contains("${") {
        return Err(refused(
            "a substitution cannot stand inside another",
            "give one default, without `${…}`",
        ));
    }
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(unreadable(inside));
    }
    if rest.is_empty() {
        return Ok(Source::Variable { name, otherwise: Otherwise::Nothing });
    }
    if let Some(text) = rest.strip_prefix(":-") {
        return Ok(Source::Variable { name, otherwise: Otherwise::Default(text) });
    }
    if let Some(text) = rest.strip_prefix(":?") {
        return Ok(Source::Variable { name, otherwise: Otherwise::Message(text) });
    }
    let Some(argument) = rest.strip_prefix(':') else { return Err(unreadable(inside)) };
    match name {
        _ if argument.is_empty() => Err(refused(format!("`${{{inside}}}` does not say which"), "")),
        "file" => Ok(Source::File(argument)),
        "credential" => Ok(Source::Credential(argument)),
        "param" => Ok(Source::Param(argument)),
        _ => Err(match nearest(name, ["file", "credential", "param"]) {
            Some(near) => {
                refused(format!("nothing is called `{name}:`"), &format!("did you mean `{near}:`?"))
            }
            None => unreadable(inside),
        }),
    }
}

fn unreadable(inside: &str) -> Refused {
    let hint = "there are `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${file:path}`, `${credential:name}`, \
                `${param:name}`; `$$` is a dollar";
    refused(format!("`${{{inside}}}` is no substitution"), hint)
}

fn entries(node: &mut Node) -> &mut [Entry] {
    match &mut node.content {
        Content::Map(entries) => entries,
        _ => &mut [],
    }
}

fn place(range: Range<usize>) -> Place {
    // A scalar's text is part of a file of at most 1 MiB, or became at most a little longer than that.
    Place { start: range.start as u32, end: range.end as u32 }
}

#[cfg(test)]
mod tests;
