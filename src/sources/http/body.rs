//! A body on its way from a request to the bytes that are decoded.

use super::form;
use super::service::Refusal;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use std::io::Read;

/// What a body is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Nothing.
    Plain,
    /// gzip.
    Gzip,
}

impl Encoding {
    /// What the headers say; None if that is anything else.
    pub fn of(headers: &HeaderMap) -> Option<Encoding> {
        let mut said = headers.get_all(CONTENT_ENCODING).iter();
        let encoding = match said.next() {
            None => Encoding::Plain,
            Some(name) if is_one_of(name.as_bytes(), &["gzip", "x-gzip"]) => Encoding::Gzip,
            Some(name) if is_one_of(name.as_bytes(), &["identity", ""]) => Encoding::Plain,
            Some(_) => return None,
        };
        said.next().is_none().then_some(encoding)
    }
}

fn is_one_of(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| text.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether the headers say that the body is a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    let said = headers.get(CONTENT_TYPE).map_or(&b""[..], |said| said.as_bytes());
    let kind = said.split(|byte| *byte == b';').next().unwrap_or_default();
    is_one_of(kind, &["application/x-www-form-urlencoded"])
}

/// A body without its packing; None where it has more bytes than that.
pub fn unpack(body: &[u8], most: usize) -> Result<Option<Bytes>, Refusal> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(body).take(most as u64 + 1).read_to_end(&mut unpacked);
    match read {
        Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body is not whole gzip")),
        Ok(_) => Ok((unpacked.len() <= most).then(|| Bytes::from(unpacked))),
    }
}

/// The bytes that are decoded. A form becomes JSON, unless it is JSON already: many a client calls everything a form.
pub fn read(body: Bytes, is_form: bool) -> Result<Bytes, Refusal> {
    match body.trim_ascii().first() {
        None => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body is empty")),
        Some(b'{' | b'[') => Ok(body),
        Some(_) if is_form => {
            let json = form::to_json(body.trim_ascii());
            json.map(Bytes::from).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why))
        }
        Some(_) => Ok(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hyper::header::{HeaderName, HeaderValue};
    use std::io::Write;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn headers_say_what_a_body_is() {
        let of = |values: &[&'static str]| Encoding::of(&headers(CONTENT_ENCODING, values));
        assert_eq!(of(&[]), Some(Encoding::Plain));
        assert_eq!((of(&["GZip"]), of(&["identity"])), (Some(Encoding::Gzip), Some(Encoding::Plain)));
        assert_eq!((of(&["br"]), of(&["gzip, gzip"]), of(&["gzip", "gzip"])), (None, None, None));
        let form = |said| is_form(&headers(CONTENT_TYPE, &[said]));
        assert!(form("Application/X-www-form-urlencoded; charset=utf-8"));
        assert!(!form("application/json") && !is_form(&HeaderMap::new()));
    }

    #[test]
    fn bodies_are_unpacked_within_their_limit() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&[b'a'; 100_000]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(unpack(&packed, 100_000).ok().flatten().unwrap().len(), 100_000);
        assert!(matches!(unpack(&packed, 99_999), Ok(None)));
        assert!(unpack(&packed[..packed.len() - 9], 100_000).is_err());
        assert!(unpack(b"{}", 100).is_err());
    }

    #[test]
    fn a_form_is_what_is_not_json() {
        let read = |body: &'static str, is_form| read(Bytes::from(body), is_form).ok();
        assert_eq!(read("a=1", true).unwrap(), r#"{"a":"1"}"#);
        assert_eq!(read("a=1", false).unwrap(), "a=1");
        assert_eq!(read(" [1]", true).unwrap(), " [1]");
        assert_eq!(read(" \r\n", false), None);
    }
}
