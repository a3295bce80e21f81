//! What verbs use to speak to a running process.

use super::listen::{SOCKET, check_length};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The most bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;
/// How long an answer may take: a little longer than the server allows itself.
const PATIENCE: Duration = Duration::from_secs(130);

/// What a process answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The status of HTTP.
    pub status: u16,
    /// What it said.
    pub body: Value,
}

/// Asks the process that uses a data directory. None if none does.
///
/// # Errors
/// Why there is no answer.
pub fn ask(data_dir: &Path, method: &str, path: &str) -> Result<Option<Answered>, String> {
    ask_with(data_dir, method, path, String::new())
}

/// The same with a body.
///
/// # Errors
/// Why there is no answer.
pub fn ask_with(data_dir: &Path, method: &str, path: &str, body: String) -> Result<Option<Answered>, String> {
    with_process(data_dir, async |stream, failed| {
        in_time(exchange(stream, method, path, body)).await.map_err(failed)
    })
}

/// Has `work` speak to the process that uses a data directory; what fails there is to be told by the function it is given,
/// which names the socket. None if no process does.
fn with_process<T>(
    data_dir: &Path,
    work: impl AsyncFnOnce(UnixStream, &dyn Fn(String) -> String) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let socket = data_dir.join(SOCKET);
    check_length(&socket)?;
    let failed = |why: String| format!("`{}`: {why}", socket.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    runtime.block_on(async {
        let stream = match UnixStream::connect(&socket).await {
            Ok(stream) => stream,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        work(stream, &failed).await.map(Some)
    })
}

/// What comes of it, unless that takes too long.
async fn in_time<T>(answer: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err("there was no answer in time".to_owned()))
}

/// The same for an answer of lines, of which `each` is given all but the last, which is the body. Where `each` fails, that is
/// why there is no answer. An answer of another status is whole in the body.
///
/// # Errors
/// Why there is no answer, or not all of it.
pub fn ask_lines(
    data_dir: &Path,
    path: &str,
    body: String,
    each: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<Option<Answered>, String> {
    with_process(data_dir, async |stream, failed| {
        let response = in_time(request(stream, "POST", path, body)).await.map_err(failed)?;
        let status = response.status().as_u16();
        let last = match status {
            200 => lines_of(response.into_body(), each).await?,
            _ => whole(response.into_body()).await.map_err(failed)?,
        };
        let body = serde_json::from_slice(&last).map_err(|_| failed("the answer is cut off".to_owned()))?;
        Ok(Answered { status, body })
    })
}

/// The same for what is only looked at, and for events as they come: of these the last line is empty, and no body.
///
/// # Errors
/// Why there is no answer, or not all of it.
pub fn watch_lines(
    data_dir: &Path,
    path: &str,
    each: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<Option<Answered>, String> {
    with_process(data_dir, async |stream, failed| {
        let response = in_time(request(stream, "GET", path, String::new())).await.map_err(failed)?;
        let status = response.status().as_u16();
        if status == 200 {
            lines_of(response.into_body(), each).await?;
            return Ok(Answered { status, body: Value::Null });
        }
        let body = whole(response.into_body()).await.map_err(failed)?;
        let body = serde_json::from_slice(&body).map_err(|_| failed("the answer is cut off".to_owned()))?;
        Ok(Answered { status, body })
    })
}

/// Gives all lines but the last, which is returned.
async fn lines_of(
    mut body: Incoming,
    each: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<Vec<u8>, String> {
    let (mut last, mut rest) = (Vec::new(), Vec::new());
    while let Ok(Some(frame)) = timeout(PATIENCE, body.frame()).await {
        let Some(block) = frame.ok().and_then(|frame| frame.into_data().ok()) else { break };
        rest.extend_from_slice(&block);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in rest[..whole].split_inclusive(|byte| *byte == b'\n') {
            let before = std::mem::replace(&mut last, line.to_vec());
            if !before.is_empty() {
                each(String::from_utf8_lossy(&before).trim_end())?;
            }
        }
        rest.drain(..whole);
        if rest.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(if rest.is_empty() { last } else { rest })
}

/// Whether nobody listens.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

async fn exchange(stream: UnixStream, method: &str, path: &str, body: String) -> Result<Answered, String> {
    let response = request(stream, method, path, body).await?;
    let status = response.status().as_u16();
    let body = whole(response.into_body()).await?;
    let body = serde_json::from_slice(&body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    Ok(Answered { status, body })
}

async fn whole(body: Incoming) -> Result<Vec<u8>, String> {
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes().to_vec())
}

async fn request(
    stream: UnixStream,
    method: &str,
    path: &str,
    body: String,
) -> Result<Response<Incoming>, String> {
    let said = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    // It ends with the runtime.
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header(HOST, "headwater");
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
    sender.send_request(request).await.map_err(said)
}
