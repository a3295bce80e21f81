//! Values to JSON.

use super::schema::{Schema, Type, TypeId};
use crate::event::bytes::{Malformed, Reader};
use crate::event::json::{MAX_DEPTH, write_base64, write_float, write_int, write_string};
use crate::formats::lines::MAX_RECORD;
use std::borrow::Cow;

/// The most bytes of JSON that a value becomes.
const MAX_JSON: usize = 4 * MAX_RECORD;

/// Why there is no value.
#[derive(Debug)]
pub struct Fault {
    /// Whether there might be with more bytes.
    pub is_short: bool,
    /// What is wrong.
    pub what: Cow<'static, str>,
}

impl From<Malformed> for Fault {
    /// Of a number or byte string all that can be wrong here is that it is cut off, or too long.
    fn from(Malformed(what): Malformed) -> Fault {
        let is_short = what == "cut off";
        let what = if is_short { "the bytes end within a value" } else { what };
        Fault { is_short, what: what.into() }
    }
}

fn fault(what: impl Into<Cow<'static, str>>) -> Fault {
    Fault { is_short: false, what: what.into() }
}

/// Reads a value of the schema and appends it as JSON.
pub fn read(schema: &Schema, from: &mut Reader<'_>, into: &mut Vec<u8>) -> Result<(), Fault> {
    Reading { schema, from, into }.value(schema.root(), 0)
}

struct Reading<'s, 'r, 'b, 'i> {
    schema: &'s Schema,
    from: &'r mut Reader<'b>,
    into: &'i mut Vec<u8>,
}

impl<'b> Reading<'_, '_, 'b, '_> {
    fn value(&mut self, ty: TypeId, depth: usize) -> Result<(), Fault> {
        self.judge(depth)?;
        match self.schema.ty(ty) {
            Type::Null => self.into.extend_from_slice(b"null"),
            Type::Bool => {
                let word: &[u8] = if self.from.flag()? { b"true" } else { b"false" };
                self.into.extend_from_slice(word);
            }
            Type::Long => write_int(self.long()?, self.into),
            Type::Time(parts) => {
                let ms = self.long()?.div_euclid(*parts);
                write_int(ms, self.into);
            }
            Type::Float => {
                let float = f32::from_le_bytes(self.fixed()?);
                self.float(f64::from(float));
            }
            Type::Double => {
                let float = f64::from_le_bytes(self.fixed()?);
                self.float(float);
            }
            Type::Bytes => write_base64(self.bytes()?, self.into),
            Type::Fixed(size) => write_base64(self.from.take(*size)?, self.into),
            Type::Decimal(size, scale) => {
                let digits = match size {
                    Some(size) => self.from.take(*size)?,
                    None => self.bytes()?,
                };
                let value = decimal(digits, *scale).ok_or_else(|| fault("a decimal of over 128 bits"))?;
                self.float(value);
            }
            Type::Text => {
                let text = self.bytes()?;
                str::from_utf8(text).map_err(|_| fault("a string that is not UTF-8"))?;
                write_string(text, self.into);
            }
            Type::Enum(symbols) => {
                let place = usize::try_from(self.long()?).ok();
                let symbol = place.and_then(|place| symbols.get(place));
                write_string(
                    symbol.ok_or_else(|| fault("an enum beyond its symbols"))?.as_bytes(),
                    self.into,
                );
            }
            Type::Union(branches) => {
                let place = usize::try_from(self.long()?).ok();
                let branch = place.and_then(|place| branches.get(place));
                self.value(*branch.ok_or_else(|| fault("a union beyond its branches"))?, depth + 1)?;
            }
            Type::Array(items) => self.blocks(b"[]", |reading| reading.value(*items, depth + 1))?,
            Type::Map(values) => self.blocks(b"{}", |reading| {
                let key = reading.bytes()?;
                str::from_utf8(key).map_err(|_| fault("a key that is not UTF-8"))?;
                reading.member(key, *values, depth)
            })?,
            Type::Record(fields) => {
                self.into.push(b'{');
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        self.into.push(b',');
                    }
                    self.member(field.name.as_bytes(), field.ty, depth)?;
                }
                self.into.push(b'}');
            }
        }
        Ok(())
    }

    fn judge(&self, depth: usize) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(fault("values nested too deep"));
        }
        // Values may take no bytes at all, so that the input does not bound what they become.
        if self.into.len() > MAX_JSON { Err(fault("values too long")) } else { Ok(()) }
    }

    fn member(&mut self, key: &[u8], ty: TypeId, depth: usize) -> Result<(), Fault> {
        write_string(key, self.into);
        self.into.push(b':');
        self.value(ty, depth + 1)
    }

    /// Items in blocks: each behind its count (and the size in bytes, where that is negative), up to a count of zero.
    fn blocks(
        &mut self,
        brackets: &[u8; 2],
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.into.push(brackets[0]);
        let mut is_first = true;
        loop {
            let mut count = self.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long()?;
                count = count.checked_neg().ok_or_else(|| fault("a block without an end"))?;
            }
            if count > MAX_RECORD as i64 {
                return Err(fault("a list too long"));
            }
            for _ in 0..count {
                if !std::mem::take(&mut is_first) {
                    self.into.push(b',');
                }
                item(self)?;
            }
        }
        self.into.push(brackets[1]);
        Ok(())
    }

    /// A zigzag number, also in a longer form than it needs.
    fn long(&mut self) -> Result<i64, Fault> {
        let mut number = 0u64;
        for place in 0..10 {
            let byte = self.from.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(7 * place).unwrap_or_default();
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(fault("a number beyond 64 bits"))
    }

    fn bytes(&mut self) -> Result<&'b [u8], Fault> {
        let length = usize::try_from(self.long()?).map_err(|_| fault("a negative length"))?;
        if length > MAX_RECORD {
            return Err(fault("a text or bytes longer than 16 MiB"));
        }
        Ok(self.from.take(length)?)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut fixed = [0; N];
        fixed.copy_from_slice(self.from.take(N)?);
        Ok(fixed)
    }

    /// JSON has no word for what is no finite number.
    fn float(&mut self, value: f64) {
        if value.is_finite() {
            write_float(value, self.into);
        } else {
            self.into.extend_from_slice(b"null");
        }
    }
}

/// A number in two's complement, highest byte first, with so many digits behind the point.
fn decimal(digits: &[u8], scale: i32) -> Option<f64> {
    if digits.len() > 16 {
        return None;
    }
    let is_negative = digits.first().is_some_and(|first| first & 0x80 != 0);
    let start = if is_negative { -1i128 } else { 0 };
    let unscaled = digits.iter().fold(start, |sum, digit| sum << 8 | i128::from(*digit));
    Some(unscaled as f64 / 10f64.powi(scale))
}
