//! Why a connection failed, in words that say what to do.

use rumqttc::{ConnectReturnCode as Three, ConnectionError as ErrorThree, StateError as StateThree, v5};
use std::io;
use v5::mqttbytes::v5::ConnectReturnCode as Five;

/// The reason of a connection of version 3.1.1.
pub fn of_three(error: ErrorThree) -> String {
    match error {
        ErrorThree::Io(error) | ErrorThree::MqttState(StateThree::Io(error)) => io(&error),
        ErrorThree::ConnectionRefused(Three::BadUserNamePassword | Three::NotAuthorized) => unauthorised(),
        ErrorThree::ConnectionRefused(Three::RefusedProtocolVersion) => version("5"),
        ErrorThree::ConnectionRefused(code) => refused(&format!("{code:?}")),
        ErrorThree::NetworkTimeout | ErrorThree::FlushTimeout => timeout(),
        ErrorThree::MqttState(StateThree::AwaitPingResp) => silent(),
        ErrorThree::MqttState(StateThree::ConnectionAborted) => closed(),
        ErrorThree::Tls(error) => tls(&error),
        other => other.to_string(),
    }
}

/// The reason of a connection of version 5.
pub fn of_five(error: v5::ConnectionError) -> String {
    use v5::{ConnectionError as Error, StateError as State};
    match error {
        Error::Io(error) | Error::MqttState(State::Io(error)) => io(&error),
        Error::ConnectionRefused(Five::BadUserNamePassword | Five::NotAuthorized) => unauthorised(),
        Error::ConnectionRefused(Five::UnsupportedProtocolVersion | Five::RefusedProtocolVersion) => {
            version("3.1.1")
        }
        Error::ConnectionRefused(code) => refused(&format!("{code:?}")),
        Error::Timeout(_) => timeout(),
        Error::MqttState(State::AwaitPingResp) => silent(),
        Error::MqttState(State::ConnectionAborted) => closed(),
        Error::MqttState(State::ServerDisconnect { reason_code, reason_string }) => {
            let said = reason_string.map(|text| format!(": {text}")).unwrap_or_default();
            format!("the broker ended the connection: {reason_code:?}{said}")
        }
        Error::Tls(error) => tls(&error),
        other => other.to_string(),
    }
}

fn io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => closed(),
        _ => error.to_string(),
    }
}

fn tls(error: &rumqttc::TlsError) -> String {
    match error {
        rumqttc::TlsError::Io(error) => format!("TLS: {error}"),
        other => format!("TLS: {other}"),
    }
}

fn refused(code: &str) -> String {
    format!("the broker refuses the connection: {code}")
}

fn unauthorised() -> String {
    refused("not authorised; are `username`, `password` and certificate right?")
}

fn version(other: &str) -> String {
    refused(&format!("it does not know this version of the protocol; `version: {other}` may do"))
}

fn timeout() -> String {
    "no answer".to_owned()
}

fn silent() -> String {
    "the broker does not answer any more".to_owned()
}

fn closed() -> String {
    "the broker closed the connection".to_owned()
}
