//! Events with their addresses, as Kafka's records.

use crate::dataflow::read_addressed;

/// Which texts stand before each event: its topic, and then what of the rest the sink was given, in this order.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Whether there is a key.
    pub key: bool,
    /// Whether there is a number of a partition.
    pub partition: bool,
    /// Whether there is a time in milliseconds.
    pub timestamp: bool,
    /// The names of headers, each with a value.
    pub headers: Vec<String>,
}

/// A record of Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'c> {
    /// Where it goes.
    pub topic: &'c str,
    /// Null if there is none.
    pub key: Option<&'c str>,
    /// By the key, or any, if there is none.
    pub partition: Option<i32>,
    /// When it is written, if there is none.
    pub timestamp: Option<i64>,
    /// The event.
    pub payload: &'c [u8],
    /// All that stood before and behind the event: it and its address as they were written.
    pub whole: &'c [u8],
}

impl Layout {
    /// What the texts behind the topic are.
    pub fn names(&self) -> Vec<&str> {
        let own = [(self.key, "(key)"), (self.partition, "(partition)"), (self.timestamp, "(timestamp)")];
        let own = own.into_iter().filter(|(has, _)| *has).map(|(_, name)| name);
        own.chain(self.headers.iter().map(String::as_str)).collect()
    }

    /// How many texts there are.
    pub fn texts(&self) -> usize {
        1 + [self.key, self.partition, self.timestamp].iter().filter(|has| **has).count() + self.headers.len()
    }

    /// The next record of a chunk; `texts` has room for its texts, the last of which are the values of headers.
    pub fn next<'c>(&self, chunk: &mut &'c [u8], texts: &mut [&'c str]) -> Option<Record<'c>> {
        let before = *chunk;
        let payload = read_addressed(chunk, texts)?;
        let mut rest = texts.iter().copied();
        let topic = rest.next()?;
        let key = if self.key { rest.next() } else { None };
        // Checks of both have seen a number there.
        let partition = if self.partition { rest.next().and_then(|text| text.parse().ok()) } else { None };
        let timestamp = if self.timestamp { rest.next().and_then(|text| text.parse().ok()) } else { None };
        let whole = &before[..before.len() - chunk.len()];
        Some(Record { topic, key, partition, timestamp, payload, whole })
    }

    /// Calls `each` with each record of a chunk, its number, and the values of its headers.
    pub fn each(&self, chunk: &[u8], mut each: impl FnMut(usize, &Record<'_>, &[&str])) {
        let (mut rest, mut texts) = (chunk, vec![""; self.texts()]);
        let first_header = texts.len() - self.headers.len();
        let mut number = 0;
        while let Some(record) = self.next(&mut rest, &mut texts) {
            each(number, &record, &texts[first_header..]);
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::write_addressed;

    fn chunk(texts: &[&str], payload: &[u8]) -> Vec<u8> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let mut chunk = Vec::new();
        let fill = |into: &mut Vec<u8>| {
            into.extend_from_slice(payload);
            Ok::<(), ()>(())
        };
        write_addressed(&texts, &mut chunk, fill).unwrap();
        chunk
    }

    #[test]
    fn texts_are_told_apart_by_the_layout() {
        let full = Layout { key: true, partition: true, timestamp: true, headers: vec!["h".to_owned()] };
        let bytes = chunk(&["t", "k", "3", "1500", "v"], b"{}");
        let mut seen = Vec::new();
        full.each(&[bytes.clone(), bytes.clone()].concat(), |number, record, headers| {
            assert_eq!((record.topic, record.key, record.partition), ("t", Some("k"), Some(3)));
            assert_eq!((record.timestamp, record.payload, headers), (Some(1500), &b"{}"[..], &["v"][..]));
            assert_eq!(record.whole, bytes);
            seen.push(number);
        });
        assert_eq!(seen, [0, 1]);
        let bare = Layout::default();
        bare.each(&chunk(&["t"], b"x"), |_, record, headers| {
            assert_eq!(
                (record.topic, record.key, record.partition, record.timestamp),
                ("t", None, None, None)
            );
            assert!(headers.is_empty());
        });
    }
}
