//! Bytes: written as text and read from it, and the numbers inside them. Offsets count from 0.

use super::cached::Cached;
use super::context::{Context, Failure, Outcome, check_length, finite};
use super::convert::{constant_text, short};
use super::spec::{Arg, Body, FunctionSpec, Group, Instance, Made, Returns, arg};
use crate::event::{Value, json};
use crate::expr::literal::Literal;
use crate::expr::types::Type;
use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What has bytes: bytes themselves, and text by its UTF-8.
pub(super) const DATA: Type = Type::BYTES.or(Type::TEXT);

const B: &[Arg] = &[arg("b", DATA)];
const S: &[Arg] = &[arg("s", Type::TEXT)];
const READ: &[Arg] = &[arg("b", Type::BYTES), arg("offset", Type::INT), arg("type", Type::TEXT)];

const fn new(
    name: &'static str,
    args: &'static [Arg],
    ty: Type,
    body: fn(&mut Context, &[Value]) -> Outcome,
) -> FunctionSpec {
    FunctionSpec::new(Group::Bytes, name, args, Returns::Is(ty), Body::Plain(body))
}

/// The functions on bytes.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    new("to_hex", B, Type::TEXT, |cx, args| {
        cx.write_ascii(|batch, out| {
            check_length(batch.bytes(args[0]).len() * 2)?;
            push_hex(batch.bytes(args[0]), out);
            Ok(())
        })
    }).doc(
        "The bytes, or those of the text in UTF-8, in lower-case hexadecimal.",
        &[("to_hex('Ab')", "\"4162\""), ("to_hex(from_hex('00FF'))", "\"00ff\"")],
    ),
    new("from_hex", S, Type::BYTES, |cx, args| cx.write_bytes(|batch, out| from_hex(batch.text(args[0]), out)))
        .doc(
            "The bytes that hexadecimal text in upper or lower case says.",
            &[("from_utf8(from_hex('4162'))", "\"Ab\"")],
        ),
    new("to_base64", B, Type::TEXT, |cx, args| {
        cx.write_ascii(|batch, out| {
            json::base64(batch.bytes(args[0]), out);
            Ok(())
        })
    })
    .doc(
        "The bytes, or those of the text in UTF-8, in base64 (RFC 4648) with padding.",
        &[("to_base64('pump 4')", "\"cHVtcCA0\""), ("to_base64(from_hex('ff'))", "\"/w==\"")],
    ),
    new("from_base64", S, Type::BYTES, |cx, args| {
        cx.write_bytes(|batch, out| from_base64(batch.text(args[0]), out))
    })
    .doc(
        "The bytes that base64 says, of the standard or the URL-safe alphabet, with or without padding.",
        &[("from_utf8(from_base64('cHVtcCA0'))", "\"pump 4\""), ("to_hex(from_base64('-_8'))", "\"fbff\"")],
    ),
    new("to_utf8", S, Type::BYTES, |_, args| Ok(Value::bytes(args[0].span())))
        .doc("The bytes of the text in UTF-8.", &[("to_hex(to_utf8('ü'))", "\"c3bc\"")]),
    new("from_utf8", &[arg("b", Type::BYTES)], Type::TEXT, |cx, args| {
        match simdutf8::basic::from_utf8(cx.batch.bytes(args[0])) {
            Ok(_) => Ok(Value::text(args[0].span())),
            Err(_) => Err("the bytes are not UTF-8".into()),
        }
    })
    .doc("The text that the bytes are in UTF-8.", &[("from_utf8(from_hex('c3bc'))", "\"ü\"")]),
    FunctionSpec::new(Group::Bytes, "read_int", READ, Returns::Is(Type::INT), Body::Made(ReadInt::make)).doc(
        "The integer that stands at an offset, counted from 0: `u8` or `i8`, or of 16, 24, 32 or 64 bits without (`u`) \
         or with sign (`i`), the highest byte first (`be`) or last (`le`); one that does not fit is rejected.",
        &[
            ("read_int(from_hex('00fffe'), 1, 'u16be')", "65534"),
            ("read_int(from_hex('00fffe'), 1, 'i16be')", "-2"),
            ("read_int(from_hex('01000000'), 0, 'u32le')", "1"),
        ],
    ),
    FunctionSpec::new(Group::Bytes, "read_float", READ, Returns::Is(Type::FLOAT), Body::Made(ReadFloat::make))
        .doc(
            "The float that stands at an offset, counted from 0: `f32be`, `f32le`, `f64be` or `f64le`; infinity and NaN \
             are rejected.",
            &[("read_float(from_hex('41a40000'), 0, 'f32be')", "20.5")],
        ),
];

