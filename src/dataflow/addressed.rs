//! Events that each carry an address of their own to a sink: the topic of a message, the path of a file.
//!
//! A record is its texts and then its bytes, each behind its length as four bytes. So a chunk of many events goes to
//! the sink in one call, as it does where all go to one place.

/// Appends a record whose bytes `fill` appends; on its error nothing is appended.
///
/// # Errors
/// That of `fill`.
pub fn write_addressed<E>(
    texts: &[String],
    into: &mut Vec<u8>,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = into.len();
    for text in texts {
        into.extend_from_slice(&(text.len() as u32).to_le_bytes());
        into.extend_from_slice(text.as_bytes());
    }
    let length = into.len();
    into.extend_from_slice(&[0; 4]);
    if let Err(error) = fill(into) {
        into.truncate(start);
        return Err(error);
    }
    let filled = (into.len() - length - 4) as u32;
    into[length..length + 4].copy_from_slice(&filled.to_le_bytes());
    Ok(())
}

/// The next record of a chunk: `texts` is given its texts, and its bytes are returned. None at the end.
pub fn read_addressed<'c>(chunk: &mut &'c [u8], texts: &mut [&'c str]) -> Option<&'c [u8]> {
    for text in texts {
        *text = str::from_utf8(piece(chunk)?).ok()?;
    }
    piece(chunk)
}

fn piece<'c>(chunk: &mut &'c [u8]) -> Option<&'c [u8]> {
    let (length, rest) = chunk.split_first_chunk::<4>()?;
    let (piece, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *chunk = rest;
    Some(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order() {
        let mut chunk = Vec::new();
        let fill = |bytes: &'static [u8]| {
            move |into: &mut Vec<u8>| {
                into.extend_from_slice(bytes);
                Ok::<(), ()>(())
            }
        };
        write_addressed(&["a/b".into(), "1".into()], &mut chunk, fill(b"one\n")).unwrap();
        let failing = |into: &mut Vec<u8>| {
            into.push(7);
            Err(())
        };
        assert_eq!(write_addressed(&["x".into(), "y".into()], &mut chunk, failing), Err(()));
        write_addressed(&["".into(), "ä".into()], &mut chunk, fill(b"")).unwrap();
        let (mut rest, mut texts) = (chunk.as_slice(), ["", ""]);
        assert_eq!(read_addressed(&mut rest, &mut texts), Some(&b"one\n"[..]));
        assert_eq!(texts, ["a/b", "1"]);
        assert_eq!(read_addressed(&mut rest, &mut texts), Some(&b""[..]));
        assert_eq!(texts, ["", "ä"]);
        assert_eq!(read_addressed(&mut rest, &mut texts), None);
    }
}
