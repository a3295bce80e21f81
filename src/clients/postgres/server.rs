//! Where a server is, as a URL says it.

use crate::clients::tls::TlsFiles;
use crate::config::Secrets;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long what was sent may stay unacknowledged by the other machine before the connection counts as lost.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Server {
    /// Who connects, for messages.
    pub who: String,
    /// The library's own description; it does not show the password.
    pub config: Config,
    /// The server and database, as messages may show it.
    pub shown: String,
    /// Certificates; None without TLS.
    pub tls: Option<TlsFiles>,
    /// What must not be shown.
    pub secrets: Secrets,
}

/// Reads a URL. Tells beside the configuration whether TLS is asked for; None if the URL does not say.
///
/// # Errors
/// What is wrong with it, as a hint.
pub fn parse(url: &str) -> Result<(Config, Option<bool>), String> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err("it is like `postgres://user@host:5432/database`".to_owned());
    }
    let (url, tls) = without_sslmode(url)?;
    let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        format!("{error}{}; it is like `postgres://user@host:5432/database`", cause.unwrap_or_default())
    })?;
    if config.get_hosts().is_empty() {
        return Err("it names no host".to_owned());
    }
    if config.get_user().is_none() {
        return Err("it names no user: `postgres://user@host:5432/database`".to_owned());
    }
    if config.get_application_name().is_none() {
        config.application_name("headwater");
    }
    config.connect_timeout(CONNECT).tcp_user_timeout(UNACKNOWLEDGED).keepalives_idle(UNACKNOWLEDGED);
    Ok((config, tls))
}

/// The URL without `sslmode`, and what that said: with TLS a certificate is always checked in full.
fn without_sslmode(url: &str) -> Result<(String, Option<bool>), String> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let (modes, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|part| part.starts_with("sslmode="));
    let tls = match modes.last().map(|mode| &mode["sslmode=".len()..]) {
        None => None,
        Some("disable") => Some(false),
        Some("require" | "verify-full") => Some(true),
        Some(other) => {
            return Err(format!(
                "`sslmode={other}` is neither `disable` nor `verify-full`: certificates are checked, or there are none"
            ));
        }
    };
    let url = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
    Ok((url, tls))
}

/// Sets whether a connection has TLS.
pub fn set_tls(config: &mut Config, tls: bool) {
    config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
}

/// The hosts and the database, without who connects.
pub fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgres://{}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_and_whether_with_tls() {
        let (config, tls) = parse("postgres://u:secret@db.plant.example/plant?sslmode=verify-full").unwrap();
        assert_eq!((shown(&config).as_str(), tls), ("postgres://db.plant.example:5432/plant", Some(true)));
        assert!(!format!("{config:?}").contains("secret"));
        let (config, tls) = parse("postgresql://u@10.0.0.1:5433?application_name=x&sslmode=disable").unwrap();
        assert_eq!((shown(&config).as_str(), tls), ("postgres://10.0.0.1:5433/u", Some(false)));
        assert_eq!(config.get_application_name(), Some("x"));
        assert_eq!(parse("postgres://u@h/d").unwrap().1, None);
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        for text in ["mysql://u@h/d", "postgres://", "postgres:///d", "postgres://h/d", "postgres://u@h:x/d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("postgres://u@h/d?sslmode=prefer").unwrap_err().contains("verify-full"));
    }
}
