//! Panes whose results could not be computed: they are rejected as events are.

use crate::dataflow::{Operator, Output, StartContext, StepPlan};
use crate::event::{Batch, Reason, RejectKind, Row, Slot};

/// Rejects rows that say why they have no result.
#[derive(Clone, Debug)]
pub struct RefusalPlan {
    /// Where they say it; null if they have one.
    pub failed: Vec<Slot>,
}

impl StepPlan for RefusalPlan {
    fn describe(&self) -> String {
        "reject panes whose result a plugin could not compute".to_owned()
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

impl Operator for RefusalPlan {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        rows.retain(|&row| {
            let failed = self.failed.iter().map(|slot| batch.get(row, *slot)).find(|why| !why.is_null());
            if let Some(why) = failed {
                let text = batch.text(why).to_owned();
                out.reject(batch, row, Reason::new(RejectKind::Aggregate, text));
            }
            failed.is_none()
        });
    }
}
