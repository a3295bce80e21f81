//! HTTP/1.1 from the other side: connections are taken and bodies are read, each within its limits.
//!
//! A server that listens on an address of its own has a thread with a runtime, tries again while the address is taken, and
//! takes up certificates that change.

use super::certificates::{Certificates, HANDSHAKE_TIME};
use super::tls::TlsFiles;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// The wait where no connection can be taken, as when the process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the head of a request may take to arrive, and a connection may be silent between two requests.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// The first wait where the address cannot be had; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest of them.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long requests that are being answered hold up the end.
const LEAVE: Duration = Duration::from_millis(500);

/// Takes connections for ever, so many at a time; further ones wait to be taken.
pub async fn accept<S, C: Future<Output = ()> + Send + 'static>(
    room: &Arc<Semaphore>,
    take: impl AsyncFn() -> io::Result<S>,
    serve: impl Fn(S) -> C,
) {
    loop {
        // The semaphore is never closed.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match take().await {
            Ok(stream) => {
                let connection = serve(stream);
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// It is longer than it may be.
    TooLong,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

/// Reads a body of at most so many bytes.
///
/// # Errors
/// Why there is none.
pub async fn read_body<B>(body: B, most: usize, within: Duration) -> Result<Bytes, BodyFault>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    match timeout(within, Limited::new(body, most).collect()).await {
        Err(_) => Err(BodyFault::TooSlow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyFault::TooLong),
        Ok(Err(_)) => Err(BodyFault::Broken),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Who listens, for messages.
    pub who: String,
    /// The address; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// Its certificate and key, and who signs those of clients, where it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Connections at a time; further ones wait to be taken.
    pub connections: usize,
}

impl Listening {
    /// Why there is no listening.
    pub fn failure(&self, error: &io::Error) -> String {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => ": another process, or another source, listens there",
            io::ErrorKind::AddrNotAvailable => ": this machine has no such address",
            io::ErrorKind::PermissionDenied => {
                ": a port below 1024 needs the capability CAP_NET_BIND_SERVICE"
            }
            _ => "",
        };
        format!("cannot listen on {}: {error}{hint}", self.address)
    }
}

/// A server that answers until it is stopped.
pub struct HttpServing {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    first: Receiver<Result<(), String>>,
}

impl HttpServing {
    /// Starts to listen; where that fails it is told, and tried again.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start<F, A>(listening: Listening, answer: F) -> Result<HttpServing, String>
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let cannot = |error: io::Error| format!("cannot start to listen: {error}");
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let (stop, stopped) = watch::channel(false);
        let (tell, first) = channel();
        let thread = std::thread::Builder::new().name("http".to_owned());
        let work = move || runtime.block_on(listen(&listening, answer, stopped, &tell));
        Ok(HttpServing { stop, thread: Some(thread.spawn(work).map_err(cannot)?), first })
    }

    /// Waits until the first attempt to listen has succeeded or failed.
    ///
    /// # Errors
    /// Why it failed.
    pub fn first_attempt(&self) -> Result<(), String> {
        self.first.recv().unwrap_or_else(|_| Err("its thread ended".to_owned()))
    }

    /// Takes no more requests, lets answers leave that are there already, and ends the thread; takes little time.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was said.
            let _ = thread.join();
        }
    }
}

impl Drop for HttpServing {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen<F, A>(
    listening: &Listening,
    answer: F,
    stopped: watch::Receiver<bool>,
    tell: &Sender<Result<(), String>>,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(listening.connections));
    let mut over = stopped.clone();
    tokio::select! {
        // The sender lives as long as this thread is waited for.
        _ = over.wait_for(|stopped| *stopped) => return leave(listening, &room).await,
        () = take_all(listening, answer, &stopped, &room, tell) => {}
    }
}

/// Lets connections end that are being answered.
async fn leave(listening: &Listening, room: &Semaphore) {
    let all = u32::try_from(listening.connections).unwrap_or(u32::MAX);
    // Who takes longer is left behind.
    let _ = timeout(LEAVE, room.acquire_many(all)).await;
}

async fn take_all<F, A>(
    listening: &Listening,
    answer: F,
    stopped: &watch::Receiver<bool>,
    room: &Arc<Semaphore>,
    tell: &Sender<Result<(), String>>,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let (listener, tls) = begin(listening, tell).await;
    let connection = |stream| {
        let tls = tls.as_ref().map(Certificates::acceptor);
        connection(stream, tls, answer.clone(), stopped.clone())
    };
    let take = async || Ok(listener.accept().await?.0);
    let watching = async {
        match &tls {
            Some(tls) => tls.watch(&listening.who).await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(accept(room, take, connection), watching);
}

/// Listens, however often it has to be tried.
async fn begin(
    listening: &Listening,
    tell: &Sender<Result<(), String>>,
) -> (TcpListener, Option<Certificates>) {
    let (mut wait, mut said) = (FIRST_WAIT, String::new());
    loop {
        match try_begin(listening).await {
            Ok(begun) => {
                let scheme = if begun.1.is_some() { "https" } else { "http" };
                let address = begun.0.local_addr().unwrap_or(listening.address);
                tracing::info!("{}: listens on {scheme}://{address}", listening.who);
                // Who does not wait for it has let go of the other end.
                let _ = tell.send(Ok(()));
                return begun;
            }
            Err(why) => {
                if said != why {
                    tracing::warn!("{}: {why}; trying again", listening.who);
                    said.clone_from(&why);
                }
                let _ = tell.send(Err(why));
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn try_begin(listening: &Listening) -> Result<(TcpListener, Option<Certificates>), String> {
    let tls = listening.tls.clone().map(Certificates::load).transpose()?;
    let listener = TcpListener::bind(listening.address).await.map_err(|error| listening.failure(&error))?;
    Ok((listener, tls))
}

async fn connection<F, A>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    answer: F,
    stopped: watch::Receiver<bool>,
) where
    F: Fn(Request<Incoming>) -> A + Send + Sync,
    A: Future<Output = Response<Full<Bytes>>> + Send,
{
    // Answers are small, and each is waited for.
    let _ = stream.set_nodelay(true);
    match tls {
        None => requests(stream, answer, stopped).await,
        Some(tls) => {
            // What went wrong is known at the other end.
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                requests(stream, answer, stopped).await;
            }
        }
    }
}

async fn requests<S, F, A>(stream: S, answer: F, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answered = answer(request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // What went wrong on a connection is known at its other end.
    tokio::select! {
        _ = &mut connection => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
