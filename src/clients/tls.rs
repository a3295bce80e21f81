//! Certificates and keys from PEM files, looked at again when they change.

use crate::config::{Setting, read};
use crate::dataflow::{NodePlanner, OptionKind, OptionSpec, open_options};
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Certificates, as an option of a connector.
pub const TLS: OptionSpec = OptionSpec::optional(
    "tls",
    OptionKind::Options(TLS_OPTIONS),
    "Certificates, in PEM files; they are watched, and a change is taken up.",
);

const TLS_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "ca",
        OptionKind::Path,
        "Who may have signed the server's certificate; absent: whom the system trusts.",
    ),
    OptionSpec::optional("cert", OptionKind::Path, "The client's own certificate."),
    OptionSpec::optional("key", OptionKind::Path, "Its key."),
];

/// Certificates of a server, as an option of a connector.
pub const SERVER_TLS: OptionSpec = OptionSpec::optional(
    "tls",
    OptionKind::Options(SERVER_TLS_OPTIONS),
    "Speaks TLS. The files are PEM; they are watched, and a change is taken up.",
);

const SERVER_TLS_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "cert",
        OptionKind::Path,
        "Our certificate, with those between it and its root behind it.",
    ),
    OptionSpec::required("key", OptionKind::Path, "Its key."),
    OptionSpec::optional(
        "ca",
        OptionKind::Path,
        "Who must have signed the certificates of clients; absent: clients need none.",
    ),
];

/// Where certificates stand. All optional: without `ca` those that the system trusts are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who may have signed the server's certificate.
    pub ca: Option<PathBuf>,
    /// Our own certificate, with those between it and its root, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// What tells a changed file from an unchanged one: its identity, length and time of change. None if it is not there.
pub type Stamp = Vec<Option<(u64, u64, i64, i64)>>;

impl TlsFiles {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let own = self.own.iter().flat_map(|(cert, key)| [cert, key]);
        self.ca.iter().chain(own).map(PathBuf::as_path)
    }

    /// How the files look now.
    pub fn stamp(&self) -> Stamp {
        let look = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        };
        self.paths().map(look).collect()
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn load(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        for certificate in self.trusted()? {
            // Systems carry certificates that no longer are any; those given by name must all be good.
            if roots.add(certificate).is_err()
                && let Some(path) = &self.ca
            {
                return Err(format!("`{}` holds something that is no certificate", path.display()));
            }
        }
        if roots.is_empty() {
            return Err("this system trusts no certificates: give `tls: { ca: … }`".to_owned());
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(roots);
        let config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                let secret = private_key(key)?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| unlike(cert, key, &error))?
            }
        };
        Ok(Arc::new(config))
    }

    /// Reads the files as a server uses them: `ca` says who must have signed the certificates of clients.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn load_for_server(&self) -> Result<Arc<ServerConfig>, String> {
        let Some((cert, key)) = &self.own else { return Err("a server needs `cert` and `key`".to_owned()) };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?;
        let builder = match &self.ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let bad = || format!("`{}` holds something that is no certificate", path.display());
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|_| bad())?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|_| bad())?)
            }
        };
        let config = builder.with_single_cert(certificates(cert)?, private_key(key)?);
        config.map(Arc::new).map_err(|error| unlike(cert, key, &error))
    }

    fn trusted(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        match &self.ca {
            Some(path) => certificates(path),
            None => Ok(rustls_native_certs::load_native_certs().certs),
        }
    }
}

/// Reads the option [`SERVER_TLS`].
pub fn read_server_tls(planner: &NodePlanner<'_>, setting: Setting<'_>) -> Option<TlsFiles> {
    let section = open_options(setting, "`tls`", SERVER_TLS_OPTIONS, &[]);
    let path = |setting: Setting<'_>| read::text(setting).map(|path| planner.folder.join(path));
    let (cert, key) = (section.required("cert", path), section.required("key", path));
    let ca: Option<PathBuf> = section.optional("ca", path);
    Some(TlsFiles { ca, own: Some((cert?, key?)) })
}

/// Reads the option [`TLS`].
pub fn read_tls(planner: &NodePlanner<'_>, setting: Setting<'_>) -> Option<TlsFiles> {
    let section = open_options(setting, "`tls`", TLS_OPTIONS, &[]);
    let path = |setting: Setting<'_>| read::text(setting).map(|path| planner.folder.join(path));
    let ca: Option<PathBuf> = section.optional("ca", path);
    let (cert, key) = (section.optional("cert", path), section.optional("key", path));
    if let (Some(alone), None) | (None, Some(alone)) = (section.get("cert"), section.get("key")) {
        let reported = alone.faults.error(alone.key, "`cert` and `key` go together");
        reported.hint("a certificate proves nothing without the private key that belongs to it");
        return None;
    }
    Some(TlsFiles { ca, own: cert.zip(key) })
}

/// Why a server's certificate is not good enough, and what can be done.
pub fn explain_certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired and must be renewed".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "nobody knows who signed the server's certificate; name them by `tls: { ca: … }`".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name than the host in `url`".to_owned()
        }
        other => format!("the server's certificate is not good: {other}"),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("there is no certificate in `{}`", path.display()))
        }
        read => read.map_err(|error| unusable(path, "certificate", error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unusable(path, "key", error))
}

fn unlike(cert: &Path, key: &Path, error: &rustls::Error) -> String {
    format!("`{}` and `{}` do not go together: {error}", cert.display(), key.display())
}

fn unusable(path: &Path, what: &str, error: PemError) -> String {
    match error {
        PemError::Io(error) => format!("`{}` cannot be read: {error}", path.display()),
        PemError::NoItemsFound => format!("there is no {what} in `{}`", path.display()),
        error => format!("the {what} in `{}` cannot be read: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = std::env::temp_dir().join(format!("headwater-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("ca.pem");
        let tls = TlsFiles { ca: Some(file.clone()), own: None };
        let before = tls.stamp();
        assert_eq!(before, [None]);
        assert!(tls.load().unwrap_err().contains("cannot be read"));
        std::fs::write(&file, "nothing").unwrap();
        assert!(tls.load().unwrap_err().starts_with("there is no certificate in `"));
        assert_ne!(tls.stamp(), before);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
