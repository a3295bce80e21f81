//! The `.rejected` port of a node: `{ reason, kind, node, at, event | raw }`.

use crate::dataflow::{StageId, whole_event};
use crate::event::json::{write_base64, write_string};
use crate::event::{Batch, Reason, Row, Slot, Span, Unreadable, Value, View};
use crate::formats::json::{JsonEncoder, JsonOutput};
use crate::time::Timestamp;

// The slots of the fields of a rejected event, as the planner lays out the port's stage.
const REASON: Slot = Slot(0);
const KIND: Slot = Slot(1);
const NODE: Slot = Slot(2);
const AT: Slot = Slot(3);
const EVENT: Slot = Slot(4);
const RAW: Slot = Slot(5);

/// Writes rejected events into the batch of the stage behind the port.
pub struct RejectPort {
    stage: StageId,
    node: String,
    event: JsonEncoder,
}

impl RejectPort {
    /// The port of a node; `event` is how events look where they enter the node.
    pub fn new(stage: StageId, node: &str, event: &View) -> RejectPort {
        RejectPort { stage, node: node.to_owned(), event: JsonEncoder::new(JsonOutput::default(), event) }
    }

    /// The stage behind the port.
    pub fn stage(&self) -> StageId {
        self.stage
    }

    /// Adds a row that a step rejected.
    pub fn write_row(&mut self, batch: &Batch, row: Row, reason: &Reason, now: Timestamp, into: &mut Batch) {
        let index = row.index();
        let copy = into.push_row(batch.times[index], batch.watermarks[index]);
        let event = whole_event(&mut self.event, batch, row, &mut into.arena);
        into.set(copy, EVENT, Value::json(event));
        self.describe(copy, reason, now, into);
    }

    /// Adds input that could not be decoded. It has no time but that at which it was read, and is never late.
    pub fn write_unreadable(
        &mut self,
        batch: &Batch,
        unreadable: &Unreadable,
        now: Timestamp,
        into: &mut Batch,
    ) {
        let copy = into.push_row(now.max(batch.watermark), batch.watermark);
        self.write_raw(copy, &batch.arena[unreadable.raw.range()], into);
        self.describe(copy, &unreadable.reason, now, into);
    }

    /// Adds what a target refused at a time of day, as it was encoded. It has that time, and is late only behind the end of
    /// input.
    pub fn write_refused(
        &mut self,
        raw: &[u8],
        reason: &Reason,
        at: Timestamp,
        watermark: Timestamp,
        into: &mut Batch,
    ) {
        let time = if watermark == Timestamp::MAX { at } else { at.max(watermark) };
        let row = into.push_row(time, watermark);
        self.write_raw(row, raw, into);
        self.describe(row, reason, at, into);
    }

    fn write_raw(&self, row: Row, raw: &[u8], into: &mut Batch) {
        let value = match str::from_utf8(raw) {
            Ok(_) => Value::text(into.store(raw)),
            Err(_) => Value::bytes(into.store(raw)),
        };
        into.set(row, RAW, value);
    }

    fn describe(&self, row: Row, reason: &Reason, now: Timestamp, into: &mut Batch) {
        let text = Value::text(into.store(reason.text.as_bytes()));
        into.set(row, REASON, text);
        let kind = Value::text(into.store(reason.kind.name().as_bytes()));
        into.set(row, KIND, kind);
        let node = Value::text(into.store(self.node.as_bytes()));
        into.set(row, NODE, node);
        into.set(row, AT, Value::timestamp(now.0));
        self.write_whole(row, reason, now, into);
    }

    /// The whole rejected event as JSON, for what listens to the port without naming fields.
    fn write_whole(&self, row: Row, reason: &Reason, now: Timestamp, into: &mut Batch) {
        let mut json = b"{\"reason\":".to_vec();
        write_string(reason.text.as_bytes(), &mut json);
        json.extend_from_slice(b",\"kind\":");
        write_string(reason.kind.name().as_bytes(), &mut json);
        json.extend_from_slice(b",\"node\":");
        write_string(self.node.as_bytes(), &mut json);
        json.extend_from_slice(format!(",\"at\":{}", now.0).as_bytes());
        let (event, raw) = (into.get(row, EVENT), into.get(row, RAW));
        if !event.is_null() {
            json.extend_from_slice(b",\"event\":");
            json.extend_from_slice(into.bytes(event));
        } else {
            json.extend_from_slice(b",\"raw\":");
            let bytes = into.bytes(raw);
            match str::from_utf8(bytes) {
                Ok(_) => write_string(bytes, &mut json),
                Err(_) => write_base64(bytes, &mut json),
            }
        }
        json.push(b'}');
        let span: Span = into.store(&json);
        into.raw[row.index()] = span;
    }
}
