//! Which fields can be named at one point of a pipeline, and where they come from.

use super::StageId;
use super::draft::DecodingId;
use crate::event::{Path, Slot};
use crate::expr::Type;
use std::sync::Arc;

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Binding {
    /// A cell, with its type as far as it is known.
    Slot(Slot, Type),
    /// Another name for a path further up; resolved only if somebody asks, so that nobody decodes in vain.
    Alias(Arc<Scope>, Path),
    /// A map of all that another scope of the same stage gives: one side of a join. Only for points that are joined.
    Map(Arc<Scope>),
}

/// One layer of a [`Scope`]; upper layers hide lower ones.
#[derive(Clone, Debug)]
pub enum ScopeLayer {
    /// All that the stage's origin provides.
    Origin,
    /// All that a decoder inside the stage provides: an event parsed out of a field.
    Parsed(DecodingId),
    /// One field.
    Field(String, Binding),
    /// A field that is not there any more.
    Without(String),
}

/// The fields at one point, lowest layer first.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The layers.
    pub layers: Vec<ScopeLayer>,
}

impl Scope {
    /// The scope right behind a stage's origin.
    pub fn origin() -> Scope {
        Scope { layers: vec![ScopeLayer::Origin] }
    }

    /// The scope with one more field, or the field replaced.
    pub fn with(mut self, name: impl Into<String>, binding: Binding) -> Scope {
        self.layers.push(ScopeLayer::Field(name.into(), binding));
        self
    }

    /// The scope without a field.
    pub fn without(mut self, name: impl Into<String>) -> Scope {
        self.layers.push(ScopeLayer::Without(name.into()));
        self
    }
}

/// A place in the pipeline where further steps can be attached.
#[derive(Clone, Debug)]
pub struct Point {
    /// The stage whose batch is at hand.
    pub stage: StageId,
    /// The step and port behind which this is; none directly behind the stage's origin.
    pub behind: Option<(super::StepId, super::Port)>,
    /// The fields.
    pub scope: Scope,
}
