//! The socket in the data directory, and the thread behind it.

use super::control::Control;
use super::serve::serve;
use rustix::fs::{Mode, fchmod};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use tokio::net::{UnixListener, UnixSocket};
use tokio::sync::oneshot;

/// The name of the socket in the data directory.
pub const SOCKET: &str = "control.sock";

/// The longest path of a socket, in bytes: the kernel has room for 108, and the last is zero.
const MAX_PATH: usize = 107;
/// Connections that may wait to be taken.
const BACKLOG: u32 = 16;

/// A server that answers until the value is dropped, which also removes its socket.
pub struct Server {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
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
        let failed = |error: io::Error| format!("the control socket `{}`: {error}", path.display());
        remove_stale(&path).map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = channel();
        let at = path.clone();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                // They wait for the process; a checkpoint is all that takes long.
                .max_blocking_threads(4)
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            runtime.block_on(async {
                match bind(&at) {
                    Err(error) => drop(tell.send(Err(error))),
                    Ok(listener) => {
                        drop(tell.send(Ok(())));
                        serve(listener, control, stopped).await;
                    }
                }
            });
            // Whoever still waits for the process is left behind.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(work).map_err(failed)?;
        let server = Server { path: path.clone(), stop: Some(stop), thread: Some(thread) };
        match told.recv() {
            Ok(Ok(())) => Ok(server),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(format!("the control socket `{}`: its thread ended", path.display())),
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
        let _ = remove_stale(&self.path);
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
