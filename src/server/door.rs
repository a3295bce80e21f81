//! Who may ask for what.
//!
//! On the control socket the mode of the file says it. On an address tokens do; where there are none, only this machine can
//! reach the address, and what is left to keep out are web pages in a browser of this machine: one that makes its name lead
//! here (DNS rebinding) is known by `Host`, one that sends requests from elsewhere by `Origin`.

use super::answer::Answer;
use crate::clients::hidden::Hidden;
use crate::config::Tokens;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use std::net::{IpAddr, SocketAddr};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees.
    Reader,
    /// Sees and changes.
    Operator,
}

impl Role {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Operator => "operator",
        }
    }
}

/// What requests have to pass.
#[derive(Clone, Debug)]
pub enum Door {
    /// Whoever gets as far may do everything.
    Socket,
    /// An address.
    Address(Guard),
}

/// What guards an address.
#[derive(Clone, Debug)]
pub struct Guard {
    address: SocketAddr,
    tokens: Vec<(Role, Hidden)>,
}

impl Guard {
    /// Guards an address by tokens; without any it must be one that only this machine reaches.
    pub fn new(address: SocketAddr, tokens: &Tokens) -> Guard {
        let of = |role: Role, tokens: &[String]| {
            tokens.iter().map(|token| (role, Hidden(token.clone()))).collect::<Vec<_>>()
        };
        let tokens = [of(Role::Operator, &tokens.operator), of(Role::Reader, &tokens.reader)].concat();
        Guard { address, tokens }
    }

    fn role(&self, headers: &HeaderMap) -> Result<Role, Answer> {
        if self.tokens.is_empty() {
            return self.own_host(headers).map(|()| Role::Operator);
        }
        let claimed = text(headers, &AUTHORIZATION).and_then(bearer).unwrap_or_default();
        // All are looked at, so that the time tells nothing of which it was.
        let known = self.tokens.iter().fold(None, |known, (role, token)| {
            let role = token.is(claimed.as_bytes()).then_some(*role);
            known.max(role)
        });
        known.ok_or_else(Answer::unauthorized)
    }

    /// Whether a request was meant for this server: not for a name that somebody else made lead here.
    fn own_host(&self, headers: &HeaderMap) -> Result<(), Answer> {
        let is_own = text(headers, &HOST).is_some_and(|host| match host_of(host) {
            Some(Host::Name(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ip(ip)) => ip.to_canonical().is_loopback() || ip == self.address.ip(),
            None => false,
        });
        let hint =
            "this server is asked as `localhost`, `127.0.0.1` or `[::1]`: with tokens any name will do";
        if is_own { Ok(()) } else { Err(Answer::error(403, hint)) }
    }
}

impl Door {
    /// What whoever sent a request may do.
    ///
    /// # Errors
    /// The answer where that is nothing.
    pub fn role(&self, headers: &HeaderMap) -> Result<Role, Answer> {
        match self {
            Door::Socket => Ok(Role::Operator),
            Door::Address(guard) => guard.role(headers),
        }
    }

    /// Lets a request through that needs a role.
    ///
    /// # Errors
    /// The answer to one that may not pass.
    pub fn pass(&self, has: Role, needs: Role, headers: &HeaderMap) -> Result<(), Answer> {
        if has < needs {
            return Err(Answer::error(403, format!("this needs the token of an {}", needs.name())));
        }
        if needs == Role::Operator && matches!(self, Door::Address(_)) && is_foreign(headers) {
            return Err(Answer::error(403, "pages of other origins may change nothing here"));
        }
        Ok(())
    }
}

/// Whether a browser sent a request on behalf of another origin.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or_default();
    let from = origin.split_once("://").map(|(_, from)| from);
    from.is_none() || from != text(headers, &HOST)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The token in `Bearer token`; the scheme is written in any case.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host<'h> {
    Name(&'h str),
    Ip(IpAddr),
}

/// The host of `host:port`.
fn host_of(header: &str) -> Option<Host<'_>> {
    let (host, port) = match header.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (Host::Ip(IpAddr::V6(host.parse().ok()?)), port)
        }
        None => {
            let end = header.find(':').unwrap_or(header.len());
            let (host, port) = header.split_at(end);
            let ip = host.parse().map(|ip| Host::Ip(IpAddr::V4(ip)));
            (ip.unwrap_or(Host::Name(host)), port)
        }
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    is_port.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn door(tokens: &Tokens) -> Door {
        Door::Address(Guard::new("127.0.0.1:8080".parse().unwrap(), tokens))
    }

    #[test]
    fn without_tokens_only_this_machine_is_meant() {
        let door = door(&Tokens::default());
        let status = |host: &str| door.role(&headers(&[(HOST, host)])).map_err(|answer| answer.status);
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.3.2.1", "[::1]:8080", "[::1]"] {
            assert_eq!(status(own), Ok(Role::Operator), "{own}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "192.168.0.1",
            "[::2]",
            "localhost:x",
            "",
            "127.0.0.1@e",
            "::1",
        ] {
            assert_eq!(status(foreign), Err(403), "{foreign}");
        }
        assert_eq!(door.role(&headers(&[])).map_err(|answer| answer.status), Err(403));
    }

    #[test]
    fn tokens_tell_roles() {
        let tokens = Tokens { reader: vec!["r".repeat(16), "s".repeat(16)], operator: vec!["o".repeat(16)] };
        let door = door(&tokens);
        let status =
            |value: &str| door.role(&headers(&[(AUTHORIZATION, value)])).map_err(|answer| answer.status);
        let bearer = |letter: &str| format!("Bearer {}", letter.repeat(16));
        assert_eq!(status(&bearer("r")), Ok(Role::Reader));
        assert_eq!(status(&bearer("s").replace("Bearer", "bearer")), Ok(Role::Reader));
        assert_eq!(status(&bearer("o")), Ok(Role::Operator));
        for wrong in ["Bearer", "Bearer ", "Bearer x", "Basic oooooooooooooooo", "oooooooooooooooo"] {
            assert_eq!(status(wrong), Err(401), "{wrong}");
        }
        assert_eq!(door.role(&headers(&[(HOST, "localhost")])).map_err(|answer| answer.status), Err(401));
        // Whoever has a token may come by any name.
        let named = headers(&[(HOST, "gateway.example"), (AUTHORIZATION, &bearer("o"))]);
        assert_eq!(door.role(&named), Ok(Role::Operator));
        assert_eq!(door.pass(Role::Reader, Role::Operator, &named).map_err(|answer| answer.status), Err(403));
    }

    #[test]
    fn pages_of_other_origins_change_nothing() {
        let door = door(&Tokens::default());
        let status = |needs: Role, origin: &str| {
            let headers = headers(&[(HOST, "localhost:8080"), (ORIGIN, origin)]);
            door.pass(Role::Operator, needs, &headers).map_err(|answer| answer.status)
        };
        assert_eq!(status(Role::Operator, "http://localhost:8080"), Ok(()));
        for foreign in ["http://localhost:3000", "https://evil.example", "null", ""] {
            assert_eq!(status(Role::Operator, foreign), Err(403), "{foreign}");
            assert_eq!(status(Role::Reader, foreign), Ok(()), "{foreign}");
        }
    }
}
