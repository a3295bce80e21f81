//! What becomes of a request, and what its client is told.

use super::body::{self, Encoding};
use super::inbox::{Inbox, Request};
use super::rate::Rate;
use crate::clients::hidden::Hidden;
use crate::clients::http_server::{BodyFault, read_body};
use crate::time::{Clock, SystemClock};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);
/// After how many seconds it is worth while to try again where too much waits.
const TRY_AGAIN: u64 = 1;

/// Which requests are taken.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The path that events go to.
    pub path: String,
    /// The method.
    pub method: Method,
    /// What clients prove themselves with.
    pub token: Option<Hidden>,
    /// Bytes of a body, also as it is behind its packing.
    pub max_body: usize,
    /// Requests a second.
    pub rate_limit: Option<u64>,
    /// Whether bodies of forms become JSON.
    pub reads_forms: bool,
}

/// Takes requests.
pub struct Service {
    terms: Terms,
    /// The headers that expressions ask for, as those write them.
    headers: Vec<String>,
    rate: Option<Mutex<Rate>>,
    clock: SystemClock,
    inbox: Arc<Inbox>,
}

/// Why a request is not taken.
pub struct Refusal {
    status: StatusCode,
    why: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// With this status, because of that.
    pub fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status, why: why.into(), header: None }
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Refusal {
        Refusal { header: Some((name, value)), ..self }
    }

    /// May be tried again in so many seconds.
    fn again(self, seconds: u64) -> Refusal {
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    fn is_for_now(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    fn response(self) -> Response<Full<Bytes>> {
        let body = format!("{}\n", serde_json::json!({ "error": self.why }));
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.header.into_iter().for_each(|(name, value)| _ = response.headers_mut().insert(name, value));
        response
    }
}

impl Service {
    /// What takes requests on these terms.
    pub fn new(terms: Terms, headers: Vec<String>, inbox: Arc<Inbox>) -> Service {
        let rate = terms.rate_limit.map(|most| Mutex::new(Rate::per_second(most)));
        Service { terms, headers, rate, clock: SystemClock::new(), inbox }
    }

    /// Answers a request.
    pub async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Response<Full<Bytes>> {
        match self.take(request).await {
            Ok(()) => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::ACCEPTED;
                response
            }
            Err(refusal) => {
                let what = if refusal.is_for_now() { "requests put off" } else { "requests refused" };
                self.inbox.note(what);
                refusal.response()
            }
        }
    }

    /// Takes a request; comes back when it is safe.
    async fn take(&self, request: hyper::Request<Incoming>) -> Result<(), Refusal> {
        let (head, body) = request.into_parts();
        let encoding = self.judge(&head)?;
        let most = self.terms.max_body;
        let too_long = || {
            let why = format!("the body is longer than {most} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
        };
        let length = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if length.is_some_and(|length| length > most) {
            return Err(too_long());
        }
        let unpacked = if encoding == Encoding::Gzip { most } else { 0 };
        let room = self.inbox.room(length.unwrap_or(most) + unpacked).ok_or_else(|| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too much waits").again(TRY_AGAIN)
        })?;
        let body = read_body(body, most, BODY_TIME).await.map_err(|fault| match fault {
            BodyFault::TooLong => too_long(),
            BodyFault::TooSlow => {
                Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
            }
            BodyFault::Broken => Refusal::new(StatusCode::BAD_REQUEST, "the body did not arrive"),
        })?;
        let body = match encoding {
            Encoding::Gzip => body::unpack(&body, most)?.ok_or_else(too_long)?,
            Encoding::Plain => body,
        };
        let is_form = self.terms.reads_forms && body::is_form(&head.headers);
        let body = body::read(body, is_form)?;
        let told = self.inbox.push(Request { body, headers: self.asked(&head.headers) });
        let heard = told.await;
        drop(room);
        heard.map_err(|_| {
            let why = "the process stops: it is not known whether this was taken";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why).again(TRY_AGAIN)
        })
    }

    /// Judges a request by its head, and says what its body is packed with.
    fn judge(&self, head: &Parts) -> Result<Encoding, Refusal> {
        let Terms { path, method, token, .. } = &self.terms;
        if head.uri.path() != path {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing here"));
        }
        if head.method != method {
            let allow = HeaderValue::from_str(method.as_str());
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("events come by {method}"));
            return Err(allow.into_iter().fold(refusal, |refusal, allow| refusal.with(ALLOW, allow)));
        }
        if token.as_ref().is_some_and(|token| !bearer(&head.headers).is_some_and(|claimed| token.is(claimed)))
        {
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "this takes `Authorization: Bearer TOKEN`");
            return Err(refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if token.is_none() && is_of_a_page(&head.headers) {
            let why = "pages of a browser may send events only with a `token`";
            return Err(Refusal::new(StatusCode::FORBIDDEN, why));
        }
        let encoding = Encoding::of(&head.headers).ok_or_else(|| {
            let refusal =
                Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body is plain, or packed by gzip");
            refusal.with(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
        })?;
        if let Some(rate) = &self.rate {
            let now = self.clock.nanos();
            rate.lock().unwrap_or_else(PoisonError::into_inner).take(now).map_err(|wait| {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Refusal::new(StatusCode::TOO_MANY_REQUESTS, "more requests than `rate_limit`").again(seconds)
            })?;
        }
        Ok(encoding)
    }

    /// The headers that somebody asks for; one that came several times is one with commas.
    fn asked(&self, headers: &HeaderMap) -> Vec<(String, Bytes)> {
        let found = |name: &String| {
            let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            (!values.is_empty()).then(|| (name.clone(), Bytes::from(values.join(&b", "[..]))))
        };
        self.headers.iter().filter_map(found).collect()
    }
}

/// Whether a browser sends it for a page. Any page may have it post to this machine, so that being allowed to connect proves
/// nothing of who is behind it; browsers say so, and pages cannot keep them from that.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    headers.contains_key(ORIGIN) || site.is_some_and(|site| site.eq_ignore_ascii_case(b"cross-site"))
}

/// What a client proves itself with.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}
