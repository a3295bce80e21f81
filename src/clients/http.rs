//! HTTP/1.1 with one server: a connection that is kept, time limits, further tries, answers of bounded size.
//!
//! Calls block: who makes them has a thread for it.

use super::tls::TlsFiles;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::fmt;
use std::io;
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
    link: Link,
}

impl HttpClient {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// Certificates cannot be read, or the system refuses.
    pub fn new(server: HttpServer, options: HttpOptions, tls: &TlsFiles) -> Result<HttpClient, String> {
        let tls = server.secure.then(|| tls.load()).transpose()?.map(TlsConnector::from);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start a connection: {error}"))?;
        Ok(HttpClient { runtime, link: Link { server, options, tls, sender: None } })
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

struct Link {
    server: HttpServer,
    options: HttpOptions,
    tls: Option<TlsConnector>,
    /// The connection, as long as it holds.
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Link {
    async fn try_all(&mut self, make: &mut dyn FnMut() -> Request<Bytes>) -> Result<Answer, String> {
        let mut wait = FIRST_WAIT;
        for _ in 1..self.options.tries {
            match self.try_once(make()).await {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                _ => sleep(wait).await,
            }
            wait *= 2;
        }
        self.try_once(make()).await
    }

    async fn try_once(&mut self, request: Request<Bytes>) -> Result<Answer, String> {
        let sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => match timeout(CONNECT, self.connect()).await {
                Ok(connected) => {
                    connected.map_err(|error| format!("no connection to {}: {error}", self.server))?
                }
                Err(_) => return Err(format!("no connection to {}: it does not answer", self.server)),
            },
        };
        let exchanged = timeout(self.options.timeout, exchange(sender, request, self.options.answer_limit));
        match exchanged.await {
            Ok(Ok((answer, sender))) => {
                self.sender = Some(sender);
                Ok(answer)
            }
            Ok(Err(error)) => Err(format!("{}: {}", self.server, whole(&*error))),
            Err(_) => {
                let limit = self.options.timeout.as_secs();
                Err(format!("{}: no answer within {limit} s", self.server))
            }
        }
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
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

type Exchanged = Result<(Answer, SendRequest<Full<Bytes>>), Box<dyn Error + Send + Sync>>;

async fn exchange(mut sender: SendRequest<Full<Bytes>>, request: Request<Bytes>, limit: usize) -> Exchanged {
    sender.ready().await?;
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    if body.size_hint().lower() > limit as u64 {
        return Err(format!("an answer of more than {limit} bytes").into());
    }
    let body = Limited::new(body, limit).collect().await?.to_bytes();
    Ok((Answer { status: head.status, headers: head.headers, body }, sender))
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
        assert!(get(serve(vec![chunked]), 1).unwrap_err().contains("limit"));
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
