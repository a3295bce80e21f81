//! `where`: keeps the events for which an expression is true.

use crate::config::{Role, Setting};
use crate::dataflow::{
    ComponentSpec, MAIN, NodePlanner, Operator, OptionKind, Output, Point, Ports, StartContext, StepPlan,
    TransformSpec,
};
use crate::event::{Batch, Rejects, Row};
use crate::expr::Program;

/// The registry entry.
pub const WHERE: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: false };

const SPEC: ComponentSpec = ComponentSpec {
    name: "where",
    role: Role::Transform,
    summary: "Keeps the events for which the condition is true; false and null drop them.",
    short: Some(OptionKind::Expression),
    options: &[],
    later: &[],
    example: "\
transforms:
  bought:
    from: events
    where: type = 'purchase' AND amount >= 0.5
tests:
  - name: null is not true
    steps:
      - send:
          events:
            - { type: purchase, amount: 2.5 }
            - { type: purchase, amount: 0.1 }
            - { type: purchase }
      - expect: { out: [{ type: purchase, amount: 2.5 }] }
",
};

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let mut at = at.clone();
    let mut expr = planner.parse(setting)?;
    let good = planner.history(&mut at, &mut [(setting, &mut expr)]);
    let program = planner.condition_of(&at, setting, &expr).filter(|_| good)?;
    let text = setting.node.scalar().unwrap_or_default().trim().to_owned();
    let step = planner.attach(&at, Box::new(FilterPlan { program, text }));
    Some(vec![(String::new(), planner.behind(&at, step, MAIN, at.scope.clone()))])
}

/// Keeps rows for which the program is true; false and null drop them.
#[derive(Clone, Debug)]
pub struct FilterPlan {
    /// The condition.
    pub program: Program,
    /// The condition as written.
    pub text: String,
}

impl StepPlan for FilterPlan {
    fn describe(&self) -> String {
        format!("where {}", self.text)
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Filter { program: self.program.clone(), rejects: Rejects::new() })
    }
}

struct Filter {
    program: Program,
    rejects: Rejects,
}

impl Operator for Filter {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let before = rows.len();
        self.program.filter(batch, rows, out.env(), &mut self.rejects);
        let dropped = before - rows.len() - self.rejects.len();
        if dropped > 0 {
            out.discard("filtered", dropped as u64);
        }
        for (row, reason) in self.rejects.drain(..) {
            out.reject(batch, row, reason);
        }
    }
}
