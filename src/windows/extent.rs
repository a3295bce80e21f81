//! Panes of any kind of window that a trigger can fire: how far they reach.

use super::aggregates::PaneId;
use super::keyed::KeyedPanes;
use super::merging::Merging;
use super::operator::Base;
use super::placement::Placement;
use super::plan::{WindowKind, WindowPlan};
use crate::time::{Interval, Timestamp};

/// How events find their panes.
pub enum Kind {
    /// By their time alone.
    Placed(Placement),
    /// By what lies near them.
    Merging(Merging),
}

/// How far a pane reaches.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// The window, as it is told.
    pub window: Interval,
    /// The watermark at which it ends.
    pub end: Timestamp,
    /// The watermark at which it is given up.
    pub expiry: Timestamp,
}

impl Kind {
    /// No panes.
    pub fn new(plan: &WindowPlan, base: Base) -> Kind {
        match plan.kind {
            WindowKind::Session { .. } | WindowKind::Global => Kind::Merging(Merging::new(plan, base)),
            _ => Kind::Placed(Placement::new(plan, base)),
        }
    }

    /// The panes.
    pub fn keyed(&mut self) -> &mut KeyedPanes {
        match self {
            Kind::Placed(placement) => &mut placement.keyed,
            Kind::Merging(merging) => &mut merging.keyed,
        }
    }

    /// The panes.
    pub fn keyed_ref(&self) -> &KeyedPanes {
        match self {
            Kind::Placed(placement) => &placement.keyed,
            Kind::Merging(merging) => &merging.keyed,
        }
    }

    /// How far a pane reaches.
    pub fn extent(&self, pane: PaneId) -> Extent {
        let keyed = self.keyed_ref();
        let span = keyed.panes[pane].span;
        match self {
            Kind::Merging(merging) if merging.bounds.is_endless() => {
                Extent { window: span, end: Timestamp::MAX, expiry: Timestamp::MAX }
            }
            Kind::Merging(merging) => {
                let window = merging.bounds.window(span);
                Extent { window, end: window.end, expiry: window.end + keyed.lateness }
            }
            Kind::Placed(_) => Extent { window: span, end: span.end, expiry: span.end + keyed.lateness },
        }
    }

    /// Gives up a pane that is not due at any time.
    pub fn close(&mut self, pane: PaneId) {
        match self {
            Kind::Placed(placement) => placement.close(pane),
            Kind::Merging(merging) => merging.close(pane),
        }
    }
}
