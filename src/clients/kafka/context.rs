//! What librdkafka tells of a client: its logs, and what is wrong with its connections.

use super::connection::Connection;
use super::reason::{of_connection, of_group};
use super::sasl::{self, Sasl};
use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What librdkafka says of a connection that stood when it ended. The broker went away, or the connection was idle: asking
/// it tells which.
const WAS_UP: &str = "in state UP";

/// Listens to a client. It is told on the thread that polls it, which must not be a worker: a broker may be asked for
/// its certificate, for some seconds.
pub struct Context {
    connection: Connection,
    state: Mutex<State>,
    /// Whether brokers have answered since something was wrong.
    connected: AtomicBool,
    /// Whether a connection that stood has ended, or a request was not answered, since brokers answered last.
    doubtful: AtomicBool,
    /// How many commits of offsets were answered.
    commits: AtomicU64,
}

#[derive(Default)]
struct State {
    /// What is wrong now.
    trouble: Option<String>,
    /// What was said last.
    said: Option<String>,
    /// What was last wrong with one of the brokers.
    last: Option<String>,
    /// Whether brokers have ever answered.
    was_connected: bool,
    /// What the group was said to be told wrong.
    uncommitted: Option<String>,
    /// Whether something is wrong that no waiting mends: the library must not go on.
    fatal: bool,
}

impl Context {
    /// A context that was told nothing yet.
    pub fn new(connection: Connection) -> Context {
        Context {
            connection,
            state: Mutex::default(),
            connected: false.into(),
            doubtful: false.into(),
            commits: 0.into(),
        }
    }

    /// How the connection is made.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with the connection, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// What is wrong with one of the brokers, while others are thought to answer: that is to be looked at.
    pub fn suspicion(&self) -> Option<String> {
        self.state().last.clone()
    }

    /// Whether brokers have answered since something was wrong.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Whether brokers are to be asked if they are still there. librdkafka does not always tell that none is.
    pub fn is_doubtful(&self) -> bool {
        !self.is_connected() || self.doubtful.load(Ordering::Relaxed) || self.suspicion().is_some()
    }

    /// How many commits of offsets were answered.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Whether the client must be made anew.
    pub fn is_fatal(&self) -> bool {
        self.state().fatal
    }

    /// A broker has answered: says so once.
    pub fn connected(&self) {
        let mut state = self.state();
        self.connected.store(true, Ordering::Relaxed);
        self.doubtful.store(false, Ordering::Relaxed);
        let is_first = !std::mem::replace(&mut state.was_connected, true);
        if is_first || state.said.is_some() {
            let Connection { who, .. } = &self.connection;
            tracing::info!("{who}: connected to {}", self.connection.shown_brokers());
        }
        (state.trouble, state.said, state.last) = (None, None, None);
    }

    /// Says what is wrong, once a change.
    pub fn disturbed(&self, reason: &str) {
        let reason = self.connection.mask(reason);
        let mut state = self.state();
        state.trouble = Some(reason.clone());
        self.connected.store(false, Ordering::Relaxed);
        if state.said.as_ref() != Some(&reason) {
            let Connection { who, .. } = &self.connection;
            let brokers = self.connection.shown_brokers();
            tracing::warn!("{who}: no connection to {brokers}: {reason}; it is tried again");
            state.said = Some(reason);
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    /// What fails at a connection comes as an error as well, and is said then; that a connection has ended which stood comes
    /// here alone.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" && message.contains(WAS_UP) {
            self.doubtful.store(true, Ordering::Relaxed);
        }
        let (who, message) = (&self.connection.who, self.connection.mask(message));
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!("{who}: librdkafka: {facility}: {message}");
            }
            _ => tracing::debug!("{who}: librdkafka: {facility}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, text: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let who = &self.connection.who;
        tracing::debug!("{who}: librdkafka: {}", self.connection.mask(text));
        if code == RDKafkaErrorCode::Fatal {
            self.state().fatal = true;
        }
        let Some(reason) = of_connection(code, text, &self.connection) else { return };
        match code {
            RDKafkaErrorCode::BrokerTransportFailure if text.contains(WAS_UP) => {
                self.doubtful.store(true, Ordering::Relaxed);
            }
            RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut => {
                self.doubtful.store(true, Ordering::Relaxed);
            }
            RDKafkaErrorCode::AllBrokersDown => {
                let last = self.suspicion();
                match last {
                    Some(last) => self.disturbed(&last),
                    None => self.connected.store(false, Ordering::Relaxed),
                }
            }
            // One broker of several is no trouble while others answer.
            _ if self.is_connected() => self.state().last = Some(reason),
            _ => self.disturbed(&reason),
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        match &self.connection.sasl {
            Some(Sasl::Token(token)) => Ok(sasl::token(token)),
            _ => Err("there is no token".into()),
        }
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let reason = result
            .err()
            .map(|error| of_group(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)));
        let mut state = self.state();
        if let Some(reason) = reason.as_ref().filter(|reason| state.uncommitted.as_ref() != Some(*reason)) {
            let Connection { who, .. } = &self.connection;
            tracing::warn!(
                "{who}: the group is not told how far checkpoints are, which harms nothing else: {reason}"
            );
        }
        state.uncommitted = reason;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected() -> Context {
        let connection = Connection {
            who: "`in` of `p`".to_owned(),
            brokers: vec!["localhost:9092".to_owned()],
            client_id: "headwater".to_owned(),
            tls: None,
            sasl: None,
            properties: Vec::new(),
            secrets: crate::config::Secrets::default(),
        };
        let context = Context::new(connection);
        context.connected();
        assert!(!context.is_doubtful());
        context
    }

    const REFUSED: &str = "localhost:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused";

    #[test]
    fn when_the_last_broker_goes_it_is_said_why() {
        let context = connected();
        context.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), REFUSED);
        assert!(context.is_connected() && context.is_doubtful());
        context.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(context.trouble().as_deref(), Some("nothing listens there"));
        assert!(!context.is_connected());
    }

    #[test]
    fn a_connection_that_stood_and_ended_is_a_reason_to_ask() {
        let context = connected();
        let ended = "[thrd:localhost:9092/1]: localhost:9092/1: Disconnected (after 1234ms in state UP)";
        context.log(RDKafkaLogLevel::Info, "FAIL", ended);
        assert!(context.is_doubtful());
        context.connected();
        context.log(
            RDKafkaLogLevel::Info,
            "FAIL",
            "localhost:9092/1: Disconnected (after 2ms in state CONNECT)",
        );
        assert!(!context.is_doubtful());
    }
}