/// Appends bytes in lower-case hexadecimal.
pub(super) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]));
}

fn from_hex(text: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("the text is not hexadecimal");
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("a hexadecimal digit is missing".into());
    }
    for [high, low] in pairs {
        out.push((digit(*high)? << 4 | digit(*low)?) as u8);
    }
    Ok(())
}

fn from_base64(text: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
    const fn engine(alphabet: &Alphabet) -> GeneralPurpose {
        let either = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        GeneralPurpose::new(alphabet, either)
    }
    const ENGINES: [GeneralPurpose; 2] = [engine(&STANDARD), engine(&URL_SAFE)];
    let [standard, url_safe] = &ENGINES;
    let engine = if text.contains(['-', '_']) { url_safe } else { standard };
    check_length(text.len() / 4 * 3)?;
    engine.decode_vec(text, out).map_err(|_| "the text is not base64".into())
}

/// The bytes of a number that a `read_…` call wants.
fn number<'a>(context: &'a Context, args: &[Value], length: usize) -> Result<&'a [u8], Failure> {
    let bytes = context.batch.bytes(args[0]);
    let offset = args[1].as_int().unwrap_or_default();
    let start = usize::try_from(offset).ok();
    let found = start.and_then(|start| bytes.get(start..start.checked_add(length)?));
    found.ok_or_else(|| {
        let plural = if length == 1 { "" } else { "s" };
        format!("there are not {length} byte{plural} at offset {offset} of {}", bytes.len()).into()
    })
}

/// How an integer stands among bytes.
#[derive(Clone, Copy)]
struct IntType {
    /// In bytes.
    length: usize,
    signed: bool,
    big: bool,
}

impl IntType {
    fn by_name(name: &str) -> Result<IntType, String> {
        let (size, big) = match (name.strip_suffix("be"), name.strip_suffix("le")) {
            (Some(size), _) => (size, true),
            (_, Some(size)) => (size, false),
            _ => (name, true),
        };
        let (signed, bits) = match (size.strip_prefix('i'), size.strip_prefix('u')) {
            (Some(bits), _) => (true, bits),
            (_, Some(bits)) => (false, bits),
            _ => (false, ""),
        };
        let length = match bits {
            "8" if size == name => 1,
            "16" if size != name => 2,
            "24" if size != name => 3,
            "32" if size != name => 4,
            "64" if size != name => 8,
            _ => {
                let types = "u8, i8, u16be, i16le, u24be, …, i64le";
                return Err(format!("`{}` is no type of integer: {types}", short(name)));
            }
        };
        Ok(IntType { length, signed, big })
    }

    /// The integer that the bytes, as many as the type has, are.
    fn read(self, bytes: &[u8]) -> Outcome {
        let push = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let bits = if self.big { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) };
        if self.signed {
            let unused = 64 - 8 * self.length as u32;
            return Ok(Value::int(((bits << unused) as i64) >> unused));
        }
        i64::try_from(bits).map(Value::int).map_err(|_| "integer overflow".into())
    }
}

/// `read_int`, with the type it last met.
struct ReadInt(Cached<IntType>);

impl ReadInt {
    fn make(constants: &[Option<&Literal>]) -> Made {
        constant_text(constants, 2).map(IntType::by_name).transpose()?;
        Ok(Box::new(ReadInt(Cached::default())))
    }
}

impl Instance for ReadInt {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let ty = *self.0.get(context.text(args[2]), IntType::by_name)?;
        ty.read(number(context, args, ty.length)?)
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(ReadInt(Cached::default()))
    }
}

/// How a float stands among bytes: its length, and whether the highest byte is first.
type FloatType = (usize, bool);

fn float_type(name: &str) -> Result<FloatType, String> {
    Ok(match name {
        "f32be" => (4, true),
        "f32le" => (4, false),
        "f64be" => (8, true),
        "f64le" => (8, false),
        _ => return Err(format!("`{}` is no type of float: f32be, f32le, f64be, f64le", short(name))),
    })
}

/// `read_float`, with the type it last met.
struct ReadFloat(Cached<FloatType>);

