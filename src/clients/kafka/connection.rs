//! All that a connection needs to know, as data.

use super::sasl::Sasl;
use crate::clients::hidden::Hidden;
use crate::clients::tls::TlsFiles;
use crate::config::Secrets;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who connects, for messages: `` `events` of `purchases` ``.
    pub who: String,
    /// The brokers that are asked first, each with its port.
    pub brokers: Vec<String>,
    /// What brokers know us by in their logs and quotas.
    pub client_id: String,
    /// Certificates, where the connection is encrypted.
    pub tls: Option<TlsFiles>,
    /// Who we are.
    pub sasl: Option<Sasl>,
    /// librdkafka's own properties.
    pub properties: Vec<(String, Hidden)>,
    /// What must not be shown.
    pub secrets: Secrets,
}

impl Connection {
    /// The configuration of a client. What source or sink add to it comes before [`Connection::finish`].
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config.set("bootstrap.servers", self.brokers.join(",")).set("client.id", &self.client_id);
        // How a connection to a broker that is away is tried again: soon at first, and not all at once.
        config.set("reconnect.backoff.ms", "100").set("reconnect.backoff.max.ms", "10000");
        config.set("security.protocol", self.protocol());
        if let Some(tls) = &self.tls {
            // A static binary has no folder of its own: the usual places are looked through.
            let ca = tls.ca.as_ref().map_or_else(|| "probe".into(), |path| path.to_string_lossy());
            config.set("ssl.ca.location", ca);
            if let Some((cert, key)) = &tls.own {
                config.set("ssl.certificate.location", cert.to_string_lossy());
                config.set("ssl.key.location", key.to_string_lossy());
            }
        }
        if let Some(sasl) = &self.sasl {
            config.set("sasl.mechanisms", sasl.mechanism());
            if let Sasl::Password { username, password, .. } = sasl {
                config.set("sasl.username", username).set("sasl.password", &password.0);
            }
        }
        config
    }

    /// Adds what the pipeline says of librdkafka's own properties, over what is usual.
    pub fn finish(&self, config: &mut ClientConfig) {
        for (name, value) in &self.properties {
            config.set(name, &value.0);
            if name == "debug" {
                config.set_log_level(RDKafkaLogLevel::Debug);
            }
        }
    }

    fn protocol(&self) -> &'static str {
        match (self.tls.is_some(), self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }

    /// The brokers, as messages may show them.
    pub fn shown_brokers(&self) -> String {
        self.secrets.mask(&self.brokers.join(", ")).into_owned()
    }

    /// A text of librdkafka or a broker without secrets.
    pub fn mask(&self, text: &str) -> String {
        let mut masked = self.secrets.mask(text).into_owned();
        // Those that were written into the file itself are known to nobody else.
        let own = match &self.sasl {
            Some(Sasl::Password { password: secret, .. } | Sasl::Token(secret)) => Some(secret),
            None => None,
        };
        let named = self.properties.iter().filter(|(name, _)| name.contains("password"));
        for secret in own.into_iter().chain(named.map(|(_, value)| value)).filter(|secret| secret.0.len() > 3)
        {
            masked = masked.replace(&secret.0, "***");
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_made_and_tells_no_secret() {
        let connection = Connection {
            who: "`a` of `b`".to_owned(),
            brokers: vec!["localhost:1".to_owned()],
            client_id: "headwater".to_owned(),
            tls: None,
            sasl: Some(Sasl::Password {
                mechanism: "SCRAM-SHA-512",
                username: "u".to_owned(),
                password: Hidden("s3cret".to_owned()),
            }),
            properties: vec![("client.rack".to_owned(), Hidden("r".to_owned()))],
            secrets: Secrets::default(),
        };
        let mut config = connection.config();
        connection.finish(&mut config);
        assert!(config.create_native_config().is_ok());
        assert_eq!(config.get("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(config.get("client.rack"), Some("r"));
        assert_eq!(connection.mask("it is s3cret"), "it is ***");
        assert!(!format!("{connection:?}{config:?}").contains("s3cret"));
    }
}
