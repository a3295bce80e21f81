//! Where brokers are asked first.

/// The port where none is written.
const USUAL_PORT: u16 = 9092;

/// Reads `host`, `host:port` or `[address]:port`; returns it with its port.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<String, &'static str> {
    let (host, port) = split(text).ok_or("an IPv6 address stands in brackets: `[::1]:9092`")?;
    if text.contains("://") {
        return Err("a broker is written without `…://`; `tls: {}` makes a connection encrypted");
    }
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ',' | '@')) {
        return Err("write `host:9092`");
    }
    match port {
        None => Ok(format!("{host}:{USUAL_PORT}")),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(format!("{host}:{port}")),
            _ => Err("a port is a number from 1 to 65535"),
        },
    }
}

/// Host and port. None for an address of IPv6 without brackets.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(end) = text.starts_with('[').then(|| text.find(']')).flatten() {
        let (host, rest) = text.split_at(end + 1);
        return Some((host, rest.strip_prefix(':')));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') && !text.contains("://") => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

/// The host and port that a text of librdkafka starts with: `sasl_ssl://host:9093/bootstrap: …`.
pub fn named_in(text: &str) -> Option<(&str, u16)> {
    let (_, rest) = text.split_once("://")?;
    let address = rest.split(['/', ' ']).next()?;
    let (host, port) = address.trim_end_matches(':').rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{named_in, parse};

    #[test]
    fn addresses_are_read() {
        assert_eq!(parse("broker").as_deref(), Ok("broker:9092"));
        assert_eq!(parse("broker:1").as_deref(), Ok("broker:1"));
        assert_eq!(parse("[::1]:9093").as_deref(), Ok("[::1]:9093"));
        for wrong in ["", ":9092", "broker:0", "broker:x", "::1", "kafka://broker:9092", "a b:1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_broker_of_a_text_is_found() {
        let text = "sasl_ssl://localhost:9093/bootstrap: SSL handshake failed";
        assert_eq!(named_in(text), Some(("localhost", 9093)));
        assert_eq!(named_in("ssl://[::1]:1/0: x"), Some(("::1", 1)));
        assert_eq!(named_in("2/2 brokers are down"), None);
    }
}
