//! What of an event is at hand at a point without anybody asking for it: for those who only look on.

use super::draft::{DecodingId, Draft, Origin, is_hidden};
use super::scope::{Binding, Scope, ScopeLayer};
use super::step::StageId;
use crate::event::{Layer, Slot, View};

impl Draft {
    /// The fields at a point that are decoded or computed once all is planned, as somebody reads them. What nobody reads
    /// may be missing.
    pub fn present(&self, stage: StageId, scope: &Scope) -> View {
        let mut layers = Vec::new();
        for layer in &scope.layers {
            match layer {
                ScopeLayer::Origin => self.present_origin(stage, &mut layers),
                ScopeLayer::Parsed(id) => self.present_decoded(*id, &mut layers),
                ScopeLayer::Without(name) if !is_hidden(name) => layers.push(Layer::Without(name.clone())),
                ScopeLayer::Field(name, binding) if !is_hidden(name) => {
                    let slot = match binding {
                        Binding::Slot(slot, _) => Some(*slot),
                        Binding::Alias(below, path) => {
                            slot_of(&self.present(stage, below), &path.to_string())
                        }
                        Binding::Map(_) => None,
                    };
                    layers.extend(slot.map(|slot| Layer::Field(name.clone(), slot)));
                }
                ScopeLayer::Without(_) | ScopeLayer::Field(..) => {}
            }
        }
        View { layers }
    }

    fn present_origin(&self, stage: StageId, layers: &mut Vec<Layer>) {
        let draft = &self.stages[stage.0 as usize];
        match &draft.origin {
            _ if !draft.whole.is_empty() => layers.push(Layer::Raw),
            Origin::Decoded(id) => self.present_decoded(*id, layers),
            Origin::Made { fields, .. } => {
                let fields = fields.iter().filter(|(name, ..)| !is_hidden(name));
                layers.extend(fields.map(|(name, slot, _)| Layer::Field(name.clone(), *slot)));
            }
            Origin::Copied(_) => {
                let copied = draft.copied.iter().map(|(path, slot)| (path.to_string(), *slot));
                layers.extend(
                    copied.filter(|(name, _)| !is_hidden(name)).map(|(name, slot)| Layer::Field(name, slot)),
                );
            }
        }
    }

    fn present_decoded(&self, id: DecodingId, layers: &mut Vec<Layer>) {
        let decoding = &self.decodings[id.0 as usize];
        if let Some(object) = decoding.object {
            layers.push(Layer::Merge(object));
            return;
        }
        let fields = decoding.wanted.fields.iter().map(|(path, slot)| (path.to_string(), *slot));
        layers
            .extend(fields.filter(|(name, _)| !is_hidden(name)).map(|(name, slot)| Layer::Field(name, slot)));
    }
}

/// Where a field stands that is at hand by itself.
fn slot_of(view: &View, name: &str) -> Option<Slot> {
    view.layers.iter().rev().find_map(|layer| match layer {
        Layer::Field(field, slot) if field == name => Some(*slot),
        _ => None,
    })
}
