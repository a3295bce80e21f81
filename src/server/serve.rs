//! Connections and requests, each within its limits.

use super::answer::Answer;
use super::control::Control;
use super::door::Door;
use super::lines::{self, Lines};
use super::route::{self, Asked, Handler, Route};
use super::tap;
use crate::clients::http_server::{self, BodyFault};
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// Bytes of a request's body.
const MAX_BODY: usize = 64 << 10;
/// How long a request may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The same for its body.
const BODY_TIME: Duration = Duration::from_secs(5);
/// How long a connection may last: a checkpoint of much state takes its time. Answers of any length may take longer, as long
/// as they are taken.
const WHOLE_TIME: Duration = Duration::from_secs(120);
/// Requests that have something done, at a time.
pub const MOST_BUSY: usize = 8;

/// What is behind a door.
pub struct Site {
    control: Arc<dyn Control>,
    door: Door,
    busy: Arc<Semaphore>,
}

type Responded = Response<Either<Full<Bytes>, Lines>>;

impl Site {
    /// A process behind a door.
    pub fn new(control: Arc<dyn Control>, door: Door) -> Site {
        Site { control, door, busy: Arc::new(Semaphore::new(MOST_BUSY)) }
    }

    /// One request: whoever asks again connects again, so that connections are requests in flight.
    pub async fn connection<S: AsyncRead + AsyncWrite + Unpin>(self: Arc<Site>, stream: S) {
        let is_long = AtomicBool::new(false);
        let service = service_fn(|request| self.respond(request, &is_long));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        // What went wrong on a connection is known at its other end.
        if timeout(WHOLE_TIME, &mut connection).await.is_err() && is_long.load(Ordering::Relaxed) {
            let _ = connection.await;
        }
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        is_long: &AtomicBool,
    ) -> Result<Responded, Infallible> {
        let media = |route: &'static Route| route.media;
        Ok(match self.answer(request).await {
            Ok((route, lines)) => {
                is_long.store(true, Ordering::Relaxed);
                headed(Response::new(Either::Right(lines)), media(route))
            }
            Err(answer) => written(&answer),
        })
    }

    /// An answer of any length, or a short one.
    async fn answer(&self, request: Request<Incoming>) -> Result<(&'static Route, Lines), Answer> {
        // Whoever is not known learns nothing of what there is.
        let role = self.door.role(request.headers())?;
        let (route, names) = route::find(request.method().as_str(), request.uri().path())?;
        self.door.pass(role, route.role, request.headers())?;
        let query = route.read_query(request.uri().query())?;
        let body = read_body(request.into_body()).await?;
        if !body.is_empty() && route.body.is_none() {
            return Err(Answer::error(400, "nothing here takes a body"));
        }
        let asked = Asked { names, query, body };
        let control = self.control.clone();
        match route.handler {
            Handler::Known(answer) => Err(beside(move || answer(&asked, &*control)).await),
            Handler::Done(answer) => {
                let room = self.room()?;
                let answer = beside(move || answer(&asked, &*control)).await;
                drop(room);
                Err(answer)
            }
            Handler::Keys => {
                let _room = self.room()?;
                Ok((route, lines::keys(asked, control).await?))
            }
            // They are few by themselves, and nobody waits for them.
            Handler::Tap => Ok((route, tap::events(asked, control).await?)),
        }
    }

    /// Room for a request that has something done.
    fn room(&self) -> Result<impl Drop + use<>, Answer> {
        let too_many = || Answer::error(503, "too much is asked for at a time: ask again");
        self.busy.clone().try_acquire_owned().map_err(|_| too_many())
    }
}

/// Asks the process beside the runtime, as that may wait.
async fn beside(answer: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    let answer = tokio::task::spawn_blocking(answer).await;
    answer.unwrap_or_else(|_| Answer::error(500, "the process failed to answer"))
}

/// The body, within limits of size and time.
async fn read_body(body: Incoming) -> Result<Bytes, Answer> {
    http_server::read_body(body, MAX_BODY, BODY_TIME).await.map_err(|fault| match fault {
        BodyFault::TooSlow => Answer::error(408, "the body did not arrive in time"),
        BodyFault::TooLong => Answer::error(413, format!("the body is longer than {MAX_BODY} bytes")),
        BodyFault::Broken => Answer::error(400, "the body did not arrive"),
    })
}

/// With the headers that all answers have: what is said now is not said for later, and is what it says to be.
fn headed<B>(mut response: Response<B>, media: &'static str) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn written(answer: &Answer) -> Responded {
    let (media, text) = answer.written();
    let mut response = headed(Response::new(Either::Left(Full::new(Bytes::from(text)))), media);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some((name, value)) = &answer.header
        && let Ok(value) = HeaderValue::from_str(value)
    {
        response.headers_mut().insert(*name, value);
    }
    response
}
