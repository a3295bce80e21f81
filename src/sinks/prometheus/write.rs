//! Samples become a request of remote write 1.0: a protobuf message in a block of Snappy.
//!
//! The message has four kinds of fields, so it is written by hand: series (1: labels, 2: samples), a label (1: name, 2:
//! value), a sample (1: value as a double, 2: milliseconds).

use super::sample::Sample;
use crate::clients::http::{Compose, Event, FixedHeaders, HttpUrl, Outgoing};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use std::collections::BTreeMap;

/// The version of the protocol.
const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");

/// The headers that follow from that.
pub const OWN: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, VERSION];

/// Where samples are written to, and as whom.
#[derive(Clone, Debug)]
pub struct WriteSamples {
    /// The URL.
    pub url: HttpUrl,
    /// Who we are, and what else is to be said.
    pub headers: FixedHeaders,
}

impl WriteSamples {
    fn request(&self, body: Vec<u8>) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(VERSION, HeaderValue::from_static("0.1.0"));
        self.headers.write(&mut headers);
        Outgoing { method: Method::POST, url: self.url.clone(), headers, body: body.into() }
    }

    /// A request without samples, which writes nothing and is judged by rights and places as any other.
    pub fn rehearsal(&self) -> Outgoing {
        // A block of Snappy that holds nothing is its length.
        self.request(vec![0])
    }
}

impl Compose for WriteSamples {
    fn compose(&self, events: &[Event<'_>], _id: &str) -> Result<Outgoing, String> {
        let mut series: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
        for event in events {
            let sample = Sample::read(event.bytes).ok_or("this is no sample")?;
            series.entry(sample.series).or_default().push((sample.time, sample.value));
        }
        let mut message = Vec::new();
        for (series, samples) in &mut series {
            // What is equal in time stays in its order; the same twice would be refused by some.
            samples.sort_by_key(|(time, _)| *time);
            samples.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
            let labels = Sample::labels(series).ok_or("this is no series")?;
            write_message(1, &write_series(&labels, samples), &mut message);
        }
        let packed = snap::raw::Encoder::new().compress_vec(&message);
        Ok(self.request(packed.map_err(|error| error.to_string())?))
    }

    fn remedy(&self, status: StatusCode) -> &'static str {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; is `auth` right, and may it write there?",
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                "; is `url` right, and remote write switched on there (Prometheus: `--web.enable-remote-write-receiver`)?"
            }
            _ => "",
        }
    }
}

fn write_series(labels: &[(&str, String)], samples: &[(i64, f64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::with_capacity(name.len() + value.len() + 8);
        write_message(1, name.as_bytes(), &mut label);
        write_message(2, value.as_bytes(), &mut label);
        write_message(1, &label, &mut series);
    }
    for (time, value) in samples {
        let mut sample = Vec::with_capacity(20);
        // Field 1 of 64 bits, and field 2 as a varint.
        sample.push(1 << 3 | 1);
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(2 << 3);
        write_varint(*time as u64, &mut sample);
        write_message(2, &sample, &mut series);
    }
    series
}

/// Appends a field that is a message or text.
fn write_message(field: u8, content: &[u8], into: &mut Vec<u8>) {
    into.push(field << 3 | 2);
    write_varint(content.len() as u64, into);
    into.extend_from_slice(content);
}

fn write_varint(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}
