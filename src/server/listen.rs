//! The socket in the data directory and the address, and the threads behind them.

use super::control::Control;
use super::door::{Door, Guard};
use super::serve::{MOST_BUSY, Site};
use crate::clients::certificates::{Certificates, HANDSHAKE_TIME};
use crate::clients::http_server::accept;
use crate::clients::tls::TlsFiles;
use crate::config::Tokens;
use rustix::fs::{Mode, fchmod};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// The name of the socket in the data directory.
pub const SOCKET: &str = "control.sock";

/// The longest path of a socket, in bytes: the kernel has room for 108, and the last is zero.
const MAX_PATH: usize = 107;
/// Connections that may wait to be taken.
const BACKLOG: u32 = 16;

/// Connections at a time on the control socket; further ones wait to be taken.
const AT_SOCKET: usize = 16;
/// The same on an address.
const AT_ADDRESS: usize = 64;

/// How long requests that are being answered hold up the end.
const LEAVE: Duration = Duration::from_millis(500);

/// A server that answers until the value is dropped, which also removes its socket.
pub struct Server {
    path: Option<PathBuf>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An address that is listened on; nobody is answered yet.
pub struct Opened {
    listener: std::net::TcpListener,
    address: SocketAddr,
    tls: Option<Certificates>,
}

impl Opened {
    /// Listens on an address, and reads certificates where it is to speak TLS. A port of 0 lets the system choose one.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn open(address: SocketAddr, tls: Option<TlsFiles>) -> Result<Opened, String> {
        let tls = tls.map(Certificates::load).transpose()?;
        let failed = |error: io::Error| format!("cannot listen on {address}: {error}");
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Opened { listener, address, tls })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as people write it.
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.tls.is_some() { "s" } else { "" }, self.address)
    }
}

impl Server {
    /// Answers on `control.sock` in a data directory that is this process' own: what lies there of an earlier process is
    /// removed. Nobody but the user of this process, and root, can connect.
    ///
    /// # Errors
    /// Why there is no socket, naming it.
    pub fn start(data_dir: &Path, control: Arc<dyn Control>) -> Result<Server, String> {
        let path = data_dir.join(SOCKET);
        check_length(&path)?;
        let shown = path.display().to_string();
        let failed = |error: io::Error| format!("the control socket `{shown}`: {error}");
        remove_stale(&path).map_err(failed)?;
        let at = path.clone();
        let site = Arc::new(Site::new(control, Door::Socket));
        let begin = move || bind(&at);
        let server = Server::spawn(
            "control",
            AT_SOCKET,
            begin,
            async move |listener: UnixListener, room: Arc<Semaphore>| {
                let take = async || Ok(listener.accept().await?.0);
                accept(&room, take, |stream| site.clone().connection(stream)).await;
            },
        );
        let mut server = server.map_err(failed)?;
        server.path = Some(path);
        Ok(server)
    }

    /// Answers on an address those who pass a guard.
    ///
    /// # Errors
    /// Why nobody is answered.
    pub fn listen(opened: Opened, tokens: &Tokens, control: Arc<dyn Control>) -> Result<Server, String> {
        let Opened { listener, address, tls } = opened;
        let site = Arc::new(Site::new(control, Door::Address(Guard::new(address, tokens))));
        let begin = move || TcpListener::from_std(listener);
        let server = Server::spawn(
            "api",
            AT_ADDRESS,
            begin,
            async move |listener: TcpListener, room: Arc<Semaphore>| {
                let take = async || Ok(listener.accept().await?.0);
                let serve = |stream| over_tcp(site.clone(), stream, tls.as_ref().map(Certificates::acceptor));
                let watching = async {
                    match &tls {
                        Some(tls) => tls.watch("the API").await,
                        None => std::future::pending().await,
                    }
                };
                tokio::join!(accept(&room, take, serve), watching);
            },
        );
        server.map_err(|error| format!("cannot answer on {address}: {error}"))
    }

    /// Serves on a thread with a runtime of its own, so many connections at a time, once `begin` has succeeded there.
    fn spawn<L: 'static>(
        name: &str,
        connections: usize,
        begin: impl FnOnce() -> io::Result<L> + Send + 'static,
        serve: impl AsyncFnOnce(L, Arc<Semaphore>) + Send + 'static,
    ) -> io::Result<Server> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = channel();
        let work = move || {
            // They wait for the process. What is quick has room beside all that takes long.
            let blocking = 2 * MOST_BUSY;
            let built = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(blocking)
                .build();
            let runtime = match built {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            runtime.block_on(async {
                match begin() {
                    Err(error) => drop(tell.send(Err(error))),
                    Ok(listener) => {
                        drop(tell.send(Ok(())));
                        let room = Arc::new(Semaphore::new(connections));
                        tokio::select! {
                            _ = stopped => {}
                            () = serve(listener, room.clone()) => {}
                        }
                        // Who takes longer is left behind.
                        let _ = timeout(LEAVE, room.acquire_many(connections as u32)).await;
                    }
                }
            });
            // Whoever still waits for the process is left behind.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        let server = Server { path: None, stop: Some(stop), thread: Some(thread) };
        told.recv().unwrap_or_else(|_| Err(io::Error::other("its thread ended")))?;
        Ok(server)
    }
}

/// A connection that may speak TLS.
async fn over_tcp(site: Arc<Site>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // Answers are small, and each is waited for.
    let _ = stream.set_nodelay(true);
    match tls {
        None => site.connection(stream).await,
        Some(tls) => {
            // What went wrong is known at the other end.
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                site.connection(stream).await;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was said.
            let _ = thread.join();
        }
        if let Some(path) = &self.path {
            let _ = remove_stale(path);
        }
    }
}

/// Refuses a path that no socket can have, which the kernel would say less clearly.
pub fn check_length(path: &Path) -> Result<(), String> {
    let bytes = path.as_os_str().as_bytes().len();
    match bytes <= MAX_PATH {
        true => Ok(()),
        false => Err(format!(
            "the path of the control socket `{}` has {bytes} bytes, and a socket's can have {MAX_PATH}: choose a data \
             directory with a shorter path",
            path.display()
        )),
    }
}

/// Removes the socket of a process that is gone. Anything else of the name stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else has this name; move it away"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A socket for the user of this process alone from its first moment on: Linux gives the file the mode of the socket.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(path)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_too_long_is_said_to_be() {
        assert!(check_length(Path::new(&"a".repeat(MAX_PATH))).is_ok());
        let said = check_length(Path::new(&"a".repeat(MAX_PATH + 1))).unwrap_err();
        assert!(said.contains("has 108 bytes, and a socket's can have 107"), "{said}");
    }
}
