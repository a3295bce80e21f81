//! The `generate` source: events made up by expressions.

mod functions;

pub use functions::FUNCTIONS;

use crate::config::{Role, Setting, read};
use crate::dataflow::{
    ComponentSpec, FormatPlan, NodePlanner, Offset, OptionKind, OptionSpec, Origin, PlannedSource, Point,
    Polled, Position, Refused, Replay, Resume, RowSource, Scope, SourceError, SourcePlan,
};
use crate::event::bytes::{Malformed, Reader, put_number, put_random, read_random};
use crate::event::{BATCH_ROWS, Batch, Row, Slot};
use crate::expr::Program;
use crate::formats::Decoder;
use crate::time::{Env, Millis, Random};
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// The registry's entry.
pub static GENERATE: ComponentSpec = ComponentSpec {
    name: "generate",
    role: Role::Source,
    summary: "Makes events up: for trying things out, for tests and for measuring.",
    short: None,
    options: &[
        OptionSpec::required(
            "fields",
            OptionKind::Map(&OptionKind::Expression),
            "Fields and their expressions.",
        ),
        OptionSpec::optional("rate", OptionKind::Number, "Events a second; absent: as fast as it goes."),
        OptionSpec::optional("count", OptionKind::Integer, "The number of events; absent: endless."),
        OptionSpec::optional("seed", OptionKind::Integer, "Makes what is random the same in every run."),
    ],
    later: &[],
    example: "\
sources:
  readings:
    generate:
      count: 3
      seed: 1
      fields: { n: sequence(), machine: \"pick('lathe', 'press')\" }
sinks:
  out: { from: readings, stdout: {} }
",
};

/// Plans a `generate` source. Fields see no other fields.
pub fn plan(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    _format: &dyn FormatPlan,
) -> Option<PlannedSource> {
    let section = GENERATE.open(setting);
    let rate = section.optional("rate", read::number(0.001..=1e9));
    let count = section.optional("count", read::integer(0..));
    let seed = section.optional("seed", read::integer(i64::MIN..=i64::MAX));
    let functions = planner.functions.clone().with(functions::FUNCTIONS);
    let stage = planner.draft.stage(Origin::Made { fields: Vec::new(), whole: false });
    let mut shape = Xxh3::with_seed(seed.unwrap_or_default() as u64);
    let fields = section.required("fields", |setting| {
        let at = Point { stage, behind: None, scope: Scope::default() };
        let entries = setting.entries()?;
        let planned = entries.into_iter().map(|entry| {
            let expr = planner.parse(entry)?;
            shape.update(format!("{}={expr}\n", entry.name).as_bytes());
            let program = planner.compile_with(&at, entry, &expr, &functions)?;
            let slot = planner.draft.slot(stage, entry.name, program.ty());
            Some((entry.name.to_owned(), slot, program))
        });
        planned.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    })?;
    let made = fields.iter().map(|(name, slot, program)| (name.clone(), *slot, program.ty())).collect();
    planner.draft.at(stage).origin = Origin::Made { fields: made, whole: false };
    let programs = fields.into_iter().map(|(_, slot, program)| (slot, program)).collect();
    let plan = GeneratePlan {
        programs,
        rate,
        count: count.map(|count| count as u64),
        seed: seed.map(|seed| seed as u64),
        shape: shape.digest(),
    };
    Some(PlannedSource { plan: Box::new(plan), stage })
}

#[derive(Clone, Debug)]
struct GeneratePlan {
    programs: Vec<(Slot, Program)>,
    rate: Option<f64>,
    count: Option<u64>,
    seed: Option<u64>,
    /// Changes with what is made up.
    shape: u64,
}

impl SourcePlan for GeneratePlan {
    fn describe(&self) -> String {
        let rate = self.rate.map(|rate| format!(", {rate} a second")).unwrap_or_default();
        let count = self.count.map(|count| format!(", {count} events")).unwrap_or_default();
        format!("generate{rate}{count}")
    }

    fn is_live(&self) -> bool {
        self.count.is_none()
    }

    fn unlimited(&self) -> Option<Box<dyn SourcePlan>> {
        self.rate.map(|_| Box::new(GeneratePlan { rate: None, ..self.clone() }) as Box<dyn SourcePlan>)
    }

    fn replay(&self) -> Replay {
        Replay::Anew
    }

    fn resumes(&self) -> bool {
        true
    }

    fn partitions(&self) -> usize {
        1
    }

    fn is_one_partition(&self) -> bool {
        true
    }

    fn partition(&self, _number: usize, _decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        Box::new(Generator {
            programs: self.programs.clone(),
            rate: self.rate,
            count: self.count,
            random: self.seed.map(Random::seeded),
            shape: self.shape,
            made: 0,
            start: None,
            state: Vec::new(),
        })
    }
}

struct Generator {
    programs: Vec<(Slot, Program)>,
    rate: Option<f64>,
    count: Option<u64>,
    /// The source's own sequence, where it has a seed.
    random: Option<Random>,
    shape: u64,
    made: u64,
    /// When the first event of this run was due, in elapsed time (a clock that is set changes no rate), and how many
    /// there were before it.
    start: Option<(Millis, u64)>,
    /// What the programs count and remember behind the last fill.
    state: Vec<u8>,
}

/// What the one partition is called among positions.
const PARTITION: &[u8] = b"generate";
/// The form of its position.
const POSITION_VERSION: u8 = 1;

impl Generator {
    /// How many events are due now, a batch at most.
    fn due(&mut self, now: Millis) -> u64 {
        let (start, before) = *self.start.get_or_insert((now, self.made));
        let left = self.count.map_or(u64::MAX, |count| count.saturating_sub(self.made));
        let due = match self.rate {
            None => u64::MAX,
            Some(rate) => {
                let elapsed = (now.0 - start.0).max(0) as f64 / 1000.0;
                // The first event is due at once.
                ((elapsed * rate) as u64 + 1).saturating_sub(self.made - before)
            }
        };
        due.min(left).min(BATCH_ROWS as u64)
    }
}

impl Generator {
    /// Goes on at a position; false where other events were made up then.
    fn go_on(&mut self, at: &[u8]) -> Result<bool, Malformed> {
        let mut reader = Reader::new(at);
        if reader.byte()? != POSITION_VERSION || reader.fixed()? != self.shape {
            return Ok(false);
        }
        self.made = reader.number()?;
        let random = read_random(&mut reader)?;
        self.random = self.random.take().and(random);
        self.state = reader.take(reader.remaining())?.to_vec();
        let mut state = Reader::new(&self.state);
        for (_, program) in &mut self.programs {
            program.load(&mut state)?;
        }
        state.finish().map(|()| true)
    }

    fn save_programs(&mut self) {
        self.state.clear();
        let state = &mut self.state;
        self.programs.iter_mut().for_each(|(_, program)| program.save(state));
    }
}

impl RowSource for Generator {
    fn open(&mut self) -> Result<(), SourceError> {
        self.save_programs();
        Ok(())
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(found) = from.take(|position| position.partition == PARTITION) else { return Ok(None) };
        let Offset::Replay(at) = &found.at else { return Ok(None) };
        match self.go_on(at) {
            Ok(true) => Ok(Some(found.partition)),
            Ok(false) => {
                tracing::warn!("the fields of a `generate` source have changed: it begins anew");
                Ok(None)
            }
            Err(Malformed(what)) => {
                Err(SourceError { message: format!("the position of `generate` cannot be read: {what}") })
            }
        }
    }

    fn position(&self) -> Option<Position> {
        let mut at = vec![POSITION_VERSION];
        at.extend_from_slice(&self.shape.to_le_bytes());
        put_number(&mut at, self.made);
        put_random(&mut at, self.random.as_ref());
        at.extend_from_slice(&self.state);
        Some(Position { partition: PARTITION.to_vec(), at: Offset::Replay(at) })
    }

    fn fill(
        &mut self,
        batch: &mut Batch,
        refused: &mut Refused,
        env: &mut Env,
    ) -> Result<Polled, SourceError> {
        let due = self.due(env.elapsed);
        if let Some(random) = &mut self.random {
            std::mem::swap(random, &mut env.random);
        }
        let mut rows: Vec<Row> = (0..due).map(|_| batch.push_row(env.now, batch.watermark)).collect();
        for (slot, program) in &mut self.programs {
            program.store(batch, &mut rows, *slot, env, &mut refused.rows);
        }
        if let Some(random) = &mut self.random {
            std::mem::swap(random, &mut env.random);
        }
        self.made += due;
        if due > 0 {
            self.save_programs();
        }
        Ok(match self.count {
            Some(count) if self.made >= count => Polled::End,
            _ if due == 0 => Polled::Empty,
            _ => Polled::Data,
        })
    }
}
