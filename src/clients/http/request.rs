//! Events become requests.

use super::{Answer, HttpUrl};
use crate::clients::tls::TlsFiles;
use crate::config::Secrets;
use crate::dataflow::{Batching, Retry, read_addressed};
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An event that is to be posted.
#[derive(Clone, Debug)]
pub struct Event<'r> {
    /// The texts of its address, without its id.
    pub texts: Vec<&'r str>,
    /// What says that a request is the same again; empty where nobody asks for it, or none was given yet.
    pub id: &'r str,
    /// The event, encoded.
    pub bytes: &'r [u8],
}

impl<'r> Event<'r> {
    /// The next event of a chunk of records, whose addresses have so many texts and then an id.
    pub fn read(chunk: &mut &'r [u8], texts: usize) -> Option<Event<'r>> {
        let mut all = vec![""; texts + 1];
        let bytes = read_addressed(chunk, &mut all)?;
        let id = all.pop().unwrap_or_default();
        Some(Event { texts: all, id, bytes })
    }
}

/// A request, but for what belongs to the connection.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub url: HttpUrl,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Outgoing {
    /// The request as it is sent.
    ///
    /// # Errors
    /// It cannot be sent like that.
    pub fn request(&self) -> Result<Request<Bytes>, String> {
        let mut request = Request::builder().method(&self.method).uri(&self.url.path);
        if let Some(headers) = request.headers_mut() {
            headers.insert(
                USER_AGENT,
                HeaderValue::from_static(concat!("headwater/", env!("CARGO_PKG_VERSION"))),
            );
            headers.extend(self.headers.clone());
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
            let host = HeaderValue::try_from(self.url.server.authority());
            headers.insert(HOST, host.map_err(|error| format!("the host is none: {error}"))?);
        }
        request.body(self.body.clone()).map_err(|error| error.to_string())
    }
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has arrived.
    Taken,
    /// It will never be taken: why.
    Refused(String),
    /// It was not taken, and may be later: why.
    Again(String),
}

/// Makes requests of events.
pub trait Compose: fmt::Debug + Send + Sync {
    /// How many texts the address of an event has, its id not counted.
    fn texts(&self) -> usize {
        0
    }

    /// How many of the first of them are the same for all events of a request.
    fn shared(&self) -> usize {
        0
    }

    /// The request that brings these events, which are one or more; `id` is its own where [`Job::ids`] says so.
    ///
    /// # Errors
    /// Why there can be none with one of these events.
    fn compose(&self, events: &[Event<'_>], id: &str) -> Result<Outgoing, String>;

    /// What became of each event of a request, where a success says that not all went well.
    fn fates(&self, _answer: &Answer, _events: usize) -> Option<Vec<Fate>> {
        None
    }

    /// What may help where a server answers like that.
    fn remedy(&self, _status: StatusCode) -> &'static str {
        ""
    }
}

/// What is posted, and how.
#[derive(Clone, Debug)]
pub struct Job {
    /// Who posts, for messages.
    pub who: String,
    /// Makes the requests.
    pub compose: Arc<dyn Compose>,
    /// How many events go together.
    pub batching: Batching,
    /// How a server that takes nothing is tried again.
    pub retry: Retry,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Certificates.
    pub tls: TlsFiles,
    /// What must not be shown.
    pub secrets: Secrets,
    /// Whether each request has an id that it keeps when it is sent again.
    pub ids: bool,
    /// Whether all events go to one URL: that it is not there is then no fault of an event.
    pub is_one_place: bool,
}
