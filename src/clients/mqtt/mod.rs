//! MQTT 3.1.1 and 5: options, and the thread that keeps a connection.

mod address;
mod connecting;
mod keeper;
mod link;
mod options;
mod probe;
mod reason;

pub use address::{Address, Transport};
pub use connecting::{Connecting, Version};
pub use keeper::{Endpoint, Keeper};
pub use link::{Accepted, Happened, Incoming, Outgoing, Subscription, Wire};
pub use options::{
    CLIENT_ID, KEEP_ALIVE, PASSWORD, QOS, URL, USERNAME, VERSION, is_topic, qos, read_connecting,
};
pub use probe::probe;

/// How often a message may arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// 0: at most once.
    AtMostOnce,
    /// 1: at least once.
    #[default]
    AtLeastOnce,
    /// 2: exactly once, as far as the session reaches.
    ExactlyOnce,
}

impl Qos {
    /// The number that the protocol has for it.
    pub fn number(self) -> u8 {
        self as u8
    }
}
