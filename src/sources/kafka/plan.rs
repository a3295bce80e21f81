//! The options of a `kafka` source.

use super::KAFKA;
use super::finder::Finder;
use super::keeper::Keeper;
use super::kept::Kept;
use super::placing::Placing;
use super::probe;
use super::topics::{Choice, Start};
use crate::clients::kafka::read_connection;
use crate::config::{Role, Setting, read};
use crate::dataflow::{
    FormatPlan, NodePlanner, PlannedSource, Probed, Replay, RowSource, SourcePlan, Upkeep,
};
use crate::event::Slot;
use crate::expr::SourceField;
use crate::formats::Decoder;
use std::sync::{Arc, OnceLock};

const ISOLATIONS: [(&str, &str); 2] =
    [("read_committed", "read_committed"), ("read_uncommitted", "read_uncommitted")];

/// The longest name of a group, in bytes.
const LONGEST_GROUP: usize = 249;

/// Plans a `kafka` source.
pub fn plan(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    format: &dyn FormatPlan,
) -> Option<PlannedSource> {
    let section = KAFKA.open(setting);
    let connection = read_connection(planner, &section, Role::Source);
    let choice = Choice::read(&section);
    let group = section.optional("group", group);
    let isolation = section.or("isolation", ISOLATIONS[0].1, read::word(&ISOLATIONS, &[]));
    let usual = || format!("{}/{}/{}", planner.instance.id, planner.pipeline, planner.name);
    let group = group.unwrap_or_else(usual);
    let kept = Kept { connection: connection?, choice: choice?, group, isolation, stale_after: None };
    let (workers, stage) = (planner.workers.max(1), planner.decoded_stage(format));
    let (upkeep, placing, keeper) = (Upkeep::default(), Placing::default(), OnceLock::new());
    let plan = KafkaSourcePlan { kept, workers, upkeep, placing, keeper };
    Some(PlannedSource { plan: Box::new(plan), stage })
}

fn group(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    if text.len() > LONGEST_GROUP || text.contains('\0') {
        setting.wrong("a text of at most 249 bytes without null characters");
        return None;
    }
    Some(text.to_owned())
}

struct KafkaSourcePlan {
    kept: Kept,
    workers: usize,
    upkeep: Upkeep,
    placing: Placing,
    /// What keeps the connection that all workers share.
    keeper: OnceLock<Arc<Keeper>>,
}

impl std::fmt::Debug for KafkaSourcePlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSourcePlan").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl SourcePlan for KafkaSourcePlan {
    fn describe(&self) -> String {
        let Kept { connection, choice, group, isolation, .. } = &self.kept;
        let brokers = connection.shown_brokers();
        format!("kafka {} at {brokers}, group {group}, {isolation}", choice.describe())
    }

    fn is_live(&self) -> bool {
        true
    }

    fn replay(&self) -> Replay {
        match self.kept.choice.start {
            Start::Latest | Start::Committed => Replay::Gone,
            Start::Earliest | Start::At(_) | Start::Offsets(_) => Replay::FromStart,
        }
    }

    fn partitions(&self) -> usize {
        self.workers
    }

    fn finds_partitions(&self) -> bool {
        true
    }

    fn upkeep(&mut self) -> Option<&mut Upkeep> {
        Some(&mut self.upkeep)
    }

    fn misfit(&self) -> Option<(String, &'static str)> {
        let message = "`durable` means nothing at `kafka`: its messages stay with the broker";
        let hint = "a restart reads them again from the offset that the last checkpoint has";
        self.upkeep.durable_is_written.then(|| (message.to_owned(), hint))
    }

    fn gives_records(&self) -> bool {
        true
    }

    fn waits_for_schemas(&self) -> bool {
        true
    }

    fn provide(&mut self, wanted: Vec<(SourceField, Slot)>) {
        self.placing = Placing::new(wanted);
    }

    fn resumes(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Probed> {
        Some(probe::probe(&self.kept))
    }

    fn partition(&self, number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        let kept = Kept { stale_after: self.upkeep.stale_after, ..self.kept.clone() };
        let keeper = self.keeper.get_or_init(|| Keeper::new(kept, self.workers)).clone();
        let worker = (number, self.workers);
        Box::new(Finder::new(worker, keeper, self.upkeep.startup, self.placing.clone(), decoder()))
    }
}
