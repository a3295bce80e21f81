//! A batch: the unit that moves through a pipeline.
//!
//! Cells are row-major with the layout's number of slots as stride. Whatever a cell points to
//! lies in the batch's one arena: the raw input first, then what decoding and expressions add.
//! A filter never touches cells; it shortens the list of rows that goes on.

use super::value::{Kind, Span, Value};
use crate::time::Timestamp;

/// A column of the layout that a batch was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

/// The number of a row within its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row(pub u32);

impl Row {
    /// The row as an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Rows a batch takes before it is handed on.
pub const BATCH_ROWS: usize = 1024;

/// Arena bytes a batch takes before it is handed on.
pub const BATCH_BYTES: usize = 1 << 20;

/// Events with their cells, event times, and the watermark that held before each.
pub struct Batch {
    /// Bytes that text, bytes, JSON and raw cells point to. It starts with the constants of the
    /// batch's layout, so that literals are ordinary cells; see [`Batch::clear`].
    pub arena: Vec<u8>,
    /// Event time a row.
    pub times: Vec<Timestamp>,
    /// The watermark that held just before each row was read; never decreasing.
    pub watermarks: Vec<Timestamp>,
    /// The whole event a row was read from, as the text of a JSON object (empty where not kept).
    pub raw: Vec<Span>,
    /// The watermark after the last row.
    pub watermark: Timestamp,
    /// Processing time at which the rows were read or made.
    pub ingested: Timestamp,
    cells: Vec<Value>,
    stride: usize,
    constants: usize,
}

impl Batch {
    /// An empty batch of `slots` columns whose arena begins with `constants`.
    pub fn new(slots: usize, constants: &[u8]) -> Batch {
        Batch {
            arena: constants.to_vec(),
            times: Vec::new(),
            watermarks: Vec::new(),
            raw: Vec::new(),
            watermark: Timestamp::MIN,
            ingested: Timestamp::MIN,
            cells: Vec::new(),
            stride: slots,
            constants: constants.len(),
        }
    }

    /// Forgets all rows; constants and allocations stay.
    pub fn clear(&mut self) {
        self.arena.truncate(self.constants);
        self.times.clear();
        self.watermarks.clear();
        self.raw.clear();
        self.cells.clear();
        self.watermark = Timestamp::MIN;
    }

    /// Number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Whether the batch should be handed on before more is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() >= BATCH_ROWS || self.arena.len() >= BATCH_BYTES
    }

    /// Number of columns.
    pub fn slots(&self) -> usize {
        self.stride
    }

    /// Adds a row of nulls. `watermark` is the one that held before this event.
    #[inline]
    pub fn push_row(&mut self, time: Timestamp, watermark: Timestamp) -> Row {
        let row = Row(self.times.len() as u32);
        self.cells.resize(self.cells.len() + self.stride, Value::NULL);
        self.times.push(time);
        self.watermarks.push(watermark);
        self.raw.push(Span::default());
        row
    }

    /// Takes the last row back, as when its line turns out unreadable half way.
    #[inline]
    pub fn pop_row(&mut self) {
        self.times.pop();
        self.watermarks.pop();
        self.raw.pop();
        self.cells.truncate(self.times.len() * self.stride);
    }

    /// Forgets the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.times.truncate(rows);
        self.watermarks.truncate(rows);
        self.raw.truncate(rows);
        self.cells.truncate(rows * self.stride);
    }

    /// The cell of a row.
    #[inline]
    pub fn get(&self, row: Row, slot: Slot) -> Value {
        self.cells[row.index() * self.stride + slot.0 as usize]
    }

    /// Sets the cell of a row.
    #[inline]
    pub fn set(&mut self, row: Row, slot: Slot, value: Value) {
        self.cells[row.index() * self.stride + slot.0 as usize] = value;
    }

    /// All cells, row-major, [`Batch::slots`] a row.
    #[inline]
    pub fn cells(&self) -> &[Value] {
        &self.cells
    }

    /// The cells of one row, to fill in.
    #[inline]
    pub fn row_mut(&mut self, row: Row) -> &mut [Value] {
        let start = row.index() * self.stride;
        &mut self.cells[start..start + self.stride]
    }

    /// The bytes that a text, bytes or JSON cell points to.
    #[inline]
    pub fn bytes(&self, value: Value) -> &[u8] {
        &self.arena[value.span().range()]
    }

    /// The text of a text or JSON cell; empty for others.
    #[inline]
    pub fn text(&self, value: Value) -> &str {
        str::from_utf8(self.bytes(value)).unwrap_or_default()
    }

    /// Appends bytes to the arena.
    #[inline]
    pub fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }

    /// Copies a value of another batch into this one's arena.
    #[inline]
    pub fn adopt(&mut self, from: &Batch, value: Value) -> Value {
        match value.kind() {
            Kind::Text | Kind::Bytes | Kind::Json => {
                let span = self.store(from.bytes(value));
                value.moved_to(span.start as usize)
            }
            _ => value,
        }
    }
}
