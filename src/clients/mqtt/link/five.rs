//! Version 5.

use super::{Accepted, Happened, Incoming, Outgoing, REQUESTS, Subscription, host, network, over};
use crate::clients::mqtt::{Connecting, Qos, reason};
use rumqttc::TlsConfiguration;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, Filter, Packet, PubAckReason, PubRecReason, Publish, PublishProperties,
    RetainForwardRule, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use std::time::Duration;

pub fn link(connecting: &Connecting, tls: Option<TlsConfiguration>, first: bool) -> (AsyncClient, EventLoop) {
    let address = &connecting.address;
    let mut options = MqttOptions::new(connecting.client_id.clone(), host(address), address.port);
    options.set_keep_alive(Duration::from_secs(connecting.keep_alive.into()));
    // What an earlier run has left may be unwanted; what this one has is not.
    options.set_clean_start(connecting.clean_start && first);
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(connecting.session_expiry);
    properties.receive_maximum = Some(connecting.receive_maximum);
    properties.max_packet_size = Some(connecting.largest_packet);
    options.set_connect_properties(properties);
    options.set_outgoing_inflight_upper_limit(connecting.under_way);
    options.set_manual_acks(true);
    if let Some((name, password)) = &connecting.credentials {
        options.set_credentials(name.clone(), password.0.clone());
    }
    options.set_transport(over(address.transport, tls));
    options.set_network_options(network());
    AsyncClient::new(options, REQUESTS)
}

pub async fn poll(events: &mut EventLoop, happened: &mut Vec<Happened>) -> Result<(), String> {
    let event = events.poll().await.map_err(reason::of_five)?;
    // What was read together is handed on together.
    for event in std::iter::once(event).chain(events.state.events.drain(..)) {
        happened.extend(meaning(event));
    }
    Ok(())
}

fn meaning(event: Event) -> Option<Happened> {
    Some(match event {
        Event::Incoming(Packet::ConnAck(ack)) => Happened::Accepted(accepted(&ack)),
        Event::Incoming(Packet::Publish(publish)) => Happened::Message(Incoming {
            topic: publish.topic,
            payload: publish.payload,
            qos: match publish.qos {
                QoS::AtMostOnce => Qos::AtMostOnce,
                QoS::AtLeastOnce => Qos::AtLeastOnce,
                QoS::ExactlyOnce => Qos::ExactlyOnce,
            },
            packet: publish.pkid,
            repeated: publish.dup,
            properties: publish.properties.map(|all| all.user_properties).unwrap_or_default(),
        }),
        Event::Incoming(Packet::SubAck(ack)) => {
            let granted = ack.return_codes.into_iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => Some(qos as u8),
                _ => None,
            });
            Happened::Subscribed(granted.collect())
        }
        Event::Incoming(Packet::PubAck(ack)) => {
            let taken = matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
            let outcome = if taken { Ok(()) } else { Err(format!("{:?}", ack.reason)) };
            Happened::Acknowledged(ack.pkid, outcome)
        }
        Event::Incoming(Packet::PubRec(ack)) => match ack.reason {
            PubRecReason::Success | PubRecReason::NoMatchingSubscribers => return None,
            refused => Happened::Acknowledged(ack.pkid, Err(format!("{refused:?}"))),
        },
        Event::Incoming(Packet::PubComp(done)) => Happened::Acknowledged(done.pkid, Ok(())),
        Event::Incoming(Packet::PubRel(release)) => Happened::Released(release.pkid),
        Event::Outgoing(rumqttc::Outgoing::Publish(packet)) => Happened::Sent(packet),
        _ => return None,
    })
}

fn accepted(ack: &ConnAck) -> Accepted {
    let said = ack.properties.as_ref();
    Accepted {
        session_present: ack.session_present,
        largest_packet: said.and_then(|said| said.max_packet_size),
        highest_qos: said.and_then(|said| said.max_qos).unwrap_or(2),
    }
}

pub fn expect_release(events: &mut EventLoop, packet: u16) {
    let taken = acknowledged(Qos::ExactlyOnce, packet);
    // A message that is only noted has no answer that could fail.
    let _ = events.state.handle_incoming_packet(Packet::Publish(taken));
    events.state.events.clear();
}

/// A message as far as its acknowledgement needs it.
pub fn acknowledged(qos: Qos, packet: u16) -> Publish {
    Publish { qos: of(qos), pkid: packet, ..Publish::default() }
}

pub fn publish(client: &AsyncClient, message: &Outgoing, qos: Qos, retain: bool) {
    let (topic, payload) = (message.topic.clone(), message.payload.clone());
    // It fails where the connection is gone: then it is published again on the next.
    let _ = match message.properties.is_empty() {
        true => client.try_publish(topic, of(qos), retain, payload),
        false => {
            let user_properties = message.properties.clone();
            let properties = PublishProperties { user_properties, ..PublishProperties::default() };
            client.try_publish_with_properties(topic, of(qos), retain, payload, properties)
        }
    };
}

pub fn subscribe(client: &AsyncClient, subscription: &Subscription) {
    let filter = |path: &String| {
        let mut filter = Filter::new(path.clone(), of(subscription.qos));
        // Subscribing again to what is subscribed must not bring all retained messages again.
        filter.retain_forward_rule = RetainForwardRule::OnNewSubscribe;
        filter
    };
    // It fails where the connection is gone: the next one subscribes anew.
    let _ = client.try_subscribe_many(subscription.filters.iter().map(filter));
}

fn of(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}
