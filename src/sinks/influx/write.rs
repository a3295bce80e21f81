//! Lines become a request.

use crate::clients::http::{Authorisation, Compose, Event, HttpUrl, Outgoing};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use std::io::Write;

/// Where lines are written to, and as whom.
#[derive(Clone, Debug)]
pub struct WriteLines {
    /// The URL.
    pub url: HttpUrl,
    /// Who we are.
    pub auth: Authorisation,
}

impl WriteLines {
    fn request(&self, body: Vec<u8>, packed: bool) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self.auth.write(&mut headers);
        Outgoing { method: Method::POST, url: self.url.clone(), headers, body: body.into() }
    }

    /// A request without points, which writes nothing and is judged by rights and places as any other.
    pub fn rehearsal(&self) -> Outgoing {
        self.request(Vec::new(), false)
    }
}

impl Compose for WriteLines {
    fn compose(&self, events: &[Event<'_>], _id: &str) -> Result<Outgoing, String> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        for event in events {
            let written = packed.write_all(event.bytes).and_then(|()| packed.write_all(b"\n"));
            written.map_err(|error| error.to_string())?;
        }
        Ok(self.request(packed.finish().map_err(|error| error.to_string())?, true))
    }

    fn remedy(&self, status: StatusCode) -> &'static str {
        match status {
            StatusCode::UNAUTHORIZED => "; is `token` right?",
            StatusCode::FORBIDDEN => "; may this token write to `bucket`?",
            StatusCode::NOT_FOUND => "; are `url`, `org` and `bucket` right?",
            _ => "",
        }
    }
}
