//! All that a connection needs to know, as data.

use super::Address;
use crate::clients::hidden::Hidden;
use crate::clients::tls::TlsFiles;
use crate::config::Secrets;
use crate::dataflow::Retry;

/// The version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1
    Three,
    /// 5
    #[default]
    Five,
}

/// How a connection is made.
#[derive(Clone, Debug)]
pub struct Connecting {
    /// Who connects, for messages: ``source `plant` ``.
    pub who: String,
    /// The broker.
    pub address: Address,
    /// The version of the protocol.
    pub version: Version,
    /// Who the broker is told we are, with the password.
    pub credentials: Option<(String, Hidden)>,
    /// What the broker knows the session by.
    pub client_id: String,
    /// Seconds after which a silent connection is tried.
    pub keep_alive: u16,
    /// Certificates, for `mqtts://`.
    pub tls: TlsFiles,
    /// Whether the broker forgets what an earlier run has left there.
    pub clean_start: bool,
    /// Seconds for which the broker keeps the session of a client that is away.
    pub session_expiry: u32,
    /// How many messages may be under way to us unacknowledged.
    pub receive_maximum: u16,
    /// How many messages of ours may be under way unacknowledged.
    pub under_way: u16,
    /// The largest packet that is taken, in bytes.
    pub largest_packet: u32,
    /// How it is tried again where there is no connection.
    pub retry: Retry,
    /// What must not be shown.
    pub secrets: Secrets,
}

impl Connecting {
    /// The broker, as messages may show it.
    pub fn shown_address(&self) -> String {
        self.secrets.mask(&self.address.url).into_owned()
    }
}
