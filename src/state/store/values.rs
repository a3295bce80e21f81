//! Values in the store: whole behind their key, or in pieces in a table of their own.
//!
//! A value that lies in pieces has a mark in its place, which says how many there are. All of them change in the
//! transaction that changes the mark.

use super::super::error::StateError;
use super::super::keyed::StateKey;
use super::super::room::{LiveBytes, count};
use super::{ENTRIES, STORE_FILE, fault};
use redb::{AccessGuard, ReadTransaction, Table, TableDefinition, WriteTransaction};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Pieces behind their key and their number (4 bytes, highest first): no key has that of another with its number.
pub const PIECES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("pieces");

/// The length of a mark. No value that lies whole is that short, with its checksum.
const MARK_BYTES: usize = 3;

/// The length of a checksum.
const SUM_BYTES: usize = 4;

/// Takes values in.
pub struct ValueWriter<'t> {
    transaction: &'t WriteTransaction,
    entries: Table<'t, &'static [u8], &'static [u8]>,
    /// Opened by the first value that is, or was, in pieces.
    pieces: Option<Pieces<'t>>,
    sealed: Vec<u8>,
    /// The most bytes that lie together.
    most: usize,
    /// What is kept up to date with what is written.
    live: &'t mut Option<LiveBytes>,
}

impl<'t> ValueWriter<'t> {
    /// Writes into the tables of a transaction.
    pub fn new(
        transaction: &'t WriteTransaction,
        most: usize,
        live: &'t mut Option<LiveBytes>,
    ) -> Result<ValueWriter<'t>, StateError> {
        let entries = transaction.open_table(ENTRIES).map_err(fault)?;
        Ok(ValueWriter { transaction, entries, pieces: None, sealed: Vec::new(), most, live })
    }

    /// New bytes of a key.
    pub fn put(&mut self, key: &StateKey, value: &[u8]) -> Result<(), StateError> {
        let key = key.as_bytes();
        if value.len() <= self.most {
            seal(key, value, &mut self.sealed);
            let before = {
                let before = self.entries.insert(key, self.sealed.as_slice()).map_err(fault)?;
                counted(self.live, key, before.as_ref(), Some(&self.sealed))
            };
            return self.remove_pieces(key, 0..before);
        }
        let pieces = value.len().div_ceil(self.most) as u32;
        let [_, mark @ ..] = pieces.to_be_bytes();
        let before = {
            let before = self.entries.insert(key, mark.as_slice()).map_err(fault)?;
            counted(self.live, key, before.as_ref(), Some(&mark))
        };
        for (number, piece) in (0..).zip(value.chunks(self.most)) {
            seal(&sum_key(key, number, pieces), piece, &mut self.sealed);
            self.put_piece(&piece_key(key, number))?;
        }
        self.remove_pieces(key, pieces..before)
    }

    /// A key is gone.
    pub fn remove(&mut self, key: &StateKey) -> Result<(), StateError> {
        let key = key.as_bytes();
        let before = {
            let before = self.entries.remove(key).map_err(fault)?;
            counted(self.live, key, before.as_ref(), None)
        };
        self.remove_pieces(key, 0..before)
    }

    /// Takes what was sealed as a piece.
    fn put_piece(&mut self, key: &[u8]) -> Result<(), StateError> {
        let pieces = opened(&mut self.pieces, self.transaction)?;
        let before = pieces.insert(key, self.sealed.as_slice()).map_err(fault)?;
        counted(self.live, key, before.as_ref(), Some(&self.sealed));
        Ok(())
    }

    fn remove_pieces(&mut self, key: &[u8], numbers: std::ops::Range<u32>) -> Result<(), StateError> {
        for number in numbers {
            let key = piece_key(key, number);
            let pieces = opened(&mut self.pieces, self.transaction)?;
            let before = pieces.remove(key.as_slice()).map_err(fault)?;
            counted(self.live, &key, before.as_ref(), None);
        }
        Ok(())
    }
}

type Pieces<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// The table of pieces, opened if it was not.
fn opened<'p, 't>(
    pieces: &'p mut Option<Pieces<'t>>,
    transaction: &'t WriteTransaction,
) -> Result<&'p mut Pieces<'t>, StateError> {
    match pieces {
        Some(pieces) => Ok(pieces),
        none => Ok(none.insert(transaction.open_table(PIECES).map_err(fault)?)),
    }
}

/// The value that is stored so behind a key; one in pieces is put together in `whole`.
pub fn value_of<'v>(
    transaction: &ReadTransaction,
    key: &[u8],
    stored: &'v [u8],
    whole: &'v mut Vec<u8>,
) -> Result<&'v [u8], StateError> {
    let count = pieces_of(stored);
    if count == 0 {
        return unsealed(key, stored);
    }
    whole.clear();
    let pieces = transaction.open_table(PIECES).map_err(fault)?;
    for number in 0..count {
        let piece = pieces.get(piece_key(key, number).as_slice()).map_err(fault)?;
        let piece = piece.ok_or_else(|| StateError::corrupt(STORE_FILE, "a piece of a value is missing"))?;
        whole.extend_from_slice(unsealed(&sum_key(key, number, count), piece.value())?);
    }
    Ok(whole)
}

/// Counts what is stored behind a key in place of what was; how many pieces there were of that.
fn counted(
    live: &mut Option<LiveBytes>,
    key: &[u8],
    before: Option<&AccessGuard<'_, &'static [u8]>>,
    now: Option<&[u8]>,
) -> u32 {
    let before = before.map(AccessGuard::value);
    count(live, key, before, now);
    before.map_or(0, pieces_of)
}

/// How many pieces there are of what is stored so; none of a value that lies whole.
fn pieces_of(stored: &[u8]) -> u32 {
    <[u8; MARK_BYTES]>::try_from(stored).map_or(0, |[a, b, c]| u32::from_be_bytes([0, a, b, c]))
}

fn piece_key(key: &[u8], number: u32) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}

/// What the checksum of a piece covers beside it: a mark with a wrong count does not pass.
fn sum_key(key: &[u8], number: u32, count: u32) -> Vec<u8> {
    [key, &number.to_be_bytes(), &count.to_be_bytes()].concat()
}

/// Bytes as they are stored: with their checksum behind them.
fn seal(key: &[u8], value: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(value);
    into.extend_from_slice(&checksum(key, value));
}

/// Bytes without their checksum, which must be right.
fn unsealed<'a>(key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], StateError> {
    match stored.split_last_chunk::<SUM_BYTES>() {
        Some((value, sum)) if *sum == checksum(key, value) => Ok(value),
        _ => Err(StateError::corrupt(STORE_FILE, "a value has the wrong checksum")),
    }
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; SUM_BYTES] {
    (xxh3_64_with_seed(value, xxh3_64_with_seed(key, 0)) as u32).to_le_bytes()
}
