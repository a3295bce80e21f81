//! The client of a source, as data.

use super::shared::Client;
use super::topics::Choice;
use crate::clients::kafka::{Connection, Context};
use crate::clients::tls::{Stamp, TlsFiles};
use crate::time::Millis;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};

/// How often partitions are looked for, where librdkafka's property for that says nothing else.
const LOOK: Millis = Millis(30_000);
/// librdkafka's property for that.
const LOOK_PROPERTY: &str = "topic.metadata.refresh.interval.ms";
/// Bytes that all partitions together may have fetched ahead, about.
const AHEAD: usize = 64 << 20;
/// The most and the least of that for one partition, in KiB.
const AHEAD_KIB: (usize, usize) = (4096, 64);

/// What is kept, as data.
#[derive(Clone, Debug)]
pub struct Kept {
    /// How the connection is made.
    pub connection: Connection,
    /// What is read.
    pub choice: Choice,
    /// The consumer group.
    pub group: String,
    /// `read_committed` or `read_uncommitted`.
    pub isolation: &'static str,
    /// How long nothing may come before the client is made anew.
    pub stale_after: Option<Millis>,
}

impl Kept {
    /// The configuration of a client that reads so many partitions.
    pub fn config(&self, partitions: usize) -> ClientConfig {
        let mut config = self.connection.config();
        let ahead = (AHEAD / partitions.max(1) / 1024).clamp(AHEAD_KIB.1, AHEAD_KIB.0);
        config
            .set("group.id", &self.group)
            .set("isolation.level", self.isolation)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("allow.auto.create.topics", "false")
            // For each partition, as each has a queue of its own.
            .set("queued.max.messages.kbytes", ahead.to_string())
            .set("fetch.message.max.bytes", (ahead * 1024).to_string())
            .set("fetch.max.bytes", (AHEAD / 4).to_string())
            // How long nothing is fetched of a partition that is that far ahead: a second, if nobody says.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "200");
        self.connection.finish(&mut config);
        config
    }

    /// A client that reads so many partitions.
    ///
    /// # Errors
    /// A certificate or property that cannot be used.
    pub fn client(&self, partitions: usize) -> Result<Client, String> {
        let made: KafkaResult<Client> =
            self.config(partitions).create_with_context(Context::new(self.connection.clone()));
        made.map_err(|error| match error {
            KafkaError::ClientCreation(why) => self.connection.mask(&why),
            other => self.connection.mask(&other.to_string()),
        })
    }

    /// How often partitions are looked for.
    pub fn look(&self) -> Millis {
        let written = self.connection.properties.iter().find(|(name, _)| name == LOOK_PROPERTY);
        let millis = written.and_then(|(_, value)| value.0.parse().ok()).filter(|millis| *millis > 0);
        millis.map_or(LOOK, Millis)
    }

    /// How the files of certificates look now.
    pub fn stamp(&self) -> Stamp {
        self.connection.tls.as_ref().map(TlsFiles::stamp).unwrap_or_default()
    }

    /// Whether there are other certificates than those of the stamp, and they can be used.
    pub fn certificates_changed(&self, stamp: &mut Stamp) -> bool {
        let now = self.stamp();
        let Some(tls) = self.connection.tls.as_ref().filter(|_| now != *stamp) else { return false };
        *stamp = now;
        let who = &self.connection.who;
        match tls.load() {
            Ok(_) => {
                tracing::info!("{who}: connecting anew: the certificates have changed");
                true
            }
            Err(reason) => {
                tracing::error!(
                    "{who}: the changed certificates cannot be used, the old ones serve on: {reason}"
                );
                false
            }
        }
    }
}
