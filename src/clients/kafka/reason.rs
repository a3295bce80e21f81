//! Why something failed, in words that say what to do.

use super::address::named_in;
use super::connection::Connection;
use rdkafka::types::RDKafkaErrorCode as Code;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, Error as TlsError};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a broker is asked for its certificate.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an error of a client as a whole means. None for one that passes by itself and tells nothing.
pub fn of_connection(code: Code, text: &str, connection: &Connection) -> Option<String> {
    Some(match code {
        Code::Authentication | Code::SaslAuthenticationFailed => unauthorised(text, connection),
        Code::SSL => encrypted(text, connection),
        Code::Resolve => format!("its name is not known to this network: {}", last_part(text)),
        Code::BrokerTransportFailure | Code::AllBrokersDown => transport(text, connection),
        Code::OperationTimedOut | Code::RequestTimedOut => "no answer".to_owned(),
        Code::UnsupportedSASLMechanism => mechanism(connection),
        Code::ClusterAuthorizationFailed => {
            "this user may not do that in this cluster: it needs an ACL (IdempotentWrite, Describe)"
                .to_owned()
        }
        Code::UnsupportedVersion | Code::UnsupportedFeature => {
            format!("the broker is too old or lacks something: {}", last_part(text))
        }
        Code::Fatal => last_part(text).to_owned(),
        _ => return None,
    })
}

/// Why a topic cannot be used; `right` is what the user needs for it: `Read`.
pub fn of_topic(code: Code, topic: &str, right: &str) -> String {
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            format!("there is no topic `{topic}`: create it, or is its name right?")
        }
        Code::TopicAuthorizationFailed => format!(
            "this user may not use the topic `{topic}`: it needs an ACL that allows {right} and Describe on it"
        ),
        Code::InvalidTopic => {
            format!(
                "`{topic}` cannot be the name of a topic: letters, digits, `.`, `_` and `-`, 249 at the most"
            )
        }
        Code::LeaderNotAvailable => format!("no broker leads the topic `{topic}` at the moment"),
        other => format!("the topic `{topic}` cannot be used: {other}"),
    }
}

/// Why a consumer group cannot be used.
pub fn of_group(code: Code) -> String {
    match code {
        Code::GroupAuthorizationFailed => {
            "this user may not use the group: it needs an ACL that allows Read on it".to_owned()
        }
        other => other.to_string(),
    }
}

/// Why transactions cannot be used.
pub fn of_transaction(code: Code, id: &str) -> String {
    match code {
        Code::TransactionalIdAuthorizationFailed => format!(
            "this user may not write transactions as `{id}`: it needs an ACL that allows Write and Describe on \
             that transactional id"
        ),
        other => format!("no transactions as `{id}`: {other}"),
    }
}

fn unauthorised(text: &str, connection: &Connection) -> String {
    if text.contains("Unsupported SASL mechanism") || text.contains("mechanism handshake failed") {
        return format!("{}: {}", mechanism(connection), last_part(text));
    }
    let what = match &connection.sasl {
        Some(sasl) if sasl.mechanism() == "OAUTHBEARER" => {
            "the token: is `sasl: { token }` right and not over?"
        }
        Some(_) => "the user or password: are `sasl: { username, password }` right?",
        None => "us without a user: it wants `sasl`",
    };
    format!("the broker refuses {what} ({})", last_part(text))
}

fn mechanism(connection: &Connection) -> String {
    let name = connection.sasl.as_ref().map_or("none", |sasl| sasl.mechanism());
    format!("the broker does not take `mechanism: {name}`")
}

fn transport(text: &str, connection: &Connection) -> String {
    // A connection that has ended with an alert, or in the middle of the handshake.
    if text.contains("SSL routines") {
        return encrypted(text, connection);
    }
    if text.contains("Connection refused") {
        return "nothing listens there".to_owned();
    }
    let hint = match (connection.tls.is_some(), connection.sasl.is_some()) {
        (true, _) if text.contains("PLAINTEXT") => ": does it speak TLS on that port?",
        (false, _) if text.contains("connection closed") || text.contains("Disconnected while") => {
            ": does that port want `tls` or `sasl`?"
        }
        _ => "",
    };
    format!("{}{hint}", last_part(text))
}

/// What librdkafka says behind the name of the broker, without its counting.
fn last_part(text: &str) -> &str {
    let text = match named_in(text) {
        Some(_) => {
            text.split_once("://").and_then(|(_, rest)| rest.split_once(": ")).map_or(text, |(_, t)| t)
        }
        None => text,
    };
    text.split(" (after ").next().unwrap_or(text).trim()
}

/// What a broker says of our own certificate. It does so when the connection stands already.
fn refused_certificate(text: &str, connection: &Connection) -> Option<String> {
    let alerts = [
        "certificate expired",
        "certificate unknown",
        "bad certificate",
        "certificate required",
        "unknown ca",
    ];
    let lower = text.to_ascii_lowercase();
    let alert = alerts.iter().find(|alert| lower.contains("alert") && lower.contains(*alert))?;
    Some(match connection.tls.as_ref().is_some_and(|tls| tls.own.is_some()) {
        true => format!(
            "the broker refuses our certificate ({alert}): is `tls: {{ cert }}` still valid, and signed by whom it trusts?"
        ),
        false => format!("the broker wants a certificate of ours ({alert}): give `tls: {{ cert, key }}`"),
    })
}

/// What is wrong with the encryption. librdkafka does not say why a certificate does not hold, so the broker is asked
/// for it again.
fn encrypted(text: &str, connection: &Connection) -> String {
    let lower = text.to_ascii_lowercase();
    let verified = lower.contains("certificate verify failed") || lower.contains("could not be verified");
    if verified {
        let found = named_in(text).and_then(|(host, port)| ask_for_certificate(host, port, connection));
        return found.unwrap_or_else(|| {
            "its certificate cannot be verified: is `tls: { ca }` whom it was signed by?".to_owned()
        });
    }
    if let Some(reason) = refused_certificate(text, connection) {
        return reason;
    }
    if lower.contains("wrong version number") {
        return "it does not speak TLS on that port".to_owned();
    }
    format!("TLS: {}", last_part(text))
}

/// Shakes hands with a broker by the other library for TLS, which tells what it finds wrong.
fn ask_for_certificate(host: &str, port: u16, connection: &Connection) -> Option<String> {
    let tls = connection.tls.as_ref()?;
    let config = match tls.load() {
        Ok(config) => config,
        Err(reason) => return Some(reason),
    };
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let address = (host, port).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut client = ClientConnection::new(config, name).ok()?;
    while client.is_handshaking() {
        match client.complete_io(&mut stream) {
            // It has ended the conversation.
            Ok((0, 0)) => break,
            Ok(_) => {}
            Err(error) => return handshake(&error, host),
        }
    }
    None
}

fn handshake(error: &io::Error, host: &str) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<TlsError>()?;
    let TlsError::InvalidCertificate(fault) = error else { return Some(format!("TLS: {error}")) };
    Some(match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired, or this clock is wrong: {error}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet, or this clock is wrong: {error}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate is not for the name `{host}`: name it in `brokers` as its certificate does"
            )
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by somebody unknown: give `tls: { ca }`, whom it was signed by"
                .to_owned()
        }
        _ => format!("its certificate does not hold: {error}"),
    })
}
