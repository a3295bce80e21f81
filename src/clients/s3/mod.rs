//! Snapshots in a bucket of Amazon S3, or of a server that speaks its language.
//!
//! Four requests suffice: put, get, list and delete. Parts of snapshots are a few MiB, so each is one request, and
//! whole or not there at all. Requests are signed here (`sign.rs`): that is a page of code over hashes that the program
//! has anyway.

mod options;
mod sign;
mod xml;

pub use options::S3Options;

use super::http::{Answer, HttpClient, HttpOptions};
use super::tls::TlsFiles;
use crate::event::percent_encode as encode;
use crate::state::snapshot::{PART_LIMIT, SnapshotTarget, Stored, TargetError};
use crate::time::{Clock, Timestamp};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use sign::Signing;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Enough for a part over a slow uplink.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A request is tried so often before the snapshot is given up for a while.
const TRIES: u32 = 4;

/// The most bytes of an answer: a manifest or a part.
const ANSWER_LIMIT: usize = 64 << 20;

/// The most things of a list: those of some terabytes.
const LIST_LIMIT: usize = 4_000_000;

/// A bucket, or what is below a prefix of it.
pub struct S3Target {
    options: S3Options,
    http: HttpClient,
    host: String,
    /// The server, for people.
    server: String,
    /// What paths begin with.
    path: String,
    /// What names begin with: nothing, or ends with a slash.
    prefix: String,
    clock: Arc<dyn Clock>,
}

/// Everything of a request but what it is signed with.
struct Asked<'a> {
    method: &'a str,
    /// None for the bucket itself.
    name: Option<&'a str>,
    query: String,
    body: Bytes,
}

impl S3Target {
    /// A bucket. Nothing is connected yet.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub fn new(options: S3Options, clock: Arc<dyn Clock>) -> Result<S3Target, String> {
        if options.access_key.is_empty() || options.secret_key.0.is_empty() {
            return Err("`access_key` and `secret_key` are needed".to_owned());
        }
        // They become part of headers.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let token = options.session_token.as_ref().map_or("", |token| &token.0);
        if ![&options.access_key, token, options.region()].iter().all(|text| is_plain(text)) {
            return Err("`access_key` and `region` must be plain text without spaces".to_owned());
        }
        let (server, path) = options.server()?;
        let prefix = match options.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let (host, shown) = (server.authority(), server.to_string());
        let http = HttpOptions { timeout: TIMEOUT, tries: TRIES, answer_limit: ANSWER_LIMIT };
        let http = HttpClient::new(server, http, &TlsFiles::default())?;
        Ok(S3Target { options, http, host, server: shown, path, prefix, clock })
    }

    fn send(&mut self, doing: &str, asked: &Asked) -> Result<Answer, TargetError> {
        let name = asked.name.map(|name| format!("{}{name}", self.prefix)).unwrap_or_default();
        let path = format!("{}/{}", self.path, encode(&name, true));
        let uri = if asked.query.is_empty() { path.clone() } else { format!("{path}?{}", asked.query) };
        let (options, host, clock) = (&self.options, self.host.as_str(), &self.clock);
        // What is wrong with a request shows here, before it is sent.
        let make = || {
            let (query, time) = (asked.query.as_str(), clock.wall());
            let signing = Signing { method: asked.method, path: &path, query, host, body: &asked.body, time };
            let mut request = Request::builder().method(asked.method).uri(&uri).header("host", host);
            for (name, value) in signing.headers(options) {
                request = request.header(name, value);
            }
            request.body(asked.body.clone())
        };
        make().map_err(|error| TargetError::new(doing, error))?;
        // It was well formed a moment ago, and only the time has changed.
        let answer = self.http.send(&mut || make().unwrap_or_default());
        let answer = answer.map_err(|error| TargetError::new(doing, error))?;
        if answer.status.is_success() || (asked.method == "DELETE" && answer.status == StatusCode::NOT_FOUND)
        {
            return Ok(answer);
        }
        Err(TargetError::new(doing, refusal(&answer)))
    }

    fn list_page(&mut self, folder: &str, token: Option<&str>) -> Result<String, TargetError> {
        let prefix = encode(&format!("{}{folder}", self.prefix), false);
        // In the order of names, as signing wants it.
        let token = token.map(|token| format!("continuation-token={}&", encode(token, false)));
        let query = format!("{}list-type=2&prefix={prefix}", token.unwrap_or_default());
        let doing = format!("listing {folder}");
        let asked = Asked { method: "GET", name: None, query, body: Bytes::new() };
        let answer = self.send(&doing, &asked)?;
        String::from_utf8(answer.body.to_vec()).map_err(|error| TargetError::new(&doing, error))
    }

    fn read_page(&self, page: &str, into: &mut Vec<Stored>) -> Option<()> {
        for entry in xml::elements(page, "Contents") {
            let key = xml::text(entry, "Key")?;
            let modified: jiff::Timestamp = xml::text(entry, "LastModified")?.parse().ok()?;
            into.push(Stored {
                name: key.strip_prefix(&self.prefix)?.to_owned(),
                bytes: xml::text(entry, "Size")?.parse().ok()?,
                modified: Timestamp(modified.as_millisecond()),
            });
        }
        Some(())
    }
}

