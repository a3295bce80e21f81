//! A plan in the making: stages whose layouts grow as names are asked for.
//!
//! Nothing is decoded, copied or kept unless a step or sink further down named it: [`Draft::resolve`] walks from the
//! place where a field is used to the place where it comes from and reserves a slot in every layout on the way.
//! This is the projection of the design, done on demand.

use super::own_watermark::Partitioned;
use super::scope::{Binding, Point, Scope, ScopeLayer};
use super::sides::{Side, stands_beside};
use super::{Copies, Next, NodeId, Port, StageId, StepId, StepPlan, TableDraft, Target};
use crate::event::{Layer, Path, Slot, Span, View};
use crate::expr::{Resolved, SourceField, Type, UnknownField};
use crate::formats::Wanted;
use std::collections::BTreeMap;

/// A decoder of the plan: that of a source, or of a `parse` step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodingId(pub u16);

/// What a decoder can give and what is wanted of it.
#[derive(Clone, Debug, Default)]
pub struct Decoding {
    /// The fields if the format fixes them; none if events may have any.
    pub known: Option<Vec<(String, Type)>>,
    /// What is wanted so far.
    pub wanted: Wanted,
    /// For a parsed field that may also stand in the event below: the slot of that one.
    pub below: BTreeMap<Slot, Slot>,
    /// The slot that holds the whole parsed event, for `parse`.
    pub object: Option<Slot>,
}

/// Where the rows of a stage come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A source decodes them.
    Decoded(DecodingId),
    /// They are copied from points of other stages.
    Copied(Vec<Point>),
    /// An operator makes them, with these fields; with `whole`, also as JSON in [`crate::event::Batch::raw`].
    Made {
        /// Name, slot and type of each.
        fields: Vec<(String, Slot, Type)>,
        /// Whether the whole event stands in the batch as JSON.
        whole: bool,
    },
}

/// One batch layout and the steps that work on it.
#[derive(Debug)]
pub struct StageDraft {
    /// Where the rows come from.
    pub origin: Origin,
    /// Name and type a slot.
    pub slots: Vec<(String, Type)>,
    /// Literals that every batch's arena begins with.
    pub constants: Vec<u8>,
    /// Who needs the whole event, and why; nobody: it is not kept.
    pub whole: Vec<String>,
    /// What handles the rows first.
    pub roots: Vec<Next>,
    /// What is copied from each point of a [`Origin::Copied`].
    pub copies: Vec<Copies>,
    /// The slots that copied paths go to.
    pub copied: BTreeMap<Path, Slot>,
    /// What the source is asked of where its events came from, by hidden names, and where that goes.
    pub provided: BTreeMap<String, (SourceField, Slot)>,
    /// Whether rows come from a source that never ends by itself.
    pub live: bool,
    /// Set where it is filled by what has `partition_by`.
    pub partitioned: Option<Partitioned>,
    /// Set where rows move to the worker that owns their key: the key's slots in the stage that they come from.
    pub exchange: Option<Vec<Slot>>,
}

/// A step and what lies behind its ports.
#[derive(Debug)]
pub struct StepDraft {
    /// The node that the step belongs to.
    pub node: NodeId,
    /// The operator.
    pub plan: Box<dyn StepPlan>,
    /// The stage the step works on.
    pub stage: StageId,
    /// What lies behind its ports.
    pub outputs: Vec<(Port, Target)>,
    /// How an event that this step rejects looks, if the node's `.rejected` is read.
    pub rejected: Option<View>,
    /// Whether it only looks on, as the tap of a test does: it is no part of its node.
    pub aside: bool,
}

/// Slots a stage may have; more means a runaway pipeline file.
const MAX_SLOTS: usize = u16::MAX as usize;

/// What names are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To write whole events: those that stand in the batch as JSON are written from there.
    View,
    /// To find a field by its name.
    Lookup,
}

/// All stages and steps so far.
#[derive(Debug, Default)]
pub struct Draft {
    /// The stages; a [`StageId`] is a position here.
    pub stages: Vec<StageDraft>,
    /// The steps; a [`StepId`] is a position here.
    pub steps: Vec<StepDraft>,
    /// The decoders; a [`DecodingId`] is a position here.
    pub decodings: Vec<Decoding>,
    /// The tables; a [`TableId`](super::TableId) is a position here.
    pub tables: Vec<TableDraft>,
}

