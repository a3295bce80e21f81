//! The options of an `mqtt` sink.

use super::MQTT;
use super::outbox::Manner;
use super::publishing::{ID, Publishing};
use crate::clients::mqtt::{self, Connecting, Qos, Version, is_topic};
use crate::config::{Setting, read};
use crate::dataflow::{NodePlanner, Probed, Retry, Sink, SinkPlan, Template};

/// Messages that are sent ahead of their acknowledgements.
const MOST_UNDER_WAY: u16 = 256;
/// The same with QoS 2 of version 3.1.1, where a broker cannot say how many it takes: mosquitto takes 20, and forgets
/// further ones though it acknowledges them.
const FEW_UNDER_WAY: u16 = 20;

/// Plans an `mqtt` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = MQTT.open(setting);
    let connecting = mqtt::read_connecting(planner, &section);
    let topic =
        section.required("topic", |setting| Template::plan(planner, setting, |text, _| is_topic(text)));
    let qos = mqtt::qos(&section);
    let retain = section.or("retain", false, read::boolean);
    let properties = section.get("properties").map(|setting| properties(planner, setting));
    if let (Some(setting), Some(Version::Three)) =
        (section.get("properties"), connecting.as_ref().map(|connecting| connecting.version))
    {
        setting.faults.error(setting.key, "`properties` need version 5");
    }
    let (names, values): (Vec<_>, Vec<_>) = properties.unwrap_or(Some(Vec::new()))?.into_iter().unzip();
    let mut address = vec![topic?];
    address.extend(values);
    // QoS 0 is never sent again, and version 3.1.1 has no properties.
    let five = connecting.as_ref().is_some_and(|connecting| connecting.version == Version::Five);
    let ids = five && qos != Qos::AtMostOnce && !names.iter().any(|name| name == ID);
    if ids {
        address.push(Template::room());
    }
    let mut connecting = connecting?;
    connecting.under_way = match (connecting.version, qos) {
        (Version::Three, Qos::ExactlyOnce) => FEW_UNDER_WAY,
        _ => MOST_UNDER_WAY,
    };
    let manner = Manner { qos, retain, under_way: connecting.under_way, properties: names, ids };
    Some(Box::new(MqttSinkPlan { connecting, manner, address }))
}

fn properties(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Vec<(String, Template)>> {
    let planned = setting.entries()?.into_iter().map(|entry| {
        let name = is_property(entry.name).map(|()| entry.name.to_owned());
        if let Err(message) = name {
            entry.faults.error(entry.key, message);
        }
        Some((name.ok()?, Template::plan(planner, entry, |text, _| is_property(text))?))
    });
    planned.collect::<Vec<_>>().into_iter().collect()
}

/// Whether a text can be the name or value of a property.
fn is_property(text: &str) -> Result<(), &'static str> {
    if text.contains('\0') { Err("a property cannot hold null characters") } else { Ok(()) }
}

#[derive(Debug)]
struct MqttSinkPlan {
    connecting: Connecting,
    manner: Manner,
    /// The topic, the values of the properties, and room for an id.
    address: Vec<Template>,
}

impl SinkPlan for MqttSinkPlan {
    fn describe(&self) -> String {
        let topic = self.address.first().map(Template::written).unwrap_or_default();
        format!("mqtt {topic} at {}, QoS {}", self.connecting.address, self.manner.qos.number())
    }

    fn address(&self) -> &[Template] {
        &self.address
    }

    fn layout(&self) -> Vec<&str> {
        let properties = self.manner.properties.iter().map(String::as_str);
        properties.chain(self.manner.ids.then_some(ID)).collect()
    }

    fn takes_messages(&self) -> bool {
        true
    }

    fn retried_by(&mut self, retry: Retry) {
        self.connecting.retry = retry;
    }

    /// The broker has it, or it is kept until then; with QoS 0 nobody knows.
    fn is_lasting(&self) -> bool {
        self.manner.qos != Qos::AtMostOnce
    }

    fn refuses(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Probed> {
        Some(mqtt::probe(&self.connecting, self.manner.qos, None))
    }

    fn sink(&self, preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(Publishing::new(self.connecting.clone(), self.manner.clone(), preamble))
    }
}
