//! A value that is too long for one record, cut into pieces. Each is a record of its own, and all of them are in the
//! commit that holds the rest of the checkpoint: so a value is there as a whole or not at all.

use super::checkpoint::{Entry, KEY_LIMIT, VALUE_LIMIT};
use super::keyed::StateKey;
use super::number::Epoch;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};

/// The format of a piece, where a checkpoint has its own.
pub const PIECE_VERSION: u8 = 2;

/// The most bytes of a piece. With a key of a usual length it fits a page of the store of 1 MiB.
pub const PIECE_BYTES: usize = (1 << 20) - (8 << 10);

/// A part of the value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The checkpoint that it is part of.
    pub epoch: Epoch,
    /// Whose value.
    pub key: StateKey,
    /// How long the value is.
    pub total: usize,
    /// Where in it the piece begins.
    pub from: usize,
    /// The piece.
    pub bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// All pieces of a value, in order.
    pub fn cut(
        epoch: Epoch,
        key: &StateKey,
        value: &'a [u8],
        most: usize,
    ) -> impl Iterator<Item = Piece<'a>> {
        let pieces = value.chunks(most.max(1)).enumerate();
        pieces.map(move |(number, bytes)| Piece {
            epoch,
            key: key.clone(),
            total: value.len(),
            from: number * most.max(1),
            bytes,
        })
    }

    /// Whether the payload of a checkpoint's record is a piece.
    pub fn is_in(payload: &[u8]) -> bool {
        payload.first() == Some(&PIECE_VERSION)
    }

    /// Appends it.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.push(PIECE_VERSION);
        put_number(into, self.epoch.0);
        put_bytes(into, self.key.as_bytes());
        put_number(into, self.total as u64);
        put_number(into, self.from as u64);
        put_bytes(into, self.bytes);
    }

    /// Reads what [`Piece::encode`] wrote, and nothing else.
    pub fn decode(bytes: &'a [u8]) -> Result<Piece<'a>, Malformed> {
        let reader = &mut Reader::new(bytes);
        if reader.byte()? != PIECE_VERSION {
            return Err(Malformed("a piece of another version"));
        }
        let epoch = Epoch(reader.number()?);
        let key = StateKey::from_bytes(reader.bytes(KEY_LIMIT)?).ok_or(Malformed("a key is too short"))?;
        let (total, from) = (length(reader)?, length(reader)?);
        let bytes = reader.bytes(VALUE_LIMIT)?;
        reader.finish()?;
        if bytes.is_empty() || from + bytes.len() > total {
            return Err(Malformed("a piece that is none of its value"));
        }
        Ok(Piece { epoch, key, total, from, bytes })
    }
}

fn length(reader: &mut Reader) -> Result<usize, Malformed> {
    let length = usize::try_from(reader.number()?).map_err(|_| Malformed("too long"))?;
    if length > VALUE_LIMIT { Err(Malformed("too long")) } else { Ok(length) }
}

/// A value whose pieces come in one after the other, with nothing between.
#[derive(Debug, Default)]
pub struct Assembly {
    begun: Option<(StateKey, usize, Vec<u8>)>,
}

impl Assembly {
    /// Takes the next piece. With the last one the value is whole.
    ///
    /// # Errors
    /// It does not follow on the one before.
    pub fn take(&mut self, piece: &Piece) -> Result<Option<Entry>, Malformed> {
        let begun = self.begun.take();
        // Room is taken as bytes come: a length alone costs nothing.
        let (key, total, mut value) = begun.unwrap_or_else(|| (piece.key.clone(), piece.total, Vec::new()));
        if key != piece.key || total != piece.total || value.len() != piece.from {
            return Err(Malformed("a piece that does not follow on the one before"));
        }
        value.extend_from_slice(piece.bytes);
        if value.len() < total {
            self.begun = Some((key, total, value));
            return Ok(None);
        }
        Ok(Some(Entry { key, value: Some(value.into()) }))
    }

    /// Something else comes, or nothing more.
    ///
    /// # Errors
    /// A value is not whole.
    pub fn finish(&self) -> Result<(), Malformed> {
        if self.begun.is_none() { Ok(()) } else { Err(Malformed("a value that is cut off")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{KeyGroup, NodeId};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_comes_back_whole(length in 1..60usize, most in 1..20usize, key in any::<[u8; 3]>()) {
            let value: Vec<u8> = (0..length as u8).collect();
            let key = StateKey::new(NodeId(1), KeyGroup(2), &key);
            let mut assembly = Assembly::default();
            let mut whole = None;
            let pieces: Vec<Piece> = Piece::cut(Epoch(300), &key, &value, most).collect();
            for (number, piece) in pieces.iter().enumerate() {
                prop_assert!(whole.is_none());
                let mut bytes = Vec::new();
                piece.encode(&mut bytes);
                prop_assert!(Piece::is_in(&bytes));
                prop_assert_eq!(&Piece::decode(&bytes).unwrap(), piece);
                prop_assert!((0..bytes.len()).all(|end| Piece::decode(&bytes[..end]).is_err()));
                whole = assembly.take(piece).unwrap();
                prop_assert_eq!(assembly.finish().is_ok(), number + 1 == pieces.len());
            }
            prop_assert_eq!(whole, Some(Entry { key, value: Some(value.into()) }));
        }

        #[test]
        fn no_other_bytes_are_a_piece(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let bytes = [&[PIECE_VERSION, 1, 6, 0, 0, 0, 1, 7], bytes.as_slice()].concat();
            if let Ok(piece) = Piece::decode(&bytes) {
                let mut again = Vec::new();
                piece.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn pieces_out_of_order_are_refused() {
        let key = |byte| StateKey::new(NodeId(1), KeyGroup(2), &[byte]);
        let pieces: Vec<Piece> = Piece::cut(Epoch(1), &key(1), b"abcdef", 2).collect();
        for next in [0, 2] {
            let mut assembly = Assembly::default();
            assert_eq!(assembly.take(&pieces[0]), Ok(None));
            assert!(assembly.take(&pieces[next]).is_err());
        }
        let mut assembly = Assembly::default();
        assert!(assembly.take(&pieces[1]).is_err(), "the first is missing");
        assert_eq!(assembly.take(&pieces[0]), Ok(None));
        assert!(assembly.take(&Piece { key: key(2), ..pieces[1].clone() }).is_err());
    }
}