/// What a server says that refuses, with advice.
fn refusal(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(16 << 10)]);
    let code = xml::text(&body, "Code").unwrap_or_default();
    let said = xml::text(&body, "Message").unwrap_or_default();
    let date = answer.headers.get("date").and_then(|date| date.to_str().ok()).unwrap_or("unknown");
    let advice = match &*code {
        "RequestTimeTooSkewed" | "RequestExpired" => {
            format!("; the clock of this machine or of the server is wrong: the server's time is {date}")
        }
        "SignatureDoesNotMatch" => "; is `secret_key` right?".to_owned(),
        "InvalidAccessKeyId" | "XAdminUserNotFound" => "; is `access_key` right?".to_owned(),
        "AccessDenied" => "; may this key read, write, list and delete there?".to_owned(),
        "NoSuchBucket" => "; make the bucket first".to_owned(),
        "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => {
            "; is `region` that of the bucket?".to_owned()
        }
        _ => String::new(),
    };
    match (code.is_empty(), said.is_empty()) {
        (true, _) => format!("the server answers {}{advice}", answer.status),
        (false, true) => format!("{code} ({}){advice}", answer.status.as_u16()),
        (false, false) => format!("{code} ({}): {said}{advice}", answer.status.as_u16()),
    }
}

impl SnapshotTarget for S3Target {
    fn put(&mut self, name: &str, content: &[u8]) -> Result<(), TargetError> {
        let body = Bytes::copy_from_slice(content);
        let asked = Asked { method: "PUT", name: Some(name), query: String::new(), body };
        self.send(&format!("writing {name}"), &asked).map(drop)
    }

    fn get(&mut self, name: &str, limit: usize) -> Result<Vec<u8>, TargetError> {
        let doing = format!("reading {name}");
        let asked = Asked { method: "GET", name: Some(name), query: String::new(), body: Bytes::new() };
        let answer = self.send(&doing, &asked)?;
        if answer.body.len() > limit {
            return Err(TargetError::new(doing, format!("it has more than {limit} bytes")));
        }
        Ok(answer.body.into())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<Stored>, TargetError> {
        let (mut found, mut token) = (Vec::new(), None);
        let wrong = |what: &str| TargetError::new(format!("listing {folder}"), what);
        loop {
            let page = self.list_page(folder, token.as_deref())?;
            let before = found.len();
            self.read_page(&page, &mut found).ok_or_else(|| wrong("the answer is no list of objects"))?;
            if xml::text(&page, "IsTruncated").as_deref() != Some("true") {
                break;
            }
            let next = xml::text(&page, "NextContinuationToken").map(Cow::into_owned);
            token = Some(next.ok_or_else(|| wrong("the list is cut off and does not say where it goes on"))?);
            if found.len() == before || found.len() > LIST_LIMIT {
                return Err(wrong("the list does not end"));
            }
        }
        found.sort_unstable_by(|a: &Stored, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn delete(&mut self, name: &str) -> Result<(), TargetError> {
        let asked = Asked { method: "DELETE", name: Some(name), query: String::new(), body: Bytes::new() };
        self.send(&format!("removing {name}"), &asked).map(drop)
    }

    fn place(&self) -> String {
        format!("s3://{}/{} at {}", self.options.bucket, self.prefix, self.server)
    }
}

/// A part must fit into one request and one answer.
const _: () = assert!(PART_LIMIT <= ANSWER_LIMIT);
