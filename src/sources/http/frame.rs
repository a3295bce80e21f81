//! A request as it stands in the journal.
//!
//! A version, when it arrived (milliseconds since the epoch), the body as it is decoded, and the headers that expressions ask
//! for: how many, then name and value of each. Numbers and lengths are those of [`crate::event::bytes`].

use super::inbox::Request;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use crate::time::Timestamp;
use bytes::Bytes;

/// The form of a frame.
const VERSION: u8 = 1;
/// The longest part of a frame.
const LONGEST: usize = 64 << 20;

/// The frame of a request.
pub fn write(request: &Request, arrived: Timestamp) -> Vec<u8> {
    let mut frame = Vec::with_capacity(request.body.len() + 64);
    frame.push(VERSION);
    put_signed(&mut frame, arrived.0);
    put_bytes(&mut frame, &request.body);
    put_number(&mut frame, request.headers.len() as u64);
    for (name, value) in &request.headers {
        put_bytes(&mut frame, name.as_bytes());
        put_bytes(&mut frame, value);
    }
    frame
}

/// The request of a frame, and when it arrived.
///
/// # Errors
/// What is wrong with the frame.
pub fn read(frame: &[u8]) -> Result<(Request, Timestamp), Malformed> {
    let mut reader = Reader::new(frame);
    if reader.byte()? != VERSION {
        return Err(Malformed("a frame of another version"));
    }
    let arrived = Timestamp(reader.signed()?);
    let body = Bytes::copy_from_slice(reader.bytes(LONGEST)?);
    let mut headers = Vec::new();
    for _ in 0..reader.count()? {
        let name = str::from_utf8(reader.bytes(LONGEST)?).map_err(|_| Malformed("not UTF-8"))?;
        headers.push((name.to_owned(), Bytes::copy_from_slice(reader.bytes(LONGEST)?)));
    }
    reader.finish()?;
    Ok((Request { body, headers }, arrived))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_comes_back() {
        let headers =
            vec![("idempotency-key".to_owned(), Bytes::from_static(b"7")), (String::new(), Bytes::new())];
        let request = Request { body: Bytes::from_static(&[0, 255]), headers };
        let frame = write(&request, Timestamp(-7));
        assert_eq!(read(&frame).unwrap(), (request, Timestamp(-7)));
        for end in 0..frame.len() {
            assert!(read(&frame[..end]).is_err());
        }
        assert!(read(&[&frame[..], b"x"].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes);
        }
    }
}
