//! HTTP/1.1 with one server: a connection that is kept, time limits, further tries, answers of bounded size.
//!
//! Calls of [`HttpClient`] block: who makes them has a thread for it. What posts events, and keeps them until they are
//! taken, is in `http/`.

mod answer;
mod headers;
mod options;
mod outbox;
mod plan;
mod posting;
mod probe;
mod request;
mod sender;
mod url;

pub use answer::{asked_wait, excerpt};
pub use headers::{
    FixedHeaders, HEADERS, is_free_header, is_header_value, read_headers, refuse_two_authorisations,
};
pub use options::{AUTH, Authorisation, TIMEOUT, read_auth, read_posting, secret};
pub use plan::PostingPlan;
pub use posting::Posting;
pub use probe::{reach, rehearse};
pub use request::{Compose, Event, Fate, Job, Outgoing};
pub use url::{HttpUrl, escape, is_url};

use super::tls::{TlsFiles, explain_certificate};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// How long it may take until a connection stands.
const CONNECT: Duration = Duration::from_secs(15);

/// The wait behind the first try that failed; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// How a server is dealt with.
#[derive(Clone, Copy, Debug)]
pub struct HttpOptions {
    /// How long one try may take, from sending to the end of the answer.
    pub timeout: Duration,
    /// How often a request is tried that failed without the server having refused it; at least once.
    pub tries: u32,
    /// The most bytes of an answer's body.
    pub answer_limit: usize,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpServer {
    /// Whether it speaks TLS.
    pub secure: bool,
    /// Its name or address; one of version 6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl HttpServer {
    /// Reads `http://HOST[:PORT]` or `https://…`, with nothing behind but a slash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<HttpServer, String> {
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{url}` does not begin with https:// or http://")),
        };
        let host = uri.host().unwrap_or_default();
        let is_bare = uri.path() == "/" && uri.query().is_none();
        if host.is_empty() || !is_bare || uri.authority().is_some_and(|all| all.as_str().contains('@')) {
            return Err(format!("`{url}` is more or less than https://HOST:PORT"));
        }
        let has_port = uri.authority().is_some_and(|all| all.as_str().len() > host.len());
        if has_port && uri.port_u16().is_none() {
            return Err(format!("`{url}` has no port that is one"));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(HttpServer { secure, host, port })
    }

    /// What the header `Host` says: the port only where it is not the usual one.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// A client of one server.
pub struct HttpClient {
    runtime: Runtime,
    link: HttpLink,
}

impl HttpClient {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// Certificates cannot be read, or the system refuses.
    pub fn new(server: HttpServer, options: HttpOptions, tls: &TlsFiles) -> Result<HttpClient, String> {
        let tls = server.secure.then(|| tls.load()).transpose()?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start a connection: {error}"))?;
        Ok(HttpClient { runtime, link: HttpLink::new(server, options, tls) })
    }

    /// Sends a request and waits for the answer. Where there is none, or one that says that the server cannot just now
    /// (429 and 5xx), it is made and sent again; so it must be one that may arrive twice.
    ///
    /// # Errors
    /// Why there is no answer, after the last try.
    pub fn send(&mut self, make: &mut dyn FnMut() -> Request<Bytes>) -> Result<Answer, String> {
        let HttpClient { runtime, link } = self;
        runtime.block_on(link.try_all(make))
    }
}

/// A connection to one server, made when it is needed.
pub struct HttpLink {
    server: HttpServer,
    options: HttpOptions,
    tls: Option<TlsConnector>,
    /// The connection, as long as it holds.
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub struct NoAnswer {
    /// In words, with the server.
    pub text: String,
    /// Whether a connection ended before there was one.
    pub is_cut: bool,
}

/// What becomes of an answer whose body is longer than the limit.
#[derive(Clone, Copy, PartialEq)]
enum TooLong {
    /// It is an error.
    Fails,
    /// Its beginning is the answer.
    IsCut,
}

impl HttpLink {
    /// Nothing is connected yet.
    pub fn new(server: HttpServer, options: HttpOptions, tls: Option<Arc<ClientConfig>>) -> HttpLink {
        HttpLink { server, options, tls: tls.map(TlsConnector::from), sender: None }
    }

    /// The server.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }

    /// Whether there is a connection that was used before, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Connects, if that was not done yet.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect(&mut self) -> Result<(), NoAnswer> {
        let sender = self.sender().await?;
        self.sender = Some(sender);
        Ok(())
    }

    /// Sends a request once and waits for the answer. Of one whose body is longer than the limit there is the beginning.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&mut self, request: Request<Bytes>) -> Result<Answer, NoAnswer> {
        self.try_once(request, TooLong::IsCut).await
    }

    async fn try_all(&mut self, make: &mut dyn FnMut() -> Request<Bytes>) -> Result<Answer, String> {
        let mut wait = FIRST_WAIT;
        for _ in 1..self.options.tries {
            match self.try_once(make(), TooLong::Fails).await {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                _ => sleep(wait).await,
            }
            wait *= 2;
        }
        self.try_once(make(), TooLong::Fails).await.map_err(|failed| failed.text)
    }

    async fn sender(&mut self) -> Result<SendRequest<Full<Bytes>>, NoAnswer> {
        if let Some(sender) = self.sender.take().filter(|sender| !sender.is_closed()) {
            return Ok(sender);
        }
        let why = match timeout(CONNECT, self.begin()).await {
            Ok(Ok(sender)) => return Ok(sender),
            Ok(Err(error)) => explain(&error),
            Err(_) => "it does not answer".to_owned(),
        };
        Err(NoAnswer { text: format!("no connection to {}: {why}", self.server), is_cut: false })
    }

    async fn try_once(&mut self, request: Request<Bytes>, too_long: TooLong) -> Result<Answer, NoAnswer> {
        let sender = self.sender().await?;
        let exchange = exchange(sender, request, self.options.answer_limit, too_long);
        match timeout(self.options.timeout, exchange).await {
            Ok(Ok((answer, sender))) => {
                self.sender = sender;
                Ok(answer)
            }
            Ok(Err(error)) => {
                Err(NoAnswer { text: format!("{}: {}", self.server, whole(&*error)), is_cut: true })
            }
            Err(_) => {
                let limit = self.options.timeout.as_secs_f32();
                Err(NoAnswer { text: format!("{}: no answer within {limit} s", self.server), is_cut: false })
            }
        }
    }

    async fn begin(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.server.host.as_str(), self.server.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => begin(TokioIo::new(stream)).await,
            Some(tls) => {
                let name = ServerName::try_from(self.server.host.clone()).map_err(io::Error::other)?;
                begin(TokioIo::new(tls.connect(name, stream).await?)).await
            }
        }
    }
}

/// The connection's other half runs whenever a request is waited for.
async fn begin(io: impl Read + Write + Unpin + Send + 'static) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(io).await.map_err(io::Error::other)?;
    // Its errors are those of the requests.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

type Exchanged = Result<(Answer, Option<SendRequest<Full<Bytes>>>), Box<dyn Error + Send + Sync>>;

async fn exchange(
    mut sender: SendRequest<Full<Bytes>>,
    request: Request<Bytes>,
    limit: usize,
    too_long: TooLong,
) -> Exchanged {
    sender.ready().await?;
    let (head, mut rest) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let (status, headers) = (head.status, head.headers);
    if rest.size_hint().lower() > limit as u64 && too_long == TooLong::Fails {
        return Err(format!("an answer of more than {limit} bytes").into());
    }
    let mut body = Vec::new();
    while let Some(frame) = rest.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        body.extend_from_slice(&data);
        if body.len() > limit {
            match too_long {
                TooLong::Fails => return Err(format!("an answer of more than {limit} bytes").into()),
                TooLong::IsCut => {
                    body.truncate(limit);
                    return Ok((Answer { status, headers, body: body.into() }, None));
                }
            }
        }
    }
    Ok((Answer { status, headers, body: body.into() }, Some(sender)))
}

/// Why a connection could not be made.
fn explain(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(fault)), _) => explain_certificate(fault),
        (Some(rustls::Error::InvalidMessage(_)), _) => {
            "it does not speak TLS; is it `http://`, or another port?".to_owned()
        }
        (_, io::ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether the same request may be answered otherwise in a while.
fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// An error with its causes, which say more than it does.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    #[test]
    fn servers_are_read() {
        let server = HttpServer::parse("http://127.0.0.1:9000").unwrap();
        assert_eq!(
            (server.secure, server.port, server.authority().as_str()),
            (false, 9000, "127.0.0.1:9000")
        );
        assert_eq!(HttpServer::parse("https://s3.example/").unwrap().to_string(), "https://s3.example");
        let six = HttpServer::parse("https://[::1]:443").unwrap();
        assert_eq!((six.host.as_str(), six.authority().as_str()), ("::1", "[::1]"));
        for wrong in
            ["s3.example", "ftp://a", "https://a/b", "https://a?b=c", "https://u:p@a", "", "https://"]
        {
            assert!(HttpServer::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Gives each connection the next answer and closes it.
    fn serve(answers: Vec<&'static str>) -> HttpServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        HttpServer { secure: false, host: "127.0.0.1".to_owned(), port }
    }

    fn get(server: HttpServer, tries: u32) -> Result<Answer, String> {
        let options = HttpOptions { timeout: Duration::from_secs(5), tries, answer_limit: 10 };
        let mut client = HttpClient::new(server, options, &TlsFiles::default()).unwrap();
        client.send(&mut || Request::get("/").header("host", "here").body(Bytes::new()).unwrap())
    }

    #[test]
    fn what_passes_is_tried_again() {
        let busy = "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        let answer = get(serve(vec![busy, "", good]), 3).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"ok"[..]));
        assert_eq!(get(serve(vec![busy, busy]), 2).unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
        let refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        assert_eq!(get(serve(vec![refused, good]), 3).unwrap().status, StatusCode::FORBIDDEN);
    }

    #[test]
    fn answers_have_a_limit() {
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n01234567890";
        assert!(get(serve(vec![long]), 1).unwrap_err().contains("more than 10 bytes"));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n";
        assert!(get(serve(vec![chunked]), 1).unwrap_err().contains("more than 10 bytes"));
    }

    #[test]
    fn nobody_there_is_said() {
        let server = serve(vec![]);
        let error = get(server, 1).unwrap_err();
        assert!(
            error.starts_with("no connection to http://127.0.0.1:") || error.contains("connection"),
            "{error}"
        );
    }
}
