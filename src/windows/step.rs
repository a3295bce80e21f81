//! The window operator as a step of a plan.

use super::{Accumulation, LATE, LateOutput, WindowOperator, WindowPlan};
use crate::dataflow::{Operator, StartContext, StepPlan};
use crate::event::Slot;
use crate::time::Millis;

/// A window, planned. What late events carry is known only when the whole pipeline is planned, and filled in at start.
#[derive(Debug)]
pub struct WindowStep {
    /// The window; its `late` is none.
    pub plan: WindowPlan,
    /// Its key fields, as written.
    pub key: Vec<String>,
    /// These names alone, without expressions.
    pub fields: Vec<String>,
    /// The calls of aggregates, as written.
    pub calls: Vec<String>,
    /// What it puts out, as written: name and expression.
    pub results: Vec<(String, String)>,
    /// Whether sources have watermarks by key and it follows the lowest of all of them.
    pub follows_lowest: bool,
    /// Where the start of the closed window goes in a late event, if somebody reads the port.
    pub late_start: Option<Slot>,
}

impl StepPlan for WindowStep {
    fn describe(&self) -> String {
        let key = if self.key.is_empty() { String::new() } else { format!(" by {}", self.key.join(", ")) };
        format!("{}{key}", self.plan.describe().swap_remove(0))
    }

    fn details(&self) -> Vec<String> {
        let results = self.results.iter().map(|(name, text)| format!("{name} = {text}"));
        let lowest = "follows the lowest watermark of all partitions, not those of its keys";
        let lowest = self.follows_lowest.then(|| lowest.to_owned());
        results.chain(self.plan.describe().into_iter().skip(1)).chain(lowest).collect()
    }

    fn revises(&self) -> bool {
        self.plan.accumulation != Accumulation::Discarding
    }

    fn gives_parts(&self) -> bool {
        let early = self.plan.firing.as_ref().is_some_and(|firing| firing.trigger.fires_early());
        self.plan.accumulation == Accumulation::Discarding && (early || self.plan.lateness > Millis::ZERO)
    }

    fn takes_back(&self) -> bool {
        self.plan.accumulation == Accumulation::Retracting
    }

    fn state(&self) -> Option<String> {
        Some(self.plan.shape(&self.fields, &self.calls))
    }

    fn spills(&self) -> bool {
        self.plan.ttl.0.is_none() && self.plan.firing.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let mut plan = self.plan.clone();
        plan.late = self
            .late_start
            .map(|slot| LateOutput { copies: context.copies(LATE, 0), window_start: Some(slot) });
        Box::new(WindowOperator::durable(plan, context.hash_seed, context.durable))
    }
}
