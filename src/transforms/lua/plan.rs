//! The plan of a script's step.

use super::call::Shared;
use super::emitted::{Emitted, Writes};
use super::needs::Needs;
use super::operator::LuaStep;
use super::runner::{Plugin, Runner};
use crate::config::StateTtl;
use crate::dataflow::{Copier, DecodingId, KeyedState, Operator, Port, StageId, StartContext, StepPlan};
use crate::event::{Batch, Row, Slot, View};

/// What becomes of an event for which the script fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnError {
    Reject,
    Pass,
    Stop,
}

/// What goes into the script.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// The fields that it needs, in their order; None: there is no such field.
    Fields(Vec<Option<Slot>>),
    /// All of the event.
    Whole(View),
}

/// A field that the script may write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) name: String,
    /// Where it goes, where events stay in their batch.
    pub(super) slot: Slot,
    /// Where the event has it as it came in.
    pub(super) before: Option<Slot>,
    /// Whether the script always writes it.
    pub(super) always: bool,
}

impl Write {
    /// Whether the event has the field, even if it is null.
    pub(super) fn is_present(&self, batch: &Batch, row: Row) -> bool {
        self.always || self.before.is_some_and(|slot| !batch.get(row, slot).is_null())
    }
}

/// Runs a script for each event.
#[derive(Clone, Debug)]
pub(super) struct LuaPlan {
    pub(super) node: String,
    pub(super) plugin: Plugin,
    pub(super) needs: Needs,
    pub(super) input: Input,
    pub(super) writes: Vec<Write>,
    pub(super) on_error: OnError,
    pub(super) version: u32,
    /// Where the key stands, its names, and both for people.
    pub(super) key: Vec<Slot>,
    pub(super) key_names: Vec<String>,
    pub(super) names: String,
    pub(super) by: String,
    pub(super) ttl: StateTtl,
    /// The stage in which events come.
    pub(super) stage: StageId,
    /// What is read behind each port, where the step makes events.
    pub(super) decodings: Vec<DecodingId>,
    pub(super) ports: u8,
    pub(super) is_batch: bool,
    pub(super) stays: bool,
    pub(super) has_timers: bool,
    /// Whether it may ask for the key's state or the event's time.
    pub(super) asks: bool,
}

impl LuaPlan {
    /// Which fields go in and out, or why all do.
    fn fields(&self) -> String {
        let list = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let out = match &self.needs.writes {
            Some(writes) => format!("writes {}", list(writes)),
            None => "gives events that may have any fields".to_owned(),
        };
        match &self.needs.reads {
            Ok(reads) => format!("reads {}; {out}", list(reads)),
            Err(whole) => {
                let script = &self.plugin.script.name;
                format!("reads the whole event: {script}:{}: {}; {out}", whole.line, whole.why)
            }
        }
    }
}

impl StepPlan for LuaPlan {
    fn describe(&self) -> String {
        format!("lua {}{}", self.plugin.script.name, self.by)
    }

    fn details(&self) -> Vec<String> {
        let mut lines = vec![self.fields()];
        lines.push(match (self.is_batch, self.stays) {
            (true, true) => "several events a call; events stay where they are".to_owned(),
            (true, false) => "several events a call; events are made anew".to_owned(),
            (false, true) => "one event a call; events stay where they are".to_owned(),
            (false, false) => "one event a call; events are made anew".to_owned(),
        });
        if self.needs.keeps {
            lines.push(format!(
                "state: what the script keeps for a key, version {}{}",
                self.version,
                self.ttl.words_behind()
            ));
        }
        if self.has_timers {
            lines.push("timers in event time, `on_timer`".to_owned());
        }
        let budget = &self.plugin.budget;
        lines.push(format!(
            "budget: {} instructions and {} ms a call, {} KiB",
            budget.instructions,
            budget.time.as_millis(),
            budget.memory >> 10
        ));
        lines.push(
            match self.on_error {
                OnError::Reject => "what fails is rejected",
                OnError::Pass => "what fails goes on unchanged",
                OnError::Stop => "a failure stops the pipeline",
            }
            .to_owned(),
        );
        lines
    }

    /// The script is no part of it: what it keeps stays when it is replaced.
    fn state(&self) -> Option<String> {
        self.needs.keeps.then(|| format!("1 names and values of a script {}", self.names))
    }

    fn spills(&self) -> bool {
        self.needs.keeps && self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let writes = Writes { known: self.needs.writes.clone(), declared: self.needs.is_closed() };
        let emitted = (!self.stays).then(|| Emitted::new(context, &self.decodings, writes));
        let call = Shared::new(self.needs.ports.clone(), emitted, self.needs.keeps);
        let runner = Runner::new(&self.node, self.plugin.clone(), self.needs.clone(), call);
        let keys = self.needs.keeps.then(|| {
            KeyedState::durable(self.key.clone(), context.hash_seed, context.durable).forgetting(self.ttl)
        });
        let copiers = (0..self.ports).map(|port| Copier::new(&context.copies(Port(port), 0))).collect();
        let slots = context.draft.stages[self.stage.0 as usize].slots.len();
        Box::new(LuaStep::new(self.clone(), runner, keys, copiers, slots))
    }
}
