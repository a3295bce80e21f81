//! Connections and requests, each within its limits.

use super::control::Control;
use super::lines::{self, Lines};
use super::route::{self, Answer, Route};
use crate::clients::http_server::{self, BodyFault, accept};
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Connections at a time; further ones wait to be taken.
const MAX_CONNECTIONS: usize = 16;
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
/// How long a connection may last: a checkpoint of much state takes its time. Lines may take longer, as long as they are
/// taken.
const WHOLE_TIME: Duration = Duration::from_secs(120);

/// Takes connections until `stopped` resolves.
pub async fn serve(listener: UnixListener, control: Arc<dyn Control>, stopped: oneshot::Receiver<()>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let take = async || Ok(listener.accept().await?.0);
    tokio::select! {
        _ = stopped => {}
        () = accept(&room, take, |stream| connection(stream, control.clone())) => {}
    }
}

/// One request: whoever asks again connects again.
async fn connection(stream: UnixStream, control: Arc<dyn Control>) {
    let is_long = AtomicBool::new(false);
    let service = service_fn(|request| respond(request, control.clone(), &is_long));
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
    request: Request<Incoming>,
    control: Arc<dyn Control>,
    is_long: &AtomicBool,
) -> Result<Response<Either<Full<Bytes>, Lines>>, Infallible> {
    let answer = match route::route(request.method().as_str(), request.uri().path()) {
        Err(refused) => refused,
        Ok(_) if request.uri().query().is_some() => Answer::error(400, "nothing here takes a query"),
        Ok(route) => match read_body(request.into_body()).await {
            Err(refused) => refused,
            Ok(body) if !body.is_empty() && !route.takes_body() => {
                Answer::error(400, "nothing here takes a body")
            }
            Ok(body) => match route {
                Route::Keys(pipeline) => match lines::keys(pipeline, body, control).await {
                    Ok(lines) => {
                        is_long.store(true, Ordering::Relaxed);
                        return Ok(in_lines(lines));
                    }
                    Err(refused) => refused,
                },
                route => asked(route, body, control).await,
            },
        },
    };
    Ok(written(&answer).map(Either::Left))
}

/// Asks the process beside the runtime, as that may wait.
async fn asked(route: Route, body: Bytes, control: Arc<dyn Control>) -> Answer {
    let answer = tokio::task::spawn_blocking(move || route::answer(&route, &body, &*control)).await;
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

fn in_lines(lines: Lines) -> Response<Either<Full<Bytes>, Lines>> {
    let mut response = Response::new(Either::Right(lines));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

fn written(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{}\n", answer.body))));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(allow) = answer.allow {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}
