//! Numbers and byte strings as bytes, and back with limits.
//!
//! Unsigned numbers are LEB128 (seven bits a byte, lowest first, the high bit says that more follow) in their
//! shortest form; signed ones are zigzag first. What is variable in length has its length before it. There is one
//! way to write a value: any other is refused, so that what was read and written again is the same bytes.

use crate::time::{Random, Timestamp};

/// Bytes that are not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The longest form of a 64-bit number.
const LONGEST: u32 = 10;

/// Appends an unsigned number.
pub fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Appends a signed number; those near zero are short.
pub fn put_signed(into: &mut Vec<u8>, number: i64) {
    put_number(into, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends a time.
pub fn put_time(into: &mut Vec<u8>, time: Timestamp) {
    put_signed(into, time.0);
}

/// Appends a length and bytes.
pub fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// Takes bytes apart from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes behind the end")) }
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(Malformed("cut off"))?;
        self.rest = rest;
        Ok(byte)
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }

    /// So many bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned number.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for place in 0..LONGEST {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if place + 1 == LONGEST && bits > 1 {
                return Err(Malformed("a number beyond 64 bits"));
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || place == 0;
                return if shortest { Ok(number) } else { Err(Malformed("a number in a longer form")) };
            }
        }
        Err(Malformed("a number beyond 64 bits"))
    }

    /// A number of at most 32 bits.
    pub fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed("a number beyond 32 bits"))
    }

    /// A signed number.
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A time.
    pub fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.signed().map(Timestamp)
    }

    /// Eight bytes, lowest first: for what is random or hashed.
    pub fn fixed(&mut self) -> Result<u64, Malformed> {
        let (&fixed, rest) = self.rest.split_first_chunk().ok_or(Malformed("cut off"))?;
        self.rest = rest;
        Ok(u64::from_le_bytes(fixed))
    }

    /// Bytes behind their length, which is at most `limit`.
    pub fn bytes(&mut self, limit: usize) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed("too long"))?;
        if length > limit { Err(Malformed("too long")) } else { self.take(length) }
    }

    /// The number of things that follow, each at least one byte long.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed("too many"))?;
        if count > self.rest.len() { Err(Malformed("too many")) } else { Ok(count) }
    }
}

/// Appends a random sequence, if it has begun.
pub fn put_random(into: &mut Vec<u8>, random: Option<&Random>) {
    into.push(u8::from(random.is_some()));
    random.into_iter().for_each(|random| into.extend_from_slice(&random.rest().to_le_bytes()));
}

/// Reads a random sequence, if it had begun.
pub fn read_random(reader: &mut Reader<'_>) -> Result<Option<Random>, Malformed> {
    match reader.byte()? {
        0 => Ok(None),
        1 => Ok(Some(Random::seeded(reader.fixed()?))),
        _ => Err(Malformed("neither a sequence nor none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u64>(), shift in 0..64u32) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_signed(&mut bytes, number as i64);
            put_signed(&mut bytes, -(number as i64 >> 1));
            put_bytes(&mut bytes, b"abc");
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.signed(), Ok(number as i64));
            prop_assert_eq!(reader.signed(), Ok(-(number as i64 >> 1)));
            prop_assert_eq!(reader.bytes(3), Ok(b"abc".as_slice()));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn a_number_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(number) = reader.number() {
                let mut again = Vec::new();
                put_number(&mut again, number);
                prop_assert_eq!(&again, &bytes[..bytes.len() - reader.remaining()]);
            }
        }
    }

    #[test]
    fn limits_hold() {
        assert_eq!(Reader::new(&[4, 1, 2, 3, 4]).bytes(3), Err(Malformed("too long")));
        assert_eq!(Reader::new(&[4, 1, 2, 3]).bytes(9), Err(Malformed("cut off")));
        assert_eq!(Reader::new(&[9, 1]).count(), Err(Malformed("too many")));
        assert_eq!(Reader::new(&[0x80, 0]).number(), Err(Malformed("a number in a longer form")));
        assert_eq!(Reader::new(&[0xff; 10]).number(), Err(Malformed("a number beyond 64 bits")));
    }
}
