//! Where a broker is.

use std::fmt;

/// How bytes get to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `mqtt://`
    Tcp,
    /// `mqtts://`
    Tls,
    /// `ws://`
    WebSocket,
}

/// The address of a broker, as a URL says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How bytes get there.
    pub transport: Transport,
    /// Name or IP address; IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The whole URL, with its port.
    pub url: String,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, as a hint.
    pub fn parse(text: &str) -> Result<Address, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it is like `mqtt://broker:1883`")?;
        let (transport, usual_port) = match scheme {
            "mqtt" => (Transport::Tcp, 1883),
            "mqtts" => (Transport::Tls, 8883),
            "ws" => (Transport::WebSocket, 80),
            _ => return Err("it starts with `mqtt://`, `mqtts://` or `ws://`"),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("`username` and `password` are options of their own");
        }
        let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match colon {
            Some(at) => (&authority[..at], authority[at + 1..].parse().map_err(|_| "the port is no number")?),
            None => (authority, usual_port),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        if host.is_empty() || !host.chars().all(is_host) || port == 0 {
            return Err("it is like `mqtt://broker:1883`");
        }
        if transport != Transport::WebSocket && !matches!(path, "" | "/") {
            return Err("a path behind the port is for `ws://` only");
        }
        if transport == Transport::Tls && host.starts_with('[') {
            return Err("a certificate is checked against a name or an IPv4 address");
        }
        let path = if transport == Transport::WebSocket && path.is_empty() { "/" } else { path };
        let path = if transport == Transport::WebSocket { path } else { "" };
        let url = format!("{scheme}://{host}:{port}{path}");
        Ok(Address { transport, host: host.to_owned(), port, url })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_get_the_port_of_their_scheme() {
        let url = |text| Address::parse(text).unwrap().url;
        assert_eq!(url("mqtt://broker"), "mqtt://broker:1883");
        assert_eq!(url("mqtt://10.0.0.1:1884/"), "mqtt://10.0.0.1:1884");
        assert_eq!(url("mqtts://broker.plant.example"), "mqtts://broker.plant.example:8883");
        assert_eq!(url("ws://broker"), "ws://broker:80/");
        assert_eq!(url("ws://broker:8080/mqtt"), "ws://broker:8080/mqtt");
        assert_eq!(url("mqtt://[::1]"), "mqtt://[::1]:1883");
        assert_eq!(url("mqtt://[::1]:1"), "mqtt://[::1]:1");
    }

    #[test]
    fn what_is_no_url_of_a_broker_is_refused() {
        let wrong =
            ["broker", "http://b", "mqtt://", "mqtt://u:p@b", "mqtt://b:x", "mqtt://b:0", "mqtt://b/x"];
        for text in wrong.into_iter().chain(["mqtt://a b", "mqtts://[::1]", "mqtt://b:70000"]) {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
