//! Events become the body of a request.

use super::bulk;
use crate::clients::hidden::Hidden;
use crate::clients::http::{Answer, Authorisation, Compose, Event, Fate, HttpUrl, Outgoing};
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// One event.
    Object,
    /// Events as the items of a JSON list.
    Array,
    /// Events, each with what stands behind it.
    Lines,
    /// Texts, made by a template.
    Template,
}

impl Body {
    /// What `Content-Type` says where nobody else does.
    fn content_type(self) -> &'static str {
        match self {
            Body::Object | Body::Array | Body::Template => "application/json",
            Body::Lines => "application/x-ndjson",
        }
    }
}

/// How requests are made.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The method.
    pub method: Method,
    /// The URL; None where each event has its own, as the first text of its address.
    pub url: Option<Hidden>,
    /// Headers with their values; None where each event has its own, in its address behind the URL.
    pub headers: Vec<(HeaderName, Option<Hidden>)>,
    /// What a body holds. The text of a template stands behind the headers.
    pub body: Body,
    /// Who we are.
    pub auth: Authorisation,
    /// The header that holds what says that a request is the same again.
    pub idempotency: Option<HeaderName>,
    /// What stands before the first event of a body.
    pub preamble: Vec<u8>,
    /// What stands behind each event of [`Body::Lines`].
    pub separator: Vec<u8>,
}

impl Manner {
    /// What the texts of an address are.
    pub fn layout(&self) -> Vec<&str> {
        let url = self.url.is_none().then_some("(url)");
        let headers = self.headers.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str());
        let body = (self.body == Body::Template).then_some("(body)");
        url.into_iter().chain(headers).chain(body).collect()
    }

    fn write_body(&self, events: &[Event<'_>]) -> Vec<u8> {
        let mut body = Vec::with_capacity(events.iter().map(|event| event.bytes.len() + 2).sum());
        match self.body {
            Body::Template => {
                let texts = events.iter().filter_map(|event| event.texts.last());
                texts.for_each(|text| body.extend_from_slice(text.as_bytes()));
            }
            Body::Array => {
                for (number, event) in events.iter().enumerate() {
                    body.push(if number == 0 { b'[' } else { b',' });
                    body.extend_from_slice(event.bytes);
                }
                body.push(b']');
            }
            Body::Object | Body::Lines => {
                body.extend_from_slice(&self.preamble);
                for event in events {
                    body.extend_from_slice(event.bytes);
                    if self.body == Body::Lines {
                        body.extend_from_slice(&self.separator);
                    }
                }
            }
        }
        body
    }
}

impl Compose for Manner {
    fn texts(&self) -> usize {
        self.shared() + usize::from(self.body == Body::Template)
    }

    fn shared(&self) -> usize {
        let own = self.headers.iter().filter(|(_, value)| value.is_none()).count();
        own + usize::from(self.url.is_none())
    }

    fn compose(&self, events: &[Event<'_>], id: &str) -> Result<Outgoing, String> {
        let mut texts = events.first().map_or(&[][..], |event| &event.texts).iter().copied();
        let mut own = || texts.next().ok_or("a text is missing");
        let url = HttpUrl::parse(self.url.as_ref().map_or_else(&mut own, |Hidden(url)| Ok(url))?)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.body.content_type()));
        for (name, value) in &self.headers {
            let text = value.as_ref().map_or_else(&mut own, |Hidden(value)| Ok(value))?;
            let mut value = HeaderValue::from_bytes(text.as_bytes());
            // It may be a secret.
            value.iter_mut().for_each(|value| value.set_sensitive(true));
            headers.insert(name, value.map_err(|_| format!("the header `{name}` holds control characters"))?);
        }
        if let Some(name) = &self.idempotency {
            headers.insert(name, HeaderValue::try_from(id).map_err(|error| error.to_string())?);
        }
        self.auth.write(&mut headers);
        let (method, body) = (self.method.clone(), self.write_body(events).into());
        Ok(Outgoing { method, url, headers, body })
    }

    fn fates(&self, answer: &Answer, events: usize) -> Option<Vec<Fate>> {
        bulk::fates(&answer.body, events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: Body, texts: &[&'static str]) -> Outgoing {
        let manner = Manner {
            method: Method::POST,
            url: None,
            headers: vec![
                (HeaderName::from_static("x-fixed"), Some(Hidden("f".to_owned()))),
                (HeaderName::from_static("x-line"), None),
            ],
            body,
            auth: Authorisation::of("Bearer", "secret"),
            idempotency: Some(HeaderName::from_static("idempotency-key")),
            preamble: Vec::new(),
            separator: b"\n".to_vec(),
        };
        let event = |n: usize| Event {
            texts: ["http://a/b", "l1"].into_iter().chain(texts.get(n).copied()).collect(),
            id: "",
            bytes: [&b"{\"n\":1}"[..], b"{\"n\":2}"][n],
        };
        manner.compose(&[event(0), event(1)], "7").unwrap()
    }

    #[test]
    fn bodies_are_lists_lines_or_texts() {
        assert_eq!(&sent(Body::Array, &[]).body[..], b"[{\"n\":1},{\"n\":2}]");
        assert_eq!(&sent(Body::Lines, &[]).body[..], b"{\"n\":1}\n{\"n\":2}\n");
        let sent = sent(Body::Template, &["a\n", "b\n"]);
        assert_eq!(&sent.body[..], b"a\nb\n");
        assert_eq!(
            (&sent.headers["x-line"], &sent.headers["x-fixed"]),
            (&"l1".parse().unwrap(), &"f".parse().unwrap())
        );
        assert_eq!(sent.headers["idempotency-key"], "7");
        assert_eq!(sent.headers["authorization"], "Bearer secret");
        assert!(!format!("{:?}", sent.headers).contains("secret"));
        assert!(!format!("{:?}", sent.headers).contains("l1"));
    }
}
