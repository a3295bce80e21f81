//! Where a request goes.

use super::HttpServer;
use crate::dataflow::Escape;
use crate::event::percent_encode;
use std::fmt::{self, Write};

/// What no URL holds as it is, beside blanks, controls and what is not ASCII.
const UNSAFE: &[u8] = b"\"<>\\^`{|}";

/// A URL to which something is posted.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// The server.
    pub server: HttpServer,
    /// The path and the query, encoded.
    pub path: String,
}

/// The path and the query may hold secrets.
impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/***", self.server)
    }
}

impl HttpUrl {
    /// Reads `https://HOST[:PORT][/PATH][?QUERY]`. What a URL cannot hold is percent-encoded in path and query, so that a
    /// query may stand there as it is read; what it can hold, `%` too, stays as it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<HttpUrl, &'static str> {
        let after = text.find("://").map(|at| at + 3).ok_or("a URL begins with `https://` or `http://`")?;
        let end = text[after..].find(['/', '?', '#']).map_or(text.len(), |at| after + at);
        if text[after..end].contains('@') {
            return Err("a URL holds no user and no password here; `auth` does");
        }
        if text.contains('#') {
            return Err("a URL that is posted to has no `#`; in a value it is written `%23`");
        }
        let server = HttpServer::parse(&text[..end])
            .map_err(|_| "it is no URL such as `https://host:443/path?query`")?;
        let mut path = String::with_capacity(text.len() - end + 1);
        if !text[end..].starts_with('/') {
            path.push('/');
        }
        for byte in text[end..].bytes() {
            match byte {
                b'!'..=b'~' if !UNSAFE.contains(&byte) => path.push(char::from(byte)),
                // Writing to a text does not fail.
                _ => _ = write!(path, "%{byte:02X}"),
            }
        }
        Ok(HttpUrl { server, path })
    }
}

/// How a value of an event is written into a URL, behind this text of its template: percent-encoded, in a path as a part of
/// it between two slashes. In front of the path it stays as it is, as it names the server, or is a whole URL.
pub fn escape(before: &str) -> Option<Escape> {
    let behind_scheme = before.split_once("://").map_or(before, |(_, rest)| rest);
    let at = behind_scheme.find(['/', '?'])?;
    match behind_scheme[at..].contains('?') {
        true => Some(|value| percent_encode(value, true)),
        false => Some(|value| percent_encode(value, false)),
    }
}

/// Whether a text can be posted to, of which so many bytes at the beginning are the template's own.
///
/// # Errors
/// What is wrong with it.
pub fn is_url(text: &str, own: usize) -> Result<(), &'static str> {
    let url = HttpUrl::parse(text)?;
    let path = url.path.split('?').next().unwrap_or_default();
    if own < text.len() && path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("`.` and `..` lead elsewhere, and cannot be encoded");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_what_stands_behind() {
        let url = HttpUrl::parse("https://ch:8443/?query=INSERT INTO r FORMAT \"x\"&ü=1%20").unwrap();
        assert_eq!((url.server.to_string().as_str(), url.server.port), ("https://ch:8443", 8443));
        assert_eq!(url.path, "/?query=INSERT%20INTO%20r%20FORMAT%20%22x%22&%C3%BC=1%20");
        assert_eq!(HttpUrl::parse("http://a?b=c/d").unwrap().path, "/?b=c/d");
        assert_eq!(HttpUrl::parse("http://[::1]:1").unwrap().path, "/");
        for wrong in
            ["a/b", "ftp://a/", "http://u:p@a/", "http:///x", "http://a/#b", "http://a:x/", "http://a b/"]
        {
            assert!(HttpUrl::parse(wrong).is_err(), "{wrong}");
        }
        assert!(HttpUrl::parse("http://a/x@y").is_ok(), "only in front of the path it means somebody");
    }

    #[test]
    fn values_are_encoded_by_where_they_stand() {
        let escaped = |before: &str| escape(before).map(|escape| escape("a/b?c=ä&d e.f%"));
        for whole in ["", "http://", "https://plant-"] {
            assert_eq!(escaped(whole), None, "{whole}");
        }
        for path in ["http://host/", "/", "://:80/x-", "http://host/x/"] {
            assert_eq!(escaped(path).unwrap(), "a%2Fb%3Fc%3D%C3%A4%26d%20e.f%25", "{path}");
        }
        for query in ["http://host?q=", "http://host/x/?a=b&q=", "http://host/?q=/"] {
            assert_eq!(escaped(query).unwrap(), "a/b%3Fc%3D%C3%A4%26d%20e.f%25", "{query}");
        }
        assert!(is_url("http://host/x/../y", 12).is_err());
        assert!(is_url("http://host/x/../y", 18).is_ok(), "it was written like that");
        assert!(is_url("http://host/x/..y?z=/../", 12).is_ok());
    }
}