impl Draft {
    /// A new stage without steps.
    pub fn stage(&mut self, origin: Origin) -> StageId {
        let inputs = if let Origin::Copied(points) = &origin { points.len() } else { 0 };
        let slots = match &origin {
            Origin::Made { fields, .. } => fields.iter().map(|(n, _, t)| (n.clone(), *t)).collect(),
            _ => Vec::new(),
        };
        let live = match &origin {
            Origin::Copied(points) => points.iter().any(|point| self.stages[point.stage.0 as usize].live),
            _ => false,
        };
        self.stages.push(StageDraft {
            origin,
            live,
            slots,
            constants: Vec::new(),
            whole: Vec::new(),
            roots: Vec::new(),
            exchange: None,
            copies: vec![Copies::default(); inputs],
            copied: BTreeMap::new(),
            provided: BTreeMap::new(),
            partitioned: None,
        });
        StageId((self.stages.len() - 1) as u16)
    }

    /// The stage of an id.
    pub fn at(&mut self, stage: StageId) -> &mut StageDraft {
        &mut self.stages[stage.0 as usize]
    }

    /// A new decoder.
    pub fn decoding(&mut self, known: Option<Vec<(String, Type)>>) -> DecodingId {
        self.decodings.push(Decoding { known, ..Decoding::default() });
        DecodingId((self.decodings.len() - 1) as u16)
    }

    /// A new slot in a stage.
    pub fn slot(&mut self, stage: StageId, name: impl Into<String>, ty: Type) -> Slot {
        let slots = &mut self.at(stage).slots;
        assert!(slots.len() < MAX_SLOTS, "the document limits keep pipelines far below {MAX_SLOTS} slots");
        slots.push((name.into(), ty));
        Slot((slots.len() - 1) as u16)
    }

    /// Where a literal stands in every arena of the stage.
    pub fn constant(&mut self, stage: StageId, bytes: &[u8]) -> Span {
        let constants = &mut self.at(stage).constants;
        let found = (!bytes.is_empty()).then(|| memchr::memmem::find(constants, bytes)).flatten();
        let start = found.unwrap_or_else(|| {
            constants.extend_from_slice(bytes);
            constants.len() - bytes.len()
        });
        Span::new(start, bytes.len())
    }

    /// Attaches a step at a point.
    pub fn attach(&mut self, at: &Point, node: NodeId, plan: Box<dyn StepPlan>) -> StepId {
        let step = StepId(self.steps.len() as u16);
        self.steps.push(StepDraft {
            node,
            plan,
            stage: at.stage,
            outputs: Vec::new(),
            rejected: None,
            aside: false,
        });
        self.follow(at, Next::Step(step));
        step
    }

    /// Attaches a step that only looks on.
    pub fn attach_aside(&mut self, at: &Point, node: NodeId, plan: Box<dyn StepPlan>) {
        let step = self.attach(at, node, plan);
        self.steps[step.0 as usize].aside = true;
    }

    /// Lets rows at a point go on to `next`.
    fn follow(&mut self, at: &Point, next: Next) {
        let Some((parent, port)) = at.behind else {
            self.at(at.stage).roots.push(next);
            return;
        };
        let outputs = &mut self.steps[parent.0 as usize].outputs;
        let pass = outputs.iter_mut().find_map(|(p, target)| match target {
            Target::Pass(all) if *p == port => Some(all),
            _ => None,
        });
        match pass {
            Some(all) => all.push(next),
            None => outputs.push((port, Target::Pass(vec![next]))),
        }
    }

    /// A stage into which the rows at all the given points are copied, in canonical order.
    pub fn join(&mut self, points: Vec<Point>) -> StageId {
        let stage = self.stage(Origin::Copied(points.clone()));
        for (input, point) in points.iter().enumerate() {
            self.follow(point, Next::Join(stage, input));
        }
        stage
    }

    /// Puts a new stage behind an emitting port of a step.
    pub fn emit_to(&mut self, step: StepId, port: Port, stage: StageId) {
        self.steps[step.0 as usize].outputs.push((port, Target::Emit(stage)));
    }

    /// Where the value of a path stands at a point, reserving slots as far up as needed.
    pub fn resolve(&mut self, stage: StageId, scope: &Scope, path: &Path) -> Result<Resolved, UnknownField> {
        self.resolve_in(stage, &scope.layers, path)
    }