impl ReadFloat {
    fn make(constants: &[Option<&Literal>]) -> Made {
        constant_text(constants, 2).map(float_type).transpose()?;
        Ok(Box::new(ReadFloat(Cached::default())))
    }
}

impl Instance for ReadFloat {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let (length, big) = *self.0.get(context.text(args[2]), float_type)?;
        let bytes = number(context, args, length)?;
        let mut ordered = [0; 8];
        ordered[..length].copy_from_slice(bytes);
        if !big {
            ordered[..length].reverse();
        }
        let bits = u64::from_be_bytes(ordered);
        match length {
            4 => finite(f32::from_bits((bits >> 32) as u32).into()),
            _ => finite(f64::from_bits(bits)),
        }
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(ReadFloat(Cached::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn int(name: &str, bytes: &[u8]) -> Option<i64> {
        let ty = IntType::by_name(name).unwrap();
        assert_eq!(ty.length, bytes.len(), "{name}");
        ty.read(bytes).ok().and_then(Value::as_int)
    }

    #[test]
    fn base64_holds_to_its_vectors() {
        // RFC 4648, section 10.
        let vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, text) in vectors.into_iter().enumerate() {
            let (mut written, mut read, mut bare) = (Vec::new(), Vec::new(), Vec::new());
            json::base64(&b"foobar"[..length], &mut written);
            assert_eq!(written, text.as_bytes());
            from_base64(text, &mut read).unwrap();
            from_base64(text.trim_end_matches('='), &mut bare).unwrap();
            assert_eq!((read.as_slice(), bare.as_slice()), (&b"foobar"[..length], &b"foobar"[..length]));
        }
        for wrong in ["Z", "Zm9v=", "Zg==Zg==", "Zh==", "Z g=", "Zg==\n", "+-aa", "ü"] {
            assert!(from_base64(wrong, &mut Vec::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn types_are_known_by_name() {
        for wrong in
            ["", "u", "8", "u16", "u8be", "i8le", "u32xe", "s16be", "U16be", "u128be", "u16bele", "ube"]
        {
            assert!(IntType::by_name(wrong).is_err(), "{wrong}");
        }
        assert!(float_type("f32").is_err() && float_type("f16be").is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(bytes: Vec<u8>) {
            let (mut hex, mut base64, mut read) = (Vec::new(), Vec::new(), Vec::new());
            push_hex(&bytes, &mut hex);
            let hex = String::from_utf8(hex).unwrap();
            prop_assert_eq!(&hex, &bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            from_hex(&hex.to_uppercase(), &mut read).unwrap();
            prop_assert_eq!(&read, &bytes);
            json::base64(&bytes, &mut base64);
            let base64 = String::from_utf8(base64).unwrap();
            for text in [base64.clone(), base64.replace('+', "-").replace('/', "_")] {
                read.clear();
                from_base64(&text, &mut read).unwrap();
                prop_assert_eq!(&read, &bytes);
            }
        }

        #[test]
        fn integers_are_read_as_they_are_written(n: i64) {
            prop_assert_eq!(int("i64be", &n.to_be_bytes()), Some(n));
            prop_assert_eq!(int("i64le", &n.to_le_bytes()), Some(n));
            prop_assert_eq!(int("u64be", &n.to_be_bytes()), (n >= 0).then_some(n));
            prop_assert_eq!(int("u64le", &n.to_le_bytes()), (n >= 0).then_some(n));
            let (be, le) = (n.to_be_bytes(), n.to_le_bytes());
            prop_assert_eq!(int("i32be", &be[4..]), Some((n as i32).into()));
            prop_assert_eq!(int("u32le", &le[..4]), Some((n as u32).into()));
            prop_assert_eq!(int("i24be", &be[5..]), Some(n << 40 >> 40));
            prop_assert_eq!(int("i24le", &le[..3]), Some(n << 40 >> 40));
            prop_assert_eq!(int("u24be", &be[5..]), Some(n & 0xff_ffff));
            prop_assert_eq!(int("i16le", &le[..2]), Some((n as i16).into()));
            prop_assert_eq!(int("u16be", &be[6..]), Some((n as u16).into()));
            prop_assert_eq!(int("i8", &le[..1]), Some((n as i8).into()));
            prop_assert_eq!(int("u8", &le[..1]), Some((n as u8).into()));
        }
    }
}
