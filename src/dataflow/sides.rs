//! The two sides of a join in the stage where both come in: each is a map under the name of its node, of which only those
//! fields are copied that somebody reads, and the whole map only if somebody reads that.

use super::draft::{Draft, Origin, is_hidden};
use super::scope::{Binding, Point, Scope, ScopeLayer};
use super::step::{Next, StageId, Target};
use crate::event::{Path, Slot, Step};
use crate::expr::{Resolved, Type};
use std::sync::Arc;

/// One of the points that a stage is copied from, all of whose event stands there as one map.
pub(super) struct Side {
    input: usize,
    from: StageId,
    scope: Arc<Scope>,
}

impl Side {
    /// The side of that name, if there is one.
    pub(super) fn among(points: &[Point], name: &str) -> Option<Side> {
        points.iter().enumerate().find_map(|(input, point)| {
            let layers = point.scope.layers.iter().rev();
            let scope = layers.into_iter().find_map(|layer| match layer {
                ScopeLayer::Field(field, Binding::Map(scope)) if field == name => Some(scope.clone()),
                _ => None,
            })?;
            Some(Side { input, from: point.stage, scope })
        })
    }
}

/// Whether the rows at a point only stand beside those of another one, under names that no user can write.
pub(super) fn stands_beside(point: &Point) -> bool {
    let is_hidden = |layer: &ScopeLayer| matches!(layer, ScopeLayer::Field(name, _) if is_hidden(name));
    !point.scope.layers.is_empty() && point.scope.layers.iter().all(is_hidden)
}

impl Draft {
    /// Has a path copied that begins with the name of a side. None if the side has no such field.
    pub(super) fn copied_side(&mut self, stage: StageId, side: &Side, path: &Path) -> Option<Resolved> {
        let Some((Step::Field(name), rest)) = path.rest().split_first() else {
            let slot = self.copied_map(stage, side, path.root());
            return Some(Resolved { slot, ty: Type::JSON, rest: path.rest().to_vec() });
        };
        let found = self.resolve(side.from, &side.scope, &Path::field(name.clone()).join(rest)).ok()?;
        // What must be taken apart at run time is copied as far as it stands in a cell of its own.
        let own = path.steps().len() - found.rest.len();
        let field = Path::field(path.root()).join(&path.steps()[1..own]);
        let ty = if found.rest.is_empty() { found.ty } else { Type::ANY };
        let slot = match self.at(stage).copied.get(&field) {
            Some(slot) => *slot,
            None => {
                let slot = self.slot(stage, field.to_string(), ty);
                self.at(stage).copied.insert(field, slot);
                self.at(stage).copies[side.input].cells.push((found.slot, slot));
                slot
            }
        };
        Some(Resolved { slot, ty, rest: found.rest })
    }

    /// The slot that holds all of a side.
    fn copied_map(&mut self, stage: StageId, side: &Side, name: &str) -> Slot {
        let path = Path::field(name);
        if let Some(slot) = self.at(stage).copied.get(&path) {
            return *slot;
        }
        let slot = self.slot(stage, name, Type::JSON);
        self.at(stage).copied.insert(path, slot);
        let view = self.view(side.from, &side.scope, &format!("`{name}` is read whole behind a join"));
        self.at(stage).copies[side.input].maps.push((view, slot));
        slot
    }

    /// Whether a stage is one in which rows of several points come together by themselves.
    pub fn is_union(&self, stage: StageId) -> bool {
        let Origin::Copied(points) = &self.stages[stage.0 as usize].origin else { return false };
        let joins = |next: &Next| *next == Next::Join(stage, 0);
        let joined = |at: &Point| match at.behind {
            None => self.stages[at.stage.0 as usize].roots.iter().any(joins),
            Some((step, _)) => self.steps[step.0 as usize]
                .outputs
                .iter()
                .any(|(_, target)| matches!(target, Target::Pass(all) if all.iter().any(joins))),
        };
        points.len() > 1 && points.first().is_some_and(joined)
    }
}