    fn resolve_in(
        &mut self,
        stage: StageId,
        layers: &[ScopeLayer],
        path: &Path,
    ) -> Result<Resolved, UnknownField> {
        for (i, layer) in layers.iter().enumerate().rev() {
            match layer {
                ScopeLayer::Field(name, Binding::Slot(slot, ty)) if name == path.root() => {
                    return Ok(Resolved { slot: *slot, ty: *ty, rest: path.rest().to_vec() });
                }
                // A map is only to be had by the stage that copies it.
                ScopeLayer::Field(name, Binding::Map(_)) if name == path.root() => break,
                ScopeLayer::Field(name, Binding::Alias(scope, target)) if name == path.root() => {
                    return self.resolve(stage, scope, &target.join(path.rest()));
                }
                ScopeLayer::Without(name) if name == path.root() => {
                    let hint = Some(format!("`{name}` is not there any more: it was dropped"));
                    return Err(UnknownField { candidates: self.names(stage, layers), hint });
                }
                // What is parsed out of a field knows nothing of sources.
                ScopeLayer::Parsed(_) if is_hidden(path.root()) => {}
                ScopeLayer::Parsed(decoding) => {
                    if let Some(found) = self.parsed_field(stage, *decoding, &layers[..i], path) {
                        return Ok(found);
                    }
                }
                ScopeLayer::Origin => {
                    if let Some(found) = self.origin_field(stage, path) {
                        return Ok(found);
                    }
                }
                _ => {}
            }
        }
        Err(UnknownField { candidates: self.names(stage, layers), hint: None })
    }

    /// A parsed field; where the event below has the same field, that one shows through when the parsed event lacks it.
    fn parsed_field(
        &mut self,
        stage: StageId,
        id: DecodingId,
        below: &[ScopeLayer],
        path: &Path,
    ) -> Option<Resolved> {
        let open = self.decodings[id.0 as usize].known.is_none();
        let lower = if open { self.resolve_in(stage, below, path).ok() } else { None };
        if lower.as_ref().is_some_and(|lower| !lower.rest.is_empty()) {
            // A value below that must be taken apart at run time can only show through as a whole.
            let root = self.parsed_field(stage, id, below, &Path::field(path.root()))?;
            return Some(Resolved { rest: path.rest().to_vec(), ty: Type::ANY, ..root });
        }
        let found = self.want(stage, id, path)?;
        if let Some(lower) = lower.filter(|_| found.rest.is_empty()) {
            self.decodings[id.0 as usize].below.entry(found.slot).or_insert(lower.slot);
        }
        Some(found)
    }

    fn origin_field(&mut self, stage: StageId, path: &Path) -> Option<Resolved> {
        match &self.at(stage).origin {
            Origin::Decoded(_) if is_hidden(path.root()) => self.provided(stage, path),
            Origin::Decoded(id) => {
                let id = *id;
                self.want(stage, id, path)
            }
            Origin::Made { fields, .. } => fields
                .iter()
                .find(|(name, _, _)| name == path.root())
                .map(|(_, slot, ty)| Resolved { slot: *slot, ty: *ty, rest: path.rest().to_vec() }),
            Origin::Copied(_) => self.copied(stage, path),
        }
    }

    /// Asks a source for what it knows of where an event came from.
    fn provided(&mut self, stage: StageId, path: &Path) -> Option<Resolved> {
        let field = SourceField::hidden(path.root())?;
        let ty = field.ty();
        let slot = match self.at(stage).provided.get(path.root()) {
            Some((_, slot)) => *slot,
            None => {
                let slot = self.slot(stage, path.root(), ty);
                self.at(stage).provided.insert(path.root().to_owned(), (field, slot));
                slot
            }
        };
        Some(Resolved { slot, ty, rest: Vec::new() })
    }

    /// Asks a decoder for a path. None if its format has no such field.
    fn want(&mut self, stage: StageId, id: DecodingId, path: &Path) -> Option<Resolved> {
        let decoding = &self.decodings[id.0 as usize];
        let (wanted, ty, rest) = match &decoding.known {
            None => (path.clone(), Type::ANY, Vec::new()),
            Some(known) => {
                let (name, ty) = known.iter().find(|(name, _)| name == path.root())?;
                (Path::field(name.clone()), *ty, path.rest().to_vec())
            }
        };
        let slot = match decoding.wanted.fields.iter().find(|(p, _)| *p == wanted) {
            Some((_, slot)) => *slot,
            None => {
                let slot = self.slot(stage, wanted.to_string(), ty);
                self.decodings[id.0 as usize].wanted.fields.push((wanted, slot));
                slot
            }
        };
        Some(Resolved { slot, ty, rest })
    }

