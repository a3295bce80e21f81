//! What verbs use to speak to a running process.

use super::listen::{SOCKET, check_length};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
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
        match timeout(PATIENCE, exchange(stream, method, path, body)).await {
            Err(_) => Err(failed("there was no answer in time".to_owned())),
            Ok(answered) => answered.map(Some).map_err(failed),
        }
    })
}

/// Whether nobody listens.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

async fn exchange(stream: UnixStream, method: &str, path: &str, body: String) -> Result<Answered, String> {
    let said = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    // It ends with the runtime.
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header(HOST, "headwater");
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(said)?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    let body = serde_json::from_slice(&body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    Ok(Answered { status, body })
}
