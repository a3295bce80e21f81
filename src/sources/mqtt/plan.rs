//! The options of an `mqtt` source.

use super::MQTT;
use super::filling::{Placing, Subscriber};
use super::topics::{TopicFields, is_filter};
use crate::clients::mqtt::{self, Connecting, Qos, Subscription, Version};
use crate::config::{Section, Setting, read};
use crate::dataflow::{
    Durable, FormatPlan, Handover, Journal, NodePlanner, PlannedSource, Probed, PushSource, Replay,
    RowSource, SourcePlan, StageId, Upkeep,
};
use crate::event::Slot;
use crate::expr::{SourceField, Type};
use crate::formats::Decoder;
use crate::time::Millis;
use std::sync::Arc;

/// How long a broker keeps the session of a client that is away, in seconds, where nothing else is said.
const USUAL_EXPIRY: u32 = 24 * 60 * 60;

/// The most bytes that a payload may be allowed to have.
const LARGEST_PAYLOAD: u64 = 32 << 20;
/// What the one partition is called among positions.
const PARTITION: &[u8] = b"mqtt";

/// The most bytes that are taken as one packet.
const LARGEST_PACKET: u64 = 60 << 20;

/// Plans an `mqtt` source.
pub fn plan(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    format: &dyn FormatPlan,
) -> Option<PlannedSource> {
    let section = MQTT.open(setting);
    let connecting = mqtt::read_connecting(planner, &section);
    let topics = section.required("topics", read::one_or_list(filter));
    let qos = mqtt::qos(&section);
    let group = section.optional("shared_group", group);
    let max_payload = section.or("max_payload", 1 << 20, payload_limit);
    let fields = section.optional("topic_fields", topic_fields);
    let (mut connecting, topics) = (connecting?, topics?);
    session(planner, &section, &mut connecting);
    // Whatever comes must fit into a record of the log: else it would stop the pipeline, and come again at each start.
    connecting.largest_packet = (max_payload * 16).clamp(1 << 20, LARGEST_PACKET) as u32;
    let filters = topics.iter().map(|topic| match &group {
        Some(group) => format!("$share/{group}/{topic}"),
        None => topic.clone(),
    });
    let subscription = Subscription { filters: filters.collect(), qos };
    let stage = planner.decoded_stage(format);
    let placing = Placing {
        levels: fields.map(|fields| levels(planner, stage, fields)),
        provided: Vec::new(),
        max_payload: max_payload as usize,
    };
    let (upkeep, journal) = (Upkeep::default(), None);
    let plan = MqttSourcePlan { connecting, subscription, placing, upkeep, journal };
    Some(PlannedSource { plan: Box::new(plan), stage })
}

fn filter(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    match is_filter(text) {
        Ok(()) => Some(text.to_owned()),
        Err(message) => {
            setting.error(message);
            None
        }
    }
}

fn group(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    if text.contains(['/', '+', '#', '\0']) {
        setting.wrong("a name without `/`, `+` and `#`");
        return None;
    }
    Some(text.to_owned())
}

fn payload_limit(setting: Setting<'_>) -> Option<u64> {
    let size = read::size(setting)?;
    if size == 0 || size > LARGEST_PAYLOAD {
        setting.wrong("a size above 0 and of at most 32MiB");
        return None;
    }
    Some(size)
}

fn topic_fields(setting: Setting<'_>) -> Option<TopicFields> {
    match TopicFields::parse(read::text(setting)?) {
        Ok(fields) => Some(fields),
        Err(message) => {
            setting.error(message).hint("names stand in braces: `site/{site}/device/{device}`");
            None
        }
    }
}

/// Slots for the levels of topics.
fn levels(planner: &mut NodePlanner<'_>, stage: StageId, fields: TopicFields) -> (TopicFields, Vec<Slot>) {
    let slots = fields.names().map(|name| planner.draft.slot(stage, name, Type::TEXT)).collect();
    (fields, slots)
}

