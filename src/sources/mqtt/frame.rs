//! A message as it stands in the journal.
//!
//! A version, when it arrived (milliseconds since the epoch), the topic, the payload, and the user properties: how many,
//! then name and value of each. Numbers and lengths are those of [`crate::event::bytes`].

use crate::clients::mqtt::{Incoming, Qos};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use crate::time::Timestamp;
use bytes::Bytes;

/// The form of a frame.
const VERSION: u8 = 1;
/// The longest part of a frame: a packet has no more bytes, by the protocol.
const LONGEST: usize = 256 << 20;

/// The frame of a message.
pub fn write(message: &Incoming, arrived: Timestamp) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.topic.len() + message.payload.len() + 24);
    frame.push(VERSION);
    put_signed(&mut frame, arrived.0);
    put_bytes(&mut frame, &message.topic);
    put_bytes(&mut frame, &message.payload);
    put_number(&mut frame, message.properties.len() as u64);
    for (name, value) in &message.properties {
        put_bytes(&mut frame, name.as_bytes());
        put_bytes(&mut frame, value.as_bytes());
    }
    frame
}

/// The message of a frame, and when it arrived. It is acknowledged, or will be given again.
pub fn read(frame: &[u8]) -> Result<(Incoming, Timestamp), Malformed> {
    let mut reader = Reader::new(frame);
    if reader.byte()? != VERSION {
        return Err(Malformed("a frame of another version"));
    }
    let arrived = Timestamp(reader.signed()?);
    let topic = Bytes::copy_from_slice(reader.bytes(LONGEST)?);
    let payload = Bytes::copy_from_slice(reader.bytes(LONGEST)?);
    let mut properties = Vec::new();
    for _ in 0..reader.count()? {
        properties.push((text(&mut reader)?, text(&mut reader)?));
    }
    reader.finish()?;
    let message = Incoming { topic, payload, qos: Qos::AtMostOnce, packet: 0, repeated: false, properties };
    Ok((message, arrived))
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let text = str::from_utf8(reader.bytes(LONGEST)?).map_err(|_| Malformed("not UTF-8"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_comes_back() {
        let properties = vec![("a".to_owned(), "1".to_owned()), (String::new(), String::new())];
        let (topic, payload) = (Bytes::from("t/\u{e4}"), Bytes::from_static(&[0, 255]));
        let message =
            Incoming { topic, payload, qos: Qos::AtLeastOnce, packet: 7, repeated: true, properties };
        let frame = write(&message, Timestamp(-5));
        let (again, arrived) = read(&frame).unwrap();
        assert_eq!(arrived, Timestamp(-5));
        assert_eq!((again.topic, again.payload), (message.topic, message.payload));
        assert_eq!(again.properties, message.properties);
        assert!((0..frame.len()).all(|length| read(&frame[..length]).is_err()));
    }

    /// The first form, byte by byte: what an earlier version wrote stays readable.
    #[test]
    fn the_form_stays() {
        let frame = b"\x01\xd0\x0f\x01t\x02{}\x01\x01n\x01v";
        let (message, arrived) = read(frame).unwrap();
        assert_eq!((arrived, &*message.topic, &*message.payload), (Timestamp(1000), &b"t"[..], &b"{}"[..]));
        assert_eq!(write(&message, arrived), frame);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
        }
    }
}
