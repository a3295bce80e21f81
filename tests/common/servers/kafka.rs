//! A real Apache Kafka broker: one node, three doors (open, passwords, TLS), see `tests/servers/kafka.sh`.

use super::{Server, free_port, is_there};
use crate::common::{project, until};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A broker.
pub struct Kafka {
    server: Server,
    /// The port that asks for nothing; its users may do everything.
    pub plain: u16,
    /// The port that asks for user and password (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512) or a token (OAUTHBEARER).
    pub sasl: u16,
    /// The port with TLS that asks for a certificate.
    pub tls: u16,
}

impl Kafka {
    /// Who may do everything.
    pub const USER: &str = "gateway";
    /// The password of [`Kafka::USER`].
    pub const PASSWORD: &str = "gateway-secret";
    /// Who may do nothing; comes in by PLAIN only.
    pub const STRANGER: &str = "stranger";
    /// The password of [`Kafka::STRANGER`].
    pub const STRANGERS_PASSWORD: &str = "stranger-secret";

    /// A broker of one's own, to be stopped and killed; None where there is none.
    pub fn start() -> Option<Kafka> {
        let java = Command::new("java").arg("-version").stderr(Stdio::null()).status().is_ok();
        if !is_there("Kafka", java && project("target/tools/kafka/formatted").exists()) {
            return None;
        }
        // A port may be taken between looking and starting.
        (0..3).find_map(|_| {
            let [plain, sasl, tls, controller] = [(); 4].map(|()| free_port());
            let arguments = [plain, sasl, tls, controller].map(|port| port.to_string()).to_vec();
            let mut kafka = Kafka { server: Server::start("kafka.sh", arguments), plain, sasl, tls };
            kafka.becomes_ready().then_some(kafka)
        })
    }

    /// The broker that the tests of this binary share, with topics of their own.
    pub fn shared() -> Option<&'static Kafka> {
        static SHARED: OnceLock<Option<Kafka>> = OnceLock::new();
        SHARED.get_or_init(Kafka::start).as_ref()
    }

    /// The address that asks for nothing.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.plain)
    }

    /// The address that asks for a password.
    pub fn sasl_brokers(&self) -> String {
        format!("127.0.0.1:{}", self.sasl)
    }

    /// The address with TLS, which asks for a certificate.
    pub fn tls_brokers(&self) -> String {
        format!("localhost:{}", self.tls)
    }

    /// Where `ca.pem`, `client.pem` and `client.key` are.
    pub fn certificates(&self) -> &Path {
        self.server.folder()
    }

    /// A client's configuration: whom to connect to.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    /// Waits until it answers; false if it ended instead.
    fn becomes_ready(&mut self) -> bool {
        let client: BaseConsumer = self.client().create().unwrap();
        let mut alive = true;
        until("Kafka answers", || {
            alive = self.server.is_alive();
            let answer = client.fetch_metadata(None, Duration::from_millis(500));
            !alive || answer.is_ok_and(|metadata| !metadata.brokers().is_empty())
        });
        alive
    }

    /// Ends it in good order.
    pub fn stop(&mut self) {
        self.server.end(Signal::TERM);
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.server.end(Signal::KILL);
    }

    /// Starts it again after [`Kafka::stop`] or [`Kafka::kill`], with its data and ports, and waits until it answers.
    pub fn start_again(&mut self) {
        self.server.run();
        assert!(self.becomes_ready(), "{}", self.server.log());
    }

    /// Lets it stand still: connections stay open and nothing comes.
    pub fn freeze(&self) {
        self.server.signal(Signal::STOP);
    }

    /// Lets it go on after [`Kafka::freeze`].
    pub fn thaw(&self) {
        self.server.signal(Signal::CONT);
    }
}
