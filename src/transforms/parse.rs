//! `parse`: reads text or bytes inside an event.

use crate::config::{Keys, Role, Setting, read};
use crate::dataflow::{
    Binding, ComponentSpec, DecodingId, FormatPlan, MAIN, NodePlanner, Operator, OptionKind, OptionSpec,
    Output, Point, Ports, ScopeLayer, StartContext, StepPlan, TransformSpec, formats,
};
use crate::event::{Batch, Kind, Reason, RejectKind, Row, Slot, Span, Unreadable, Value, json};
use crate::expr::Type;
use crate::formats::{Decoder, Wanted, decode_input};
use std::sync::Arc;

/// The registry entry.
pub const PARSE: TransformSpec = TransformSpec {
    spec: &ComponentSpec {
        name: "parse",
        role: Role::Transform,
        summary: "Reads text or bytes inside an event, into the event or into a field.",
        short: None,
        options: &[
            OptionSpec::required("field", OptionKind::Text, "The field to read."),
            OptionSpec::required("as", OptionKind::Parser, "The format, with its options."),
            OptionSpec::optional(
                "into",
                OptionKind::Text,
                "A field for what was read; absent: fields of the event.",
            ),
        ],
        later: &[],
        example: "\
transforms:
  readable:
    from: log
    parse: { field: message, as: json, into: details }
tests:
  - name: JSON inside JSON
    steps:
      - send: { log: { level: warn, message: '{\"code\":17}' } }
      - expect: { out: [{ level: warn, details: { code: 17 } }] }
",
    },
    plan,
    gathers: false,
};

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = setting.section("`parse`", Keys::of(&["field", "as", "into"]));
    let field = section.required("field", Some);
    let format = section.required("as", |format| formats::parser(format));
    let into = section.optional("into", read::text);
    let (field, format) = (field?, format?);
    let expr = planner.parse(field)?;
    let mut at = at.clone();
    let input = planner.slot_of(&mut at, field, &expr, "read")?;
    let decoding = planner.draft.decoding(format.known_fields());
    let mut scope = at.scope.clone();
    match into {
        Some(name) => {
            let object = planner.draft.whole_parsed(at.stage, decoding);
            scope = scope.with(name, Binding::Slot(object, Type::JSON));
        }
        None => scope.layers.push(ScopeLayer::Parsed(decoding)),
    }
    let name = expr.to_string();
    let step = planner.attach(&at, Box::new(ParsePlan { field: name, input, format, decoding }));
    Some(vec![(String::new(), planner.behind(&at, step, MAIN, scope))])
}

/// Decodes the text or bytes in a slot into other slots of the same row.
#[derive(Debug)]
pub struct ParsePlan {
    field: String,
    input: Slot,
    format: Arc<dyn FormatPlan>,
    decoding: DecodingId,
}

impl StepPlan for ParsePlan {
    fn describe(&self) -> String {
        format!("parse {} as {}", self.field, self.format.describe())
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let decoding = context.decoding(self.decoding);
        let wanted = &decoding.wanted;
        // The decoder fills a batch of one row of its own, whose slots are the wanted fields in order.
        let fields = wanted.fields.iter().enumerate().map(|(i, (path, _))| (path.clone(), Slot(i as u16)));
        let inner = Wanted { fields: fields.collect(), whole: wanted.whole || !decoding.below.is_empty() };
        let fields = wanted.fields.iter().map(|(path, slot)| Field {
            slot: *slot,
            name: path.root().to_owned(),
            below: decoding.below.get(slot).copied(),
        });
        Box::new(Parse {
            field: self.field.clone(),
            input: self.input,
            // Formats that cannot decode are refused when the pipeline is planned.
            decoder: self.format.record_decoder(&inner).expect("a format that decodes"),
            inner: Batch::new(inner.fields.len(), b""),
            fields: fields.collect(),
            object: decoding.object,
            unreadable: Vec::new(),
        })
    }
}

struct Parse {
    field: String,
    input: Slot,
    decoder: Box<dyn Decoder>,
    inner: Batch,
    fields: Vec<Field>,
    object: Option<Slot>,
    unreadable: Vec<Unreadable>,
}

/// A wanted field: its slot, and that of the same field of the event below, which shows where the parsed event lacks it.
struct Field {
    slot: Slot,
    name: String,
    below: Option<Slot>,
}

impl Parse {
    fn parse(&mut self, batch: &mut Batch, row: Row) -> Result<(), Reason> {
        let input = batch.get(row, self.input);
        if !matches!(input.kind(), Kind::Text | Kind::Bytes | Kind::Json) {
            let text = format!("`{}` is {}, not text or bytes", self.field, input.kind().name());
            return Err(Reason::new(RejectKind::Decode, text));
        }
        self.inner.clear();
        self.unreadable.clear();
        self.inner.store(batch.bytes(input));
        let block = Span::new(0, self.inner.arena.len());
        decode_input(&mut *self.decoder, &mut self.inner, block, &mut self.unreadable);
        if let Some(unreadable) = self.unreadable.pop() {
            return Err(unreadable.reason);
        }
        if self.inner.len() != 1 {
            let text = format!("`{}` holds {} events, not one", self.field, self.inner.len());
            return Err(Reason::new(RejectKind::Decode, text));
        }
        self.take(batch, row);
        Ok(())
    }

    /// Copies what was decoded into the row.
    fn take(&self, batch: &mut Batch, row: Row) {
        let whole = self.inner.raw[0];
        for (i, field) in self.fields.iter().enumerate() {
            let mut value = batch.adopt(&self.inner, self.inner.get(Row(0), Slot(i as u16)));
            if let Some(below) = field.below
                && value.is_null()
                && !json::entries(&self.inner.arena[whole.range()]).any(|(key, _)| key == field.name)
            {
                value = batch.get(row, below);
            }
            batch.set(row, field.slot, value);
        }
        if let Some(slot) = self.object {
            let object = batch.adopt(&self.inner, Value::json(whole));
            batch.set(row, slot, object);
        }
    }
}

impl Operator for Parse {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        rows.retain(|&row| match self.parse(batch, row) {
            Ok(()) => true,
            Err(reason) => {
                out.reject(batch, row, reason);
                false
            }
        });
    }
}