/// Reads what belongs to the session.
fn session(planner: &NodePlanner<'_>, section: &Section<'_>, connecting: &mut Connecting) {
    // Without a name that lasts, what a broker keeps for us would never be asked for again.
    let known = planner.instance.lasting || section.has("client_id");
    connecting.clean_start = section.or("clean_start", !known, read::boolean);
    if planner.is_renamed && !connecting.clean_start && !section.has("client_id") {
        let message =
            "the broker knows this source by another name now: what it keeps for the old one does not come";
        let reported = section.faults().warning(section.place(), message);
        reported.hint("write `client_id: headwater-INSTANCE-PIPELINE-OLDNAME`, as it was");
    }
    let expiry = section.optional("session_expiry", read::duration);
    let maximum = section.optional("receive_maximum", read::integer(1..=65_535));
    connecting.session_expiry = match expiry {
        Some(Millis(span)) => u32::try_from((span + 999) / 1000).unwrap_or(u32::MAX),
        None if connecting.clean_start => 0,
        None => USUAL_EXPIRY,
    };
    connecting.receive_maximum = maximum.map_or(1024, |maximum| maximum as u16);
    if connecting.version == Version::Three {
        for name in ["session_expiry", "receive_maximum"] {
            if let Some(setting) = section.get(name) {
                let reported = setting.faults.error(setting.key, format!("`{name}` needs version 5"));
                reported.hint("with 3.1.1 it is a setting of the broker");
            }
        }
    }
}

#[derive(Clone, Debug)]
struct MqttSourcePlan {
    connecting: Connecting,
    subscription: Subscription,
    placing: Placing,
    upkeep: Upkeep,
    journal: Option<Arc<Journal>>,
}

impl SourcePlan for MqttSourcePlan {
    fn describe(&self) -> String {
        let topics = self.subscription.filters.join(", ");
        let Connecting { address, clean_start, .. } = &self.connecting;
        let session = if *clean_start { "clean start" } else { "session kept" };
        format!("mqtt {topics} at {address}, QoS {}, {session}", self.subscription.qos.number())
    }

    fn is_live(&self) -> bool {
        true
    }

    fn handover(&self) -> Option<Handover> {
        let (name, loses) = match self.subscription.qos.number() {
            0 => ("QoS 0", true),
            1 => ("QoS 1", false),
            _ => ("QoS 2", false),
        };
        Some(Handover { name, loses })
    }

    fn replay(&self) -> Replay {
        Replay::Gone
    }

    fn partitions(&self) -> usize {
        1
    }

    fn is_one_partition(&self) -> bool {
        true
    }

    fn upkeep(&mut self) -> Option<&mut Upkeep> {
        Some(&mut self.upkeep)
    }

    fn durable(&self) -> Durable {
        self.upkeep.durable
    }

    fn journal(&mut self, journal: Arc<Journal>) {
        self.journal = Some(journal);
    }

    fn under_way(&self) -> Option<u64> {
        let is_ours = self.connecting.version == Version::Five && self.subscription.qos != Qos::AtMostOnce;
        is_ours.then_some(self.connecting.receive_maximum.into())
    }

    fn misfit(&self) -> Option<(String, &'static str)> {
        let is_exact = self.subscription.qos == Qos::ExactlyOnce && self.upkeep.durable != Durable::No;
        let message =
            "`qos: 2` cannot outlive the process: which messages are half way is known in memory only";
        let hint = "`qos: 1` with `id` is exact over restarts too; `durable: none` keeps `qos: 2`, and then what \
                    nodes keep is lost with the process";
        is_exact.then(|| (message.to_owned(), hint))
    }

    fn probe(&self) -> Option<Probed> {
        Some(mqtt::probe(&self.connecting, self.subscription.qos, Some(&self.subscription)))
    }

    fn gives_records(&self) -> bool {
        true
    }

    fn added_fields(&self) -> Vec<(String, Slot, Type)> {
        let Some((fields, slots)) = &self.placing.levels else { return Vec::new() };
        fields.names().zip(slots).map(|(name, slot)| (name.to_owned(), *slot, Type::TEXT)).collect()
    }

    fn provide(&mut self, wanted: Vec<(SourceField, Slot)>) {
        self.placing.provided = wanted;
    }

    fn partition(&self, _number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        let (connecting, subscription) = (self.connecting.clone(), self.subscription.clone());
        let (placing, journal) = (self.placing.clone(), self.journal.clone());
        let journaled = journal.is_some();
        let subscriber = Subscriber::new(connecting, subscription, placing, self.upkeep, journal);
        Box::new(PushSource::new(subscriber, PARTITION, self.upkeep, journaled, decoder()))
    }
}
