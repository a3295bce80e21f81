//! How an event looks from outside at one point of a pipeline: which fields, in which order.

use super::batch::Slot;

/// One layer of a [`View`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// All fields of the row's raw JSON object.
    Raw,
    /// All fields of the JSON map in a slot, if it holds one.
    Merge(Slot),
    /// One field.
    Field(String, Slot),
    /// The field is not there.
    Without(String),
}

/// Layers applied in order, as insertions into an ordered map: a field that is there already is
/// overwritten in its place, a new one is appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

impl View {
    /// The fields if they are all known at plan time, in order; None if some come from data.
    pub fn fields(&self) -> Option<Vec<(&str, Slot)>> {
        let mut fields: Vec<(&str, Slot)> = Vec::new();
        for layer in &self.layers {
            match layer {
                Layer::Raw | Layer::Merge(_) => return None,
                Layer::Without(name) => fields.retain(|(n, _)| n != name),
                Layer::Field(name, slot) => match fields.iter_mut().find(|(n, _)| n == name) {
                    Some(field) => field.1 = *slot,
                    None => fields.push((name, *slot)),
                },
            }
        }
        Some(fields)
    }
}
