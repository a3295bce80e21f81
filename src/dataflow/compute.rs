//! A step that computes expressions into slots of the batch at hand.

use super::{Operator, Output, StartContext, StepPlan};
use crate::event::{Batch, Rejects, Row, Slot};
use crate::expr::Program;

/// Computes programs into slots; all see the event as it came in, since none overwrites a slot that another reads.
#[derive(Clone, Debug)]
pub struct ComputePlan {
    /// Name, slot and program of each field.
    pub fields: Vec<(String, Slot, Program)>,
    /// The user's word for this, `set` or `select`; or `compute`; or what it is for: `key`, `aggregate`, …
    pub verb: &'static str,
}

impl StepPlan for ComputePlan {
    fn describe(&self) -> String {
        let names: Vec<&str> = self.fields.iter().map(|(name, _, _)| name.as_str()).collect();
        let names = names.join(", ");
        match self.verb {
            "set" | "select" | "compute" => format!("{} {names}", self.verb),
            purpose => format!("compute {names} ({purpose})"),
        }
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        let programs = self.fields.iter().map(|(_, slot, program)| (*slot, program.clone())).collect();
        Box::new(Compute { programs, rejects: Rejects::new() })
    }
}

struct Compute {
    programs: Vec<(Slot, Program)>,
    rejects: Rejects,
}

impl Operator for Compute {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        for (slot, program) in &mut self.programs {
            program.store(batch, rows, *slot, out.env(), &mut self.rejects);
        }
        for (row, reason) in self.rejects.drain(..) {
            out.reject(batch, row, reason);
        }
    }
}
