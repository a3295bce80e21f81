//! Values as bytes, in the form in which they are kept in state: a byte that says what it is, and the content.
//!
//! Other than the form of keys ([`super::encode_value`]) this one gives back exactly the value that was put in.

use super::bytes::{Malformed, Reader, put_bytes, put_signed};
use super::json::{is_plain, validate};
use super::kept::{Kept, SpannedKind};
use super::value::{Kind, Value};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const TIMESTAMP: u8 = 5;
const TEXT: u8 = 6;
const PLAIN_TEXT: u8 = 7;
const BYTES: u8 = 8;
const JSON: u8 = 9;

/// Appends a value; `bytes` are what it points to.
pub fn put_cell(into: &mut Vec<u8>, value: Value, bytes: &[u8]) {
    match value.kind() {
        Kind::Null => into.push(NULL),
        Kind::Bool => into.push(if value.as_bool() == Some(true) { TRUE } else { FALSE }),
        Kind::Int => {
            into.push(INT);
            put_signed(into, value.as_int().unwrap_or_default());
        }
        Kind::Float => {
            into.push(FLOAT);
            into.extend_from_slice(&value.as_float().unwrap_or_default().to_le_bytes());
        }
        Kind::Timestamp => {
            into.push(TIMESTAMP);
            put_signed(into, value.as_timestamp().unwrap_or_default());
        }
        Kind::Text => {
            into.push(if value.is_plain() { PLAIN_TEXT } else { TEXT });
            put_bytes(into, bytes);
        }
        Kind::Bytes => {
            into.push(BYTES);
            put_bytes(into, bytes);
        }
        Kind::Json => {
            into.push(JSON);
            put_bytes(into, bytes);
        }
    }
}

impl Kept {
    /// Appends the value.
    pub fn put(&self, into: &mut Vec<u8>) {
        let (value, bytes) = self.parts();
        put_cell(into, value, bytes);
    }

    /// Reads what [`put_cell`] wrote.
    pub fn take(reader: &mut Reader<'_>) -> Result<Kept, Malformed> {
        let scalar = match reader.byte()? {
            NULL => Value::NULL,
            FALSE => Value::bool(false),
            TRUE => Value::bool(true),
            INT => Value::int(reader.signed()?),
            FLOAT => Value::float(finite(reader)?),
            TIMESTAMP => Value::timestamp(reader.signed()?),
            kind => return spanned(kind, reader),
        };
        Ok(Kept::Scalar(scalar))
    }
}

/// A float that is neither infinite nor none.
pub fn finite(reader: &mut Reader<'_>) -> Result<f64, Malformed> {
    let float = f64::from_bits(reader.fixed()?);
    if float.is_finite() { Ok(float) } else { Err(Malformed("a float that is no number")) }
}

fn spanned(kind: u8, reader: &mut Reader<'_>) -> Result<Kept, Malformed> {
    let bytes = reader.bytes(u32::MAX as usize)?;
    let text = || str::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"));
    let like = match kind {
        TEXT => text().map(|_| SpannedKind::Text)?,
        PLAIN_TEXT if is_plain(text()?.as_bytes()) => SpannedKind::PlainText,
        BYTES => SpannedKind::Bytes,
        JSON if is_list_or_map(bytes) => SpannedKind::Json,
        _ => return Err(Malformed("a value of no kind that is known")),
    };
    Ok(Kept::Spanned { like, bytes: bytes.into() })
}

fn is_list_or_map(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'{' | b'[')) && validate(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a value is, bit by bit.
    fn written(kept: &Kept) -> Vec<u8> {
        let mut bytes = Vec::new();
        kept.put(&mut bytes);
        bytes
    }

    fn spanned(like: SpannedKind, bytes: &[u8]) -> Kept {
        Kept::Spanned { like, bytes: bytes.into() }
    }

    #[test]
    fn values_come_back() {
        let values = [
            Value::NULL,
            Value::bool(true),
            Value::bool(false),
            Value::int(i64::MIN),
            Value::float(-0.0),
            Value::float(f64::MAX),
            Value::timestamp(-7),
        ];
        let texts = [
            spanned(SpannedKind::Text, b"\"odd\""),
            spanned(SpannedKind::PlainText, "gr\u{fc}n".as_bytes()),
            spanned(SpannedKind::Bytes, &[0, 255]),
            spanned(SpannedKind::Json, br#"{"a":[1]}"#),
        ];
        for kept in values.into_iter().map(Kept::Scalar).chain(texts) {
            let bytes = written(&kept);
            let mut reader = Reader::new(&bytes);
            let again = Kept::take(&mut reader).expect("readable");
            assert_eq!(reader.remaining(), 0);
            assert_eq!(format!("{again:?}"), format!("{kept:?}"));
            assert_eq!(
                again.parts().0.as_float().map(f64::to_bits),
                kept.parts().0.as_float().map(f64::to_bits)
            );
        }
    }

    #[test]
    fn what_was_never_written_is_refused() {
        let nan = [&[FLOAT][..], &f64::NAN.to_le_bytes()].concat();
        let wrong: [&[u8]; 6] =
            [&nan, &[PLAIN_TEXT, 1, b'"'], &[TEXT, 1, 0xff], &[JSON, 1, b'1'], &[10, 0], &[]];
        for bytes in wrong {
            assert!(Kept::take(&mut Reader::new(bytes)).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(kept) = Kept::take(&mut reader) {
                prop_assert_eq!(&written(&kept), &bytes[..bytes.len() - reader.remaining()]);
            }
        }
    }
}
