//! A schema registry, by the HTTP interface that Confluent's has and others share.
//!
//! What values are read by is asked for on a thread of its own, from the first number that is not known on: whoever
//! reads waits meanwhile and asks again. A registry that is away is tried until it is there.

use super::http::{Answer, HttpClient, HttpOptions, HttpServer, excerpt};
use super::tls::TlsFiles;
use crate::dataflow::{Probed, formats::RegistryOptions};
use crate::event::percent_encode;
use crate::formats::avro::{Avro, Schema, SchemaRegistry, Sought};
use crate::time::{Clock, Millis, SystemClock};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often is asked for what is needed to begin; some seconds together where nobody is there.
const TRIES: u32 = 5;
/// The longest answer.
const ANSWER_LIMIT: usize = 16 << 20;
/// Schemas that are kept; beyond, the one of the lowest number goes.
const MOST_SCHEMAS: usize = 1_000;
/// How long a number that the registry does not have is not asked for again.
const REFUSED: Millis = Millis(30_000);
/// The wait before a registry that is away is asked again: doubled each time, up to the second.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];
const CONTENT: &str = "application/vnd.schemaregistry.v1+json";

/// A client of a registry, which knows what it was told once.
pub struct RegistryClient {
    shared: Arc<Shared>,
}

struct Shared {
    options: RegistryOptions,
    clock: SystemClock,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    known: BTreeMap<u32, Known>,
    wanted: BTreeSet<u32>,
    is_running: bool,
    has_ended: bool,
}

enum Known {
    Schema(Arc<Schema>),
    /// Why there is none, and when that was said.
    Refused(String, Millis),
}

/// Why a registry gave no schema.
enum Trouble {
    /// It is to be asked again.
    Passing(String),
    /// It has none.
    None(String),
}

impl RegistryClient {
    /// A client that has not connected yet.
    pub fn new(options: RegistryOptions) -> RegistryClient {
        let (clock, state, changed) = (SystemClock::new(), Mutex::default(), Condvar::new());
        RegistryClient { shared: Arc::new(Shared { options, clock, state, changed }) }
    }

    /// Asks what a run would ask at its start, or for any schema where it only reads, and changes nothing: for
    /// `check --connect`.
    pub fn probe(&self, writes: bool) -> Probed {
        let shared = &self.shared;
        let subject = shared.options.subject.as_deref().unwrap_or_default();
        let looked = shared.client(1).and_then(|mut client| match writes {
            false => shared.look(&mut client),
            true => shared.find_writing(&mut client).map(|found| match found {
                Some((number, _)) => format!("has schema {number} for `{subject}`"),
                None => format!("will be given the schema of `{subject}`"),
            }),
        });
        let looked = looked.map(|found| format!("the schema registry {} {found}", shared.shown()));
        looked.map_err(|why| shared.named(&why))
    }
}

impl Drop for RegistryClient {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_all();
    }
}

impl SchemaRegistry for RegistryClient {
    fn schema(&self, number: u32) -> Sought {
        let mut state = self.shared.lock();
        match state.known.get(&number) {
            Some(Known::Schema(schema)) => return Sought::Found(schema.clone()),
            Some(Known::Refused(why, at)) if self.shared.clock.elapsed() - *at < REFUSED => {
                return Sought::None(why.clone());
            }
            _ => {}
        }
        state.wanted.insert(number);
        if !state.is_running {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new().name("registry".to_owned());
            // Without a thread it is tried again with the next call.
            state.is_running = thread.spawn(move || shared.ask_always()).is_ok();
        }
        self.shared.changed.notify_all();
        Sought::Waiting
    }

