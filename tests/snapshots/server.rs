//! A server that speaks S3: versitygw, which checks signatures and times as Amazon does.

use crate::common::{Folder, until};
use headwater::clients::hidden::Hidden;
use headwater::clients::s3::{S3Options, S3Target};
use headwater::time::{Clock, SystemClock};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

pub const ACCESS_KEY: &str = "gateway";
pub const SECRET_KEY: &str = "a secret/with+signs";
pub const BUCKET: &str = "plant";

/// A server with one bucket, which is a folder of its own.
pub struct Server {
    pub folder: Folder,
    pub port: u16,
    binary: PathBuf,
    tls: bool,
    child: Child,
}

impl Server {
    /// None where the server is not installed, which is said; a fault in CI.
    pub fn start() -> Option<Server> {
        Server::start_with(false)
    }

    /// The same with TLS, for the name localhost; the certificate is `ca.pem` in the server's folder.
    pub fn start_secure() -> Option<Server> {
        Server::start_with(true)
    }

    fn start_with(tls: bool) -> Option<Server> {
        let Some(binary) = find() else {
            assert!(std::env::var_os("CI").is_none(), "versitygw is not there: run tests/setup.sh");
            eprintln!("NOT RUN: versitygw is not there, tests/setup.sh brings it");
            return None;
        };
        let folder = Folder::empty();
        std::fs::create_dir_all(folder.path().join("data").join(BUCKET)).unwrap();
        if tls {
            make_certificate(folder.path());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(&binary, folder.path(), port, tls);
        let server = Server { folder, port, binary, tls, child };
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        until("the server listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Ends it at once, as a power cut does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        self.child = spawn(&self.binary, self.folder.path(), self.port, self.tls);
        self.wait();
    }

    pub fn endpoint(&self) -> String {
        match self.tls {
            true => format!("https://localhost:{}", self.port),
            false => format!("http://127.0.0.1:{}", self.port),
        }
    }

    pub fn options(&self) -> S3Options {
        S3Options {
            prefix: "backup/site 1+2".to_owned(),
            endpoint: Some(self.endpoint()),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: Hidden(SECRET_KEY.to_owned()),
            ..S3Options::of(BUCKET)
        }
    }

    pub fn target(&self) -> S3Target {
        open(self.options())
    }

    /// What is kept, as the server keeps it.
    pub fn kept(&self) -> PathBuf {
        self.folder.path().join("data").join(BUCKET)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been ended by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn open(options: S3Options) -> S3Target {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    S3Target::new(options, clock).unwrap()
}

fn find() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/versitygw");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&path).map(|folder| folder.join("versitygw"));
    std::iter::once(own).chain(all).find(|path| path.is_file())
}

fn spawn(binary: &Path, folder: &Path, port: u16, tls: bool) -> Child {
    std::fs::create_dir_all(folder.join("meta")).unwrap();
    let mut command = Command::new(binary);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.args(["--access", ACCESS_KEY, "--secret", SECRET_KEY, "--quiet", "--keep-alive"]);
    command.args(["--port", &format!("127.0.0.1:{port}")]);
    if tls {
        command.arg("--cert").arg(folder.join("ca.pem")).arg("--key").arg(folder.join("key.pem"));
    }
    // Not every file system of those who test has extended attributes.
    // It works in the folder of its data.
    let (meta, data) = (folder.join("meta"), folder.join("data"));
    command.args(["posix", "--sidecar"]).arg(meta).arg(data).spawn().unwrap()
}

fn make_certificate(folder: &Path) {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-keyout", "key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
}
