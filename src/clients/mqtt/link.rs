//! One connection of either version of the protocol: what is told to it, and what happens on it.
//!
//! A link serves for one connection and is made anew for the next, so that nothing that the library keeps between
//! connections is relied on: what is unacknowledged is the business of those who use a link.

mod five;
mod three;

use super::{Address, Connecting, Qos, Transport, Version};
use bytes::Bytes;
use rumqttc::{AsyncClient, NetworkOptions, TlsConfiguration, v5};

/// Requests that wait to be sent: more than can be unacknowledged at one time.
const REQUESTS: usize = 70_000;

/// A message that came in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its topic.
    pub topic: Bytes,
    /// What it says.
    pub payload: Bytes,
    /// How often it may arrive.
    pub qos: Qos,
    /// Its number while it is unacknowledged; none with QoS 0.
    pub packet: u16,
    /// Whether the broker says that it gave it before.
    pub repeated: bool,
    /// The user properties of version 5.
    pub properties: Vec<(String, String)>,
}

/// A message that goes out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its topic.
    pub topic: String,
    /// What it says.
    pub payload: Bytes,
    /// Its user properties; version 5 only.
    pub properties: Vec<(String, String)>,
}

/// What is subscribed to.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The topic filters.
    pub filters: Vec<String>,
    /// How often a message may arrive at the most.
    pub qos: Qos,
}

/// What the broker said when it took us.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// Whether it still has the session.
    pub session_present: bool,
    /// The largest packet that it takes.
    pub largest_packet: Option<u32>,
    /// The highest QoS that it takes.
    pub highest_qos: u8,
}

/// What happened on a link.
#[derive(Debug)]
pub enum Happened {
    /// The broker took us.
    Accepted(Accepted),
    /// A message came.
    Message(Incoming),
    /// The QoS that was granted for each filter, or none where it was refused.
    Subscribed(Vec<Option<u8>>),
    /// The next of our messages was sent under this number; 0 with QoS 0.
    Sent(u16),
    /// A message of ours arrived; or was refused, and why.
    Acknowledged(u16, Result<(), String>),
    /// A message of QoS 2 is over and done with: its number may come again.
    Released(u16),
}

/// What is told to a link, from any thread. Nothing waits: what cannot be sent any more is dropped with the connection.
#[derive(Clone)]
pub enum Wire {
    /// Of version 3.1.1.
    Three(AsyncClient),
    /// Of version 5.
    Five(v5::AsyncClient),
}

/// A connection; see the module.
pub(super) enum Link {
    Three(Box<rumqttc::EventLoop>),
    Five(Box<v5::EventLoop>),
}

/// Makes a link; it connects when it is polled first.
pub(super) fn link(connecting: &Connecting, tls: Option<TlsConfiguration>, first: bool) -> (Wire, Link) {
    match connecting.version {
        Version::Three => {
            let (client, events) = three::link(connecting, tls);
            (Wire::Three(client), Link::Three(Box::new(events)))
        }
        Version::Five => {
            let (client, events) = five::link(connecting, tls, first);
            (Wire::Five(client), Link::Five(Box::new(events)))
        }
    }
}

/// Whom the library connects to: for a websocket it wants the whole URL.
fn host(address: &Address) -> String {
    let host = if address.transport == Transport::WebSocket { &address.url } else { &address.host };
    host.clone()
}

/// What a connection goes over.
fn over(transport: Transport, tls: Option<TlsConfiguration>) -> rumqttc::Transport {
    match (transport, tls) {
        (Transport::WebSocket, _) => rumqttc::Transport::ws(),
        (Transport::Tls, Some(tls)) => rumqttc::Transport::tls_with_config(tls),
        _ => rumqttc::Transport::tcp(),
    }
}

/// How the connection is set up: acknowledgements are small and must not wait for one another.
fn network() -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network
}

impl Link {
    /// Waits until something happens, and adds it. Must not be dropped half way, unless the link is dropped as well.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(super) async fn poll(&mut self, happened: &mut Vec<Happened>) -> Result<(), String> {
        match self {
            Link::Three(events) => three::poll(events, happened).await,
            Link::Five(events) => five::poll(events, happened).await,
        }
    }

    /// Lets the broker go on with messages of QoS 2 that it began to give to an earlier link.
    pub(super) fn expect_releases(&mut self) {
        for packet in 1..=u16::MAX {
            match self {
                Link::Three(events) => three::expect_release(events, packet),
                Link::Five(events) => five::expect_release(events, packet),
            }
        }
    }
}

impl Wire {
    /// Acknowledges a message: the first of two steps with QoS 2, of which the second follows by itself.
    pub fn acknowledge(&self, qos: Qos, packet: u16) {
        // It fails where the connection is gone: then the broker gives the message again.
        match self {
            Wire::Three(client) => drop(client.try_ack(&three::acknowledged(qos, packet))),
            Wire::Five(client) => drop(client.try_ack(&five::acknowledged(qos, packet))),
        }
    }

    /// Publishes a message. It stays with whoever gives it until it is acknowledged.
    pub fn publish(&self, message: &Outgoing, qos: Qos, retain: bool) {
        match self {
            Wire::Three(client) => three::publish(client, message, qos, retain),
            Wire::Five(client) => five::publish(client, message, qos, retain),
        }
    }

    /// Subscribes.
    pub fn subscribe(&self, subscription: &Subscription) {
        match self {
            Wire::Three(client) => three::subscribe(client, subscription),
            Wire::Five(client) => five::subscribe(client, subscription),
        }
    }

    /// Takes leave behind all that was told before.
    pub fn disconnect(&self) {
        match self {
            Wire::Three(client) => drop(client.try_disconnect()),
            Wire::Five(client) => drop(client.try_disconnect()),
        }
    }
}
