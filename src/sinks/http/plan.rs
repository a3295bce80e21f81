//! The options of an `http` sink.

use super::HTTP;
use super::body::{Body, Manner};
use crate::clients::hidden::Hidden;
use crate::clients::http::{self, HttpUrl, Job, Posting, is_url};
use crate::config::{Section, Setting, read};
use crate::dataflow::{Batching, NodePlanner, Probed, Retry, Sink, SinkPlan, Template};
use crate::event::json;
use crate::time::Millis;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use std::sync::Arc;

/// A request for each event.
const ONE: Batching = Batching { events: 1, bytes: 1, every: Millis::ZERO };

/// Plans an `http` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = HTTP.open(setting);
    let url = section
        .required("url", |setting| Some(Template::plan(planner, setting, is_url)?.escaped(http::escape)));
    let methods = [("POST", Method::POST), ("PUT", Method::PUT), ("PATCH", Method::PATCH)];
    let words = [("POST", 0), ("PUT", 1), ("PATCH", 2)];
    let (_, method) = methods[section.or("method", 0, read::word(&words, &[]))].clone();
    let auth = section.get("auth").map(http::read_auth);
    let headers = section.get("headers").map_or(Some(Vec::new()), |setting| {
        http::read_headers(setting, &[], |entry| {
            Template::plan(planner, entry, |text, _| http::is_header_value(text))
        })
    });
    let has_type = headers.iter().flatten().any(|(name, _)| name == CONTENT_TYPE);
    let body = section.get("body").map(|setting| body(planner, setting, has_type));
    let idempotency = section.get("idempotency_header").map(header_name);
    let (url, headers) = (url?, headers?);
    refuse_twice(&section, &headers, idempotency.iter().flatten().next());
    refuse_any_server(&section, &url, &headers);
    let (body, template) = body.unwrap_or(Some((Body::Object, None)))?;
    let (written, fixed) = (url.written().to_owned(), url.fixed().map(str::to_owned));
    // What is the same for all events is not kept with each: so nothing waits for a place that is given up, and no secret.
    let of_header = |(name, value): &(HeaderName, Template)| {
        (name.clone(), value.fixed().map(|text| Hidden(text.to_owned())))
    };
    let manner = Manner {
        method,
        url: fixed.clone().map(Hidden),
        headers: headers.iter().map(of_header).collect(),
        body,
        auth: auth.unwrap_or(Some(http::Authorisation::default()))?,
        idempotency: idempotency.map_or(Some(None), |name| name.map(Some))?,
        preamble: Vec::new(),
        separator: Vec::new(),
    };
    let mut job = http::read_posting(planner, &section, fixed.as_deref(), Arc::new(manner.clone()));
    job.ids = manner.idempotency.is_some();
    if matches!(body, Body::Object | Body::Template) {
        job.batching = ONE;
    }
    let texts = std::iter::once(url).chain(headers.into_iter().map(|(_, value)| value));
    let mut address: Vec<Template> = texts.filter(|text| text.fixed().is_none()).collect();
    address.extend(template);
    address.push(Template::room());
    let fixed = fixed.and_then(|url| HttpUrl::parse(&url).ok());
    Some(Box::new(HttpSinkPlan { job, manner, address, written, fixed }))
}

fn header_name(setting: Setting<'_>) -> Option<HeaderName> {
    let name = HeaderName::try_from(read::text(setting)?);
    match name {
        Ok(name) => Some(name).filter(|name| http::is_free_header(setting, name, &[])),
        Err(_) => {
            setting.wrong("the name of a header, such as `Idempotency-Key`");
            None
        }
    }
}

/// Reports a header that would be written twice.
fn refuse_twice(section: &Section<'_>, headers: &[(HeaderName, Template)], own: Option<&HeaderName>) {
    let has = |name: &HeaderName| headers.iter().any(|(header, _)| header == name);
    http::refuse_two_authorisations(section, headers.iter().map(|(name, _)| name));
    if let Some(setting) = section.get("idempotency_header").filter(|_| own.is_some_and(has)) {
        let reported = setting.error("`headers` has this header, too");
        reported
            .hint("there it is an id that events bring along, here one that is made up; keep one of them");
    }
}

/// Refuses to let events choose who is told a secret.
fn refuse_any_server(section: &Section<'_>, url: &Template, headers: &[(HeaderName, Template)]) {
    let own = url.beginning();
    let names_server = own.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
    let has_secret = section.has("auth") || headers.iter().any(|(name, _)| name == AUTHORIZATION);
    if let Some(setting) = section.get("url").filter(|_| has_secret && url.fixed().is_none() && !names_server)
    {
        let reported = setting.error("events would choose the server that is told who we are");
        reported.hint("write scheme, host and a `/` in front of the first value: `https://host/{device}`");
    }
}

/// What a body holds, with its template if it is made by one.
fn body(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    has_type: bool,
) -> Option<(Body, Option<Template>)> {
    let words = [("object", Body::Object), ("array", Body::Array), ("ndjson", Body::Lines)];
    let text = setting.node.scalar().unwrap_or_default();
    // A text without a value of an event would be the same for all: that is a word that was misspelled.
    if !text.contains('{') {
        let message = "expected `object`, `array`, `ndjson` or a template such as `'{{\"text\": {json_text(message)}}'`";
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, body)| (*body, None));
        return known.or_else(|| {
            setting.error(message);
            None
        });
    }
    let check: fn(&str, usize) -> Result<(), &'static str> =
        if has_type { |_, _| Ok(()) } else { |text, _| is_json(text) };
    Some((Body::Template, Some(Template::plan(planner, setting, check)?)))
}

fn is_json(text: &str) -> Result<(), &'static str> {
    let why = "it is not JSON, which the body is unless a header `Content-Type` says otherwise; \
               `{json_text(x)}` writes a text with its quotes";
    if json::validate(text.as_bytes()).is_ok() { Ok(()) } else { Err(why) }
}

#[derive(Debug)]
struct HttpSinkPlan {
    job: Job,
    manner: Manner,
    /// The URL and values of headers where each event has its own, the text of the body, and room for an id.
    address: Vec<Template>,
    written: String,
    /// The URL where it is the same for all events.
    fixed: Option<HttpUrl>,
}

impl SinkPlan for HttpSinkPlan {
    fn describe(&self) -> String {
        format!("http {} {}", self.manner.method, self.job.secrets.mask(&self.written))
    }

    fn address(&self) -> &[Template] {
        &self.address
    }

    fn layout(&self) -> Vec<&str> {
        self.manner.layout()
    }

    fn takes_messages(&self) -> bool {
        true
    }

    /// Items of a JSON list are JSON.
    fn chooses_format(&self) -> bool {
        matches!(self.manner.body, Body::Object | Body::Lines)
    }

    fn separated_by(&mut self, separator: &[u8]) {
        self.manner.separator = separator.to_vec();
    }

    fn retried_by(&mut self, retry: Retry) {
        self.job.retry = retry;
    }

    fn gather(&mut self, batching: Batching) -> bool {
        let gathers = self.manner.body != Body::Object;
        if gathers {
            self.job.batching = batching;
        }
        gathers
    }

    fn refuses(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Probed> {
        Some(http::reach(&self.job.tls, &self.fixed.as_ref()?.server))
    }

    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink> {
        let manner = Manner { preamble, ..self.manner.clone() };
        Box::new(Posting::new(Job { compose: Arc::new(manner), ..self.job.clone() }))
    }
}