    fn writing(&self) -> Result<(u32, Arc<Schema>), String> {
        let shared = &self.shared;
        let found = shared.client(TRIES).and_then(|mut client| {
            let found = shared.find_writing(&mut client)?;
            found.map_or_else(|| shared.register(&mut client), Ok)
        });
        found.map_err(|why| shared.named(&why))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left whole entries.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> String {
        self.options.secrets.mask(&self.options.url).into_owned()
    }

    fn named(&self, why: &str) -> String {
        format!("the schema registry {}: {}", self.shown(), self.options.secrets.mask(why))
    }

    fn client(&self, tries: u32) -> Result<HttpClient, String> {
        let RegistryOptions { url, ca, own, .. } = &self.options;
        let options = HttpOptions { timeout: TIMEOUT, tries, answer_limit: ANSWER_LIMIT };
        HttpClient::new(HttpServer::parse(url)?, options, &TlsFiles { ca: ca.clone(), own: own.clone() })
    }

    fn send(
        &self,
        client: &mut HttpClient,
        (method, path): (&str, &str),
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let host = HttpServer::parse(&self.options.url)?.authority();
        let credentials = self.options.credentials.as_ref();
        let token = credentials.map(|(name, word)| STANDARD.encode(format!("{name}:{word}")));
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let make = || {
            let mut request = Request::builder().method(method).uri(path).header("host", &host);
            request = request.header("accept", CONTENT).header("content-type", CONTENT);
            if let Some(token) = &token {
                request = request.header("authorization", format!("Basic {token}"));
            }
            request.body(bytes.clone())
        };
        make().map_err(|error| error.to_string())?;
        // It was well formed a moment ago.
        client.send(&mut || make().unwrap_or_default())
    }

    /// Asks for what is wanted until nobody wants anything any more.
    fn ask_always(&self) {
        let (mut client, mut pause, mut was_told) = (None, AGAIN[0], false);
        loop {
            let next = {
                let idle = |state: &mut State| state.wanted.is_empty() && !state.has_ended;
                let state = self.changed.wait_while(self.lock(), idle);
                let state = state.unwrap_or_else(PoisonError::into_inner);
                if state.has_ended {
                    return;
                }
                state.wanted.first().copied()
            };
            let Some(number) = next else { continue };
            let outcome = match client.take().map_or_else(|| self.client(1), Ok) {
                Ok(mut made) => {
                    let found = self.find(&mut made, number);
                    client = Some(made);
                    found
                }
                Err(why) => Err(Trouble::Passing(why)),
            };
            let known = match outcome {
                Ok(schema) => Known::Schema(Arc::new(schema)),
                Err(Trouble::None(why)) => Known::Refused(why, self.clock.elapsed()),
                Err(Trouble::Passing(why)) => {
                    if !std::mem::replace(&mut was_told, true) {
                        let (shown, why) = (self.shown(), self.options.secrets.mask(&why));
                        tracing::warn!(
                            "the schema registry {shown} does not say what schema {number} is: {why}; what is written by \
                             it waits, and it is tried again"
                        );
                    }
                    self.rest(pause);
                    pause = (pause * 2).min(AGAIN[1]);
                    continue;
                }
            };
            pause = AGAIN[0];
            if std::mem::take(&mut was_told) {
                tracing::info!("the schema registry {} answers again", self.shown());
            }
            self.note(number, known);
        }
    }

    fn rest(&self, span: Duration) {
        let state = self.lock();
        drop(self.changed.wait_timeout_while(state, span, |state| !state.has_ended));
    }

    fn note(&self, number: u32, known: Known) {
        let mut state = self.lock();
        state.wanted.remove(&number);
        while state.known.len() >= MOST_SCHEMAS {
            state.known.pop_first();
        }
        state.known.insert(number, known);
    }

    /// What values of that number are read by.
    fn find(&self, client: &mut HttpClient, number: u32) -> Result<Schema, Trouble> {
        let answer = self.send(client, ("GET", &format!("/schemas/ids/{number}")), None);
        let answer = answer.map_err(Trouble::Passing)?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(Trouble::None(format!("the registry has no schema {number}")));
            }
            _ => return Err(Trouble::Passing(refusal(&answer))),
        }
        let said: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| Trouble::Passing("its answer is no JSON: is it a schema registry?".to_owned()))?;
        let schema = schema_of(&said).map_err(|why| format!("schema {number} of the registry: {why}"));
        schema.map_err(Trouble::None)
    }

    /// What values are written by; None where the registry is to be given it.
    fn find_writing(&self, client: &mut HttpClient) -> Result<Option<(u32, Arc<Schema>)>, String> {
        let RegistryOptions { subject, schema, register, .. } = &self.options;
        let subject = subject.as_deref().unwrap_or_default();
        let path = format!("/subjects/{}", percent_encode(subject, false));
        let Some(text) = schema else {
            let answer = self.send(client, ("GET", &format!("{path}/versions/latest")), None)?;
            let said = found(&answer).map_err(|why| match answer.status {
                StatusCode::NOT_FOUND => format!(
                    "it has no subject `{subject}`: register a schema, or give `schema` and `register: true` here"
                ),
                _ => why,
            })?;
            let schema =
                schema_of(&said).map_err(|why| format!("the latest schema of `{subject}`: {why}"))?;
            return Ok(Some((number_of(&said)?, Arc::new(schema))));
        };
        let answer = self.send(client, ("POST", &path), Some(&json!({ "schema": text })))?;
        if answer.status == StatusCode::NOT_FOUND && *register {
            return Ok(None);
        }
        let said = found(&answer).map_err(|why| match answer.status {
            StatusCode::NOT_FOUND => format!(
                "the subject `{subject}` does not have this `schema`: register it, or write `register: true`"
            ),
            _ => why,
        })?;
        Ok(Some((number_of(&said)?, Arc::new(Schema::parse(text)?))))
    }

    /// Gives the registry what values are written by.
    fn register(&self, client: &mut HttpClient) -> Result<(u32, Arc<Schema>), String> {
        let RegistryOptions { subject, schema, .. } = &self.options;
        let (subject, text) = (subject.as_deref().unwrap_or_default(), schema.as_deref().unwrap_or_default());
        let path = format!("/subjects/{}/versions", percent_encode(subject, false));
        let answer = self.send(client, ("POST", &path), Some(&json!({ "schema": text })))?;
        Ok((number_of(&found(&answer)?)?, Arc::new(Schema::parse(text)?)))
    }

    /// Whether the registry answers those who read.
    fn look(&self, client: &mut HttpClient) -> Result<String, String> {
        // No matter whether it has this one.
        match self.find(client, 1) {
            Ok(_) | Err(Trouble::None(_)) => Ok("answers".to_owned()),
            Err(Trouble::Passing(why)) => Err(why),
        }
    }
}