    /// Asks all inputs of a stage for a path and has it copied. None if no input has it.
    fn copied(&mut self, stage: StageId, path: &Path) -> Option<Resolved> {
        if let Some(&slot) = self.at(stage).copied.get(path) {
            let ty = self.at(stage).slots[slot.0 as usize].1;
            return Some(Resolved { slot, ty, rest: Vec::new() });
        }
        let Origin::Copied(points) = self.at(stage).origin.clone() else { return None };
        if let Some(side) = Side::among(&points, path.root()) {
            return self.copied_side(stage, &side, path);
        }
        let found: Vec<_> = points.iter().map(|p| self.resolve(p.stage, &p.scope, path).ok()).collect();
        let apart = found.iter().flatten().map(|f| f.rest.len()).max().filter(|rest| *rest > 0);
        if let Some(rest) = apart {
            // A value that must be taken apart at run time is copied as a whole and taken apart behind the copy.
            let own = path.steps().len() - rest;
            let whole = self.copied(stage, &Path::field(path.root()).join(&path.steps()[1..own]))?;
            return Some(Resolved { rest: path.steps()[own..].to_vec(), ty: Type::ANY, ..whole });
        }
        let ty = common_type(found.iter().flatten().map(|f| f.ty))?;
        let slot = self.slot(stage, path.to_string(), ty);
        self.at(stage).copied.insert(path.clone(), slot);
        for (input, found) in found.iter().enumerate() {
            if let Some(found) = found {
                self.at(stage).copies[input].cells.push((found.slot, slot));
            }
        }
        Some(Resolved { slot, ty, rest: Vec::new() })
    }

    /// The names at a point if all are known, in order; None where events may have any.
    pub fn known(&mut self, stage: StageId, scope: &Scope) -> Option<Vec<String>> {
        self.names_at(stage, scope, Purpose::View)
    }

    fn names_at(&mut self, stage: StageId, scope: &Scope, purpose: Purpose) -> Option<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for layer in &scope.layers {
            match layer {
                ScopeLayer::Origin => names.extend(self.names_of_origin(stage, purpose)?),
                ScopeLayer::Parsed(id) => {
                    let known = self.decodings[id.0 as usize].known.as_ref()?;
                    for (name, _) in known {
                        if !names.contains(name) {
                            names.push(name.clone());
                        }
                    }
                }
                ScopeLayer::Field(name, _) if names.contains(name) || is_hidden(name) => {}
                ScopeLayer::Field(name, _) => names.push(name.clone()),
                ScopeLayer::Without(name) => names.retain(|n| n != name),
            }
        }
        Some(names)
    }

    fn names_of_origin(&mut self, stage: StageId, purpose: Purpose) -> Option<Vec<String>> {
        match self.at(stage).origin.clone() {
            Origin::Decoded(id) => {
                let known = self.decodings[id.0 as usize].known.as_ref()?;
                Some(known.iter().map(|(name, _)| name.clone()).collect())
            }
            Origin::Made { whole: true, .. } if purpose == Purpose::View => None,
            Origin::Made { fields, .. } => {
                Some(fields.into_iter().map(|(name, _, _)| name).filter(|name| !is_hidden(name)).collect())
            }
            Origin::Copied(points) => {
                let mut names: Vec<String> = Vec::new();
                for point in &points {
                    for name in self.names_at(point.stage, &point.scope, purpose)? {
                        if !names.contains(&name) {
                            names.push(name);
                        }
                    }
                }
                Some(names)
            }
        }
    }

    fn names(&mut self, stage: StageId, layers: &[ScopeLayer]) -> Vec<String> {
        self.names_at(stage, &Scope { layers: layers.to_vec() }, Purpose::Lookup).unwrap_or_default()
    }

    /// How the whole event looks at a point; has everything kept that it needs. `why` says who asks.
    pub fn view(&mut self, stage: StageId, scope: &Scope, why: &str) -> View {
        if let Some(names) = self.known(stage, scope) {
            let fields = names.into_iter().filter_map(|name| {
                let found = self.resolve(stage, scope, &Path::field(name.clone())).ok()?;
                Some(Layer::Field(name, found.slot))
            });
            return View { layers: fields.collect() };
        }
        let mut layers = Vec::new();
        for (i, layer) in scope.layers.iter().enumerate() {
            match layer {
                ScopeLayer::Origin => self.view_origin(stage, why, &mut layers),
                ScopeLayer::Parsed(id) => layers.push(Layer::Merge(self.whole_parsed(stage, *id))),
                ScopeLayer::Without(name) if is_hidden(name) => {}
                ScopeLayer::Without(name) => layers.push(Layer::Without(name.clone())),
                ScopeLayer::Field(name, _) if is_hidden(name) => {}
                ScopeLayer::Field(name, _) => {
                    let below = Scope { layers: scope.layers[..=i].to_vec() };
                    if let Ok(found) = self.resolve(stage, &below, &Path::field(name.clone())) {
                        layers.push(Layer::Field(name.clone(), found.slot));
                    }
                }
            }
        }
        View { layers }
    }

    fn view_origin(&mut self, stage: StageId, why: &str, layers: &mut Vec<Layer>) {
        if let Some(names) = self.names_of_origin(stage, Purpose::View) {
            for name in names {
                if let Some(found) = self.origin_field(stage, &Path::field(name.clone())) {
                    layers.push(Layer::Field(name, found.slot));
                }
            }
            return;
        }
        layers.push(Layer::Raw);
        if self.at(stage).whole.iter().any(|known| known == why) {
            return;
        }
        self.at(stage).whole.push(why.to_owned());
        match self.at(stage).origin.clone() {
            Origin::Decoded(id) => self.decodings[id.0 as usize].wanted.whole = true,
            Origin::Made { .. } => {}
            Origin::Copied(points) => {
                for (input, point) in points.iter().enumerate().filter(|(_, point)| !stands_beside(point)) {
                    let view = self.view(point.stage, &point.scope, why);
                    self.at(stage).copies[input].whole = Some(view);
                }
            }
        }
    }

    /// The slot that holds all of a parsed event.
    pub fn whole_parsed(&mut self, stage: StageId, id: DecodingId) -> Slot {
        if let Some(slot) = self.decodings[id.0 as usize].object {
            return slot;
        }
        let slot = self.slot(stage, "(parsed)", Type::JSON);
        let decoding = &mut self.decodings[id.0 as usize];
        decoding.object = Some(slot);
        decoding.wanted.whole = true;
        slot
    }

    /// Whether a path stands in a cell of its own (or can be decoded into one), without taking a value apart.
    pub fn is_direct(&mut self, stage: StageId, scope: &Scope, path: &Path) -> bool {
        if path.rest().is_empty() {
            return true;
        }
        let Some(ScopeLayer::Origin) = scope.layers.iter().rev().find(|layer| match layer {
            ScopeLayer::Field(name, _) | ScopeLayer::Without(name) => name == path.root(),
            ScopeLayer::Parsed(_) | ScopeLayer::Origin => true,
        }) else {
            return false;
        };
        match &self.at(stage).origin {
            Origin::Decoded(id) => {
                let id = *id;
                self.decodings[id.0 as usize].known.is_none()
            }
            _ => false,
        }
    }
}

