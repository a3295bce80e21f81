//! Certificates of a server that are taken up while it serves.

use super::tls::{Stamp, TlsFiles};
use rustls::ServerConfig;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// How long a client may take to agree on TLS.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How often certificates are looked at.
const TICK: Duration = Duration::from_secs(1);

/// What clients are shown, as it is now.
pub struct Certificates {
    files: TlsFiles,
    now: Mutex<(Stamp, Arc<ServerConfig>)>,
}

impl Certificates {
    /// Reads them.
    ///
    /// # Errors
    /// Which of the files cannot be used, and why.
    pub fn load(files: TlsFiles) -> Result<Certificates, String> {
        // Looked at before they are read: what changes meanwhile is read again.
        let now = Mutex::new((files.stamp(), files.load_for_server()?));
        Ok(Certificates { files, now })
    }

    /// What the next client is shown.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.now.lock().unwrap_or_else(PoisonError::into_inner).1.clone())
    }

    /// Takes them up when they change, for ever; `who` names the server in messages.
    pub async fn watch(&self, who: &str) {
        loop {
            sleep(TICK).await;
            let stamp = self.files.stamp();
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            if now.0 == stamp {
                continue;
            }
            now.0 = stamp;
            match self.files.load_for_server() {
                Ok(config) => {
                    now.1 = config;
                    tracing::info!("{who}: the certificates have changed: new connections get the new ones");
                }
                Err(why) => {
                    tracing::warn!(
                        "{who}: the changed certificates cannot be used, the old ones serve on: {why}"
                    );
                }
            }
        }
    }
}
