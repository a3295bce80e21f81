//! `explode`: one event an element of a list.

use crate::config::{Keys, Role, Setting, read};
use crate::dataflow::{
    Binding, ComponentSpec, Copier, MAIN, NodePlanner, Operator, OptionKind, OptionSpec, Origin, Output,
    Point, Ports, Scope, Signal, StartContext, StepPlan, TransformSpec,
};
use crate::event::{Batch, Kind, Reason, Row, Slot, Span, Value, json};
use crate::expr::Type;
use crate::time::Timestamp;

/// The registry entry.
pub const EXPLODE: TransformSpec = TransformSpec {
    spec: &ComponentSpec {
        name: "explode",
        role: Role::Transform,
        summary: "One event an element of a list; the other fields stay. Null and the empty list give none.",
        short: Some(OptionKind::Text),
        options: &[
            OptionSpec::required("field", OptionKind::Text, "The list."),
            OptionSpec::optional("as", OptionKind::Text, "Name of the element; absent: that of the list."),
            OptionSpec::optional(
                "index",
                OptionKind::Text,
                "Name of a field for the element's number from 0.",
            ),
        ],
        later: &[],
        example: "\
transforms:
  samples:
    from: packets
    explode: { field: samples, as: sample, index: n }
tests:
  - name: one event a sample
    steps:
      - send: { packets: { device: d1, samples: [{ v: 20 }, { v: 21 }] } }
      - expect:
          out:
            - { device: d1, sample: { v: 20 }, n: 0 }
            - { device: d1, sample: { v: 21 }, n: 1 }
",
    },
    plan,
    gathers: false,
};

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let (field, element, index) = options(setting)?;
    let expr = planner.parse(field)?;
    let Some(path) = expr.as_path().cloned() else {
        field.error("expected the name of a list field");
        return None;
    };
    let mut at = at.clone();
    let list = planner.slot_of(&mut at, field, &expr, "read")?;
    let element_name = element.clone().unwrap_or_else(|| path.name().to_owned());
    if !path.rest().is_empty() && element.is_none() {
        field
            .error("an element cannot take the place of a nested list")
            .hint("name it: `explode: { field: a.b, as: element }`");
        return None;
    }
    if index.as_ref() == Some(&element_name) {
        setting.error(format!("element and index would both be named `{element_name}`"));
        return None;
    }
    let mut from = at.clone();
    if path.rest().is_empty() && element_name != path.root() {
        from.scope = from.scope.without(path.root());
    } else if path.rest().is_empty() {
        // The element takes the list's place, so the list itself is not written for each of its elements.
        let nothing = planner.draft.slot(at.stage, "(nothing)", Type::NULL);
        from.scope = from.scope.with(path.root(), Binding::Slot(nothing, Type::NULL));
    }
    let stage = planner.draft.stage(Origin::Copied(vec![from]));
    let element = planner.draft.slot(stage, element_name.clone(), Type::ANY);
    let mut scope = Scope::origin().with(element_name, Binding::Slot(element, Type::ANY));
    let index = index.map(|name| {
        let slot = planner.draft.slot(stage, name.clone(), Type::INT);
        scope = std::mem::take(&mut scope).with(name, Binding::Slot(slot, Type::INT));
        slot
    });
    let step = planner.attach(&at, Box::new(ExplodePlan { field: path.to_string(), list, element, index }));
    planner.draft.emit_to(step, MAIN, stage);
    Some(vec![(String::new(), Point { stage, behind: None, scope })])
}

/// The list, the element's name and the index's name, from the long or the short form.
fn options(setting: Setting<'_>) -> Option<(Setting<'_>, Option<String>, Option<String>)> {
    if setting.node.entries().is_none() {
        return Some((setting, None, None));
    }
    let section = setting.section("`explode`", Keys::of(&["field", "as", "index"]));
    let field = section.required("field", Some)?;
    let name = |key| section.optional(key, read::text).map(str::to_owned);
    Some((field, name("as"), name("index")))
}

/// Makes a row for each element of the list in a slot; the element and its index go to slots of the new stage.
#[derive(Clone, Debug)]
pub struct ExplodePlan {
    /// The field as written.
    pub field: String,
    /// Where the list stands.
    pub list: Slot,
    /// Where an element goes, behind the main port.
    pub element: Slot,
    /// Where its index from 0 goes, if wanted.
    pub index: Option<Slot>,
}

impl StepPlan for ExplodePlan {
    fn describe(&self) -> String {
        format!("explode {}", self.field)
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Explode {
            plan: self.clone(),
            copier: Copier::new(&context.copies(MAIN, 0)),
            watermark: Timestamp::MIN,
            elements: Vec::new(),
            spans: Vec::new(),
        })
    }
}

struct Explode {
    plan: ExplodePlan,
    copier: Copier,
    watermark: Timestamp,
    /// The elements of one list as cells of the incoming batch.
    elements: Vec<Value>,
    spans: Vec<Span>,
}

impl Explode {
    /// Reads the list of a row into cells. Null and the empty list give none.
    fn read(&mut self, batch: &mut Batch, row: Row) -> Result<(), Reason> {
        self.elements.clear();
        let list = batch.get(row, self.plan.list);
        if list.is_null() {
            return Ok(());
        }
        if list.kind() != Kind::Json || batch.bytes(list).first() != Some(&b'[') {
            let kind = if list.kind() == Kind::Json { "a map" } else { list.kind().name() };
            return Err(Reason::expression(format!("`{}` is {kind}, not a list", self.plan.field)));
        }
        let start = list.span().start as usize;
        let text = batch.bytes(list);
        let base = text.as_ptr() as usize;
        self.spans.clear();
        self.spans
            .extend(json::elements(text).map(|e| Span::new(start + (e.as_ptr() as usize - base), e.len())));
        for span in &self.spans {
            let element = json::value_at(&mut batch.arena, *span).map_err(|_| {
                Reason::expression(format!("a number in `{}` is out of range", self.plan.field))
            })?;
            self.elements.push(element);
        }
        Ok(())
    }
}

impl Operator for Explode {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        for row in rows.drain(..) {
            if let Err(reason) = self.read(batch, row) {
                out.reject(batch, row, reason);
                continue;
            }
            self.watermark = self.watermark.max(batch.watermarks[row.index()]);
            for (index, element) in self.elements.iter().enumerate() {
                let into = out.emit(MAIN);
                let copy = self.copier.copy(batch, row, self.watermark, into);
                let element = into.adopt(batch, *element);
                into.set(copy, self.plan.element, element);
                if let Some(slot) = self.plan.index {
                    into.set(copy, slot, Value::int(index as i64));
                }
            }
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        out.signal(MAIN, signal);
    }
}
