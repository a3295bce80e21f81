//! Text taken apart: at separators, as a URL, as pairs of key and value.

use super::cached::Cached;
use super::context::{Context, Outcome, check_length};
use super::convert::{constant_text, short};
use super::map::Entries;
use super::spec::{Body, FunctionSpec, Group, Instance, Made, Returns, arg, optional};
use crate::event::kv::{KvRules, pairs};
use crate::event::{Value, json};
use crate::expr::literal::Literal;
use crate::expr::types::Type;
use std::borrow::Cow;

/// The functions on parts of text.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    FunctionSpec::new(
        Group::Text,
        "split",
        &[arg("s", Type::TEXT), arg("separator", Type::TEXT)],
        Returns::Is(Type::JSON),
        Body::Plain(split),
    )
    .doc("The parts between the separators, as a list.", &[("split('a,b,,c', ',')", "[\"a\",\"b\",\"\",\"c\"]")]),
    FunctionSpec::new(
        Group::Text,
        "split_part",
        &[arg("s", Type::TEXT), arg("separator", Type::TEXT), arg("n", Type::INT)],
        Returns::Is(Type::TEXT),
        Body::Plain(split_part),
    )
    .doc(
        "The part with a number, which counts from 1, or from the end if it is negative; null if there is none.",
        &[
            ("split_part('site/4/pump', '/', 2)", "\"4\""),
            ("split_part('site/4/pump', '/', -1)", "\"pump\""),
            ("split_part('site', '/', 2)", "null"),
        ],
    ),
    FunctionSpec::new(
        Group::Text,
        "url_part",
        &[arg("s", Type::TEXT), arg("part", Type::TEXT)],
        Returns::Is(Type::TEXT),
        Body::Made(UrlPart::make),
    )
    .doc(
        "A part of a URL as it is written: `scheme`, `user`, `host`, `port`, `path`, `query` or `fragment`; null if it \
         is not there.",
        &[
            ("url_part('http://example.org:8080/a/b?x=1#top', 'host')", "\"example.org\""),
            ("url_part('http://example.org:8080/a/b?x=1#top', 'query')", "\"x=1\""),
            ("url_part('http://example.org', 'port')", "null"),
        ],
    ),
    FunctionSpec::new(
        Group::Text,
        "parse_kv",
        &[arg("s", Type::TEXT), optional("separator", Type::TEXT), optional("equals", Type::TEXT)],
        Returns::Is(Type::JSON),
        Body::Plain(parse_kv),
    )
    .doc(
        "The pairs in a text as a map of texts, read as `parse … as: kv` does: pairs stand apart by white space or commas, \
         or by `separator`; names from values by `=`, or by `equals`. A value may stand in double quotes, in which a \
         backslash takes the next character as it is; a name alone has null.",
        &[
            ("parse_kv('a=1, b=\"two words\" c=3')", r#"{"a":"1","b":"two words","c":"3"}"#),
            ("parse_kv('a:1;flag', ';', ':')", r#"{"a":"1","flag":null}"#),
        ],
    ),
];

fn split(context: &mut Context, args: &[Value]) -> Outcome {
    if context.text(args[1]).is_empty() {
        return Err("the separator is empty".into());
    }
    context.write_json(|batch, out| {
        let mut before = b'[';
        for part in batch.text(args[0]).split(batch.text(args[1])) {
            out.push(before);
            before = b',';
            json::write_string(part.as_bytes(), out);
            check_length(out.len())?;
        }
        out.push(b']');
        Ok(())
    })
}

fn split_part(context: &mut Context, args: &[Value]) -> Outcome {
    let (text, separator) = (context.text(args[0]), context.text(args[1]));
    if separator.is_empty() {
        return Err("the separator is empty".into());
    }
    let n = args[2].as_int().unwrap_or_default();
    let place = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    let part = match n.signum() {
        0 => return Err("parts are counted from 1".into()),
        1 => text.split(separator).nth(place - 1),
        _ => text.rsplit(separator).nth(place - 1),
    };
    Ok(part.map_or(Value::NULL, |part| context.slice(args[0], part)))
}

fn parse_kv(context: &mut Context, args: &[Value]) -> Outcome {
    if args[1..].iter().any(|separator| context.text(*separator).is_empty()) {
        return Err("a separator is empty".into());
    }
    context.write_json(|batch, out| {
        let separator = args.get(1).map(|separator| batch.text(*separator));
        let equals = args.get(2).map_or("=", |equals| batch.text(*equals));
        let mut entries = Entries::default();
        for pair in pairs(batch.text(args[0]), KvRules { separator, equals }) {
            let (name, value) = pair?;
            entries.set(Cow::Borrowed(name), value);
        }
        entries.write(out, |value, out| match value {
            Some(value) => json::write_string(value.as_bytes(), out),
            None => out.extend_from_slice(b"null"),
        })
    })
}

/// The parts of a URL.
#[derive(Clone, Copy)]
enum Part {
    Scheme,
    User,
    Host,
    Port,
    Path,
    Query,
    Fragment,
}

/// `url_part`, with the name it last met.
struct UrlPart(Cached<Part>);

impl UrlPart {
    fn make(constants: &[Option<&Literal>]) -> Made {
        if let Some(name) = constant_text(constants, 1) {
            part(name)?;
        }
        Ok(Box::new(UrlPart(Cached::default())))
    }
}

impl Instance for UrlPart {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let part = *self.0.get(context.text(args[1]), part)?;
        let found = url_part(context.text(args[0]), part);
        Ok(found.map_or(Value::NULL, |found| context.slice(args[0], found)))
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(UrlPart(Cached::default()))
    }
}

fn part(name: &str) -> Result<Part, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "scheme" | "protocol" => Part::Scheme,
        "user" => Part::User,
        "host" => Part::Host,
        "port" => Part::Port,
        "path" => Part::Path,
        "query" => Part::Query,
        "fragment" => Part::Fragment,
        _ => {
            let parts = "scheme, user, host, port, path, query, fragment";
            return Err(format!("`{}` is no part of a URL: {parts}", short(name)));
        }
    })
}

/// A part of a URL (RFC 3986), undecoded. A reference without scheme has a path, query and fragment.
fn url_part(url: &str, part: Part) -> Option<&str> {
    let (url, fragment) = split_once(url, '#');
    let (url, query) = split_once(url, '?');
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => (Some(scheme), rest),
        _ => (None, url),
    };
    let (authority, path) = match scheme {
        Some(_) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    // The colons of an IPv6 address stand in brackets.
    let colon = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let (host, port) = match colon {
        Some(at) => (&host[..at], Some(&host[at + 1..])),
        None => (host, None),
    };
    let found = match part {
        Part::Scheme => scheme,
        Part::User => user,
        Part::Host => Some(host),
        Part::Port => port,
        Part::Path => Some(path),
        Part::Query => query,
        Part::Fragment => fragment,
    };
    found.filter(|found| !found.is_empty())
}

fn split_once(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}