impl Draft {
    /// Whether a path can be had at a point, without reserving anything for it.
    pub fn can_resolve(&mut self, stage: StageId, scope: &Scope, path: &Path) -> bool {
        let names = self.names_at(stage, scope, Purpose::Lookup);
        names.is_none_or(|names| names.iter().any(|name| name == path.root()))
    }
}

impl Draft {
    /// For each step, whether it is the first and whether it is the last of its node.
    pub fn node_ends(&self) -> Vec<(bool, bool)> {
        let mut ends = vec![(true, true); self.steps.len()];
        for (number, step) in self.steps.iter().enumerate() {
            if step.aside {
                ends[number] = (false, false);
                continue;
            }
            let is_part = |next: &StepId| {
                let next = &self.steps[next.0 as usize];
                next.node == step.node && !next.aside
            };
            for next in step.outputs.iter().flat_map(|(_, target)| self.behind(target)) {
                for next in self.steps_of(*next).filter(is_part) {
                    ends[number].1 = false;
                    ends[next.0 as usize].0 = false;
                }
            }
        }
        ends
    }

    /// The steps that rows meet next: those behind an exchange too.
    fn steps_of(&self, next: Next) -> impl Iterator<Item = StepId> {
        let step = |next: &Next| if let Next::Step(step) = next { Some(*step) } else { None };
        let joined = match next {
            Next::Join(stage, _) => self.stages[stage.0 as usize].roots.as_slice(),
            Next::Step(_) => &[],
        };
        step(&next).into_iter().chain(joined.iter().filter_map(step).collect::<Vec<_>>())
    }

    fn behind<'a>(&'a self, target: &'a Target) -> &'a [Next] {
        match target {
            Target::Pass(all) => all,
            Target::Emit(stage) => &self.stages[stage.0 as usize].roots,
        }
    }
}

/// Names that the planner gives for its own use; no user can write them, and no output shows them.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('(')
}

fn common_type(types: impl Iterator<Item = Type>) -> Option<Type> {
    types.reduce(Type::or)
}