/// What a good answer says.
fn found(answer: &Answer) -> Result<Value, String> {
    if !answer.status.is_success() {
        return Err(refusal(answer));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| "its answer is no JSON: is it a schema registry?".to_owned())
}

fn number_of(said: &Value) -> Result<u32, String> {
    let number = said["id"].as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| "its answer has no `id`: is it a schema registry?".to_owned())
}

/// The schema in an answer, if it is one of events that stands by itself.
fn schema_of(said: &Value) -> Result<Schema, String> {
    match said["schemaType"].as_str() {
        None | Some("AVRO") => {}
        Some(other) => return Err(format!("it is of {other}, and not of Avro")),
    }
    if said["references"].as_array().is_some_and(|all| !all.is_empty()) {
        return Err("it refers to other schemas, which is not in this version".to_owned());
    }
    let text = said["schema"].as_str().ok_or("there is none in the answer")?;
    let schema = Schema::parse(text)?;
    Avro::new(schema.clone(), None).map(|_| schema)
}

/// Why a registry does not answer as it should, and what to do.
fn refusal(answer: &Answer) -> String {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = said["message"].as_str().map(|text| format!(": {}", excerpt(text))).unwrap_or_default();
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("it answers {}{message}; are `username` and `password` right?", answer.status)
        }
        status => format!("it answers {status}{message}"),
    }
}

#[cfg(test)]
mod tests;
