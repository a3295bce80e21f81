//! Version 3.1.1.

use super::{Accepted, Happened, Incoming, Outgoing, REQUESTS, Subscription, host, network, over};
use crate::clients::mqtt::{Connecting, Qos, reason};
use bytes::Bytes;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS, SubscribeFilter, SubscribeReasonCode,
    TlsConfiguration,
};
use std::time::Duration;

pub fn link(connecting: &Connecting, tls: Option<TlsConfiguration>) -> (AsyncClient, EventLoop) {
    let address = &connecting.address;
    let mut options = MqttOptions::new(connecting.client_id.clone(), host(address), address.port);
    options.set_keep_alive(Duration::from_secs(connecting.keep_alive.into()));
    options.set_clean_session(connecting.clean_start);
    options.set_max_packet_size(connecting.largest_packet as usize, u32::MAX as usize);
    options.set_inflight(connecting.under_way);
    options.set_manual_acks(true);
    if let Some((name, password)) = &connecting.credentials {
        options.set_credentials(name.clone(), password.0.clone());
    }
    options.set_transport(over(address.transport, tls));
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    events.set_network_options(network());
    (client, events)
}

pub async fn poll(events: &mut EventLoop, happened: &mut Vec<Happened>) -> Result<(), String> {
    let event = events.poll().await.map_err(reason::of_three)?;
    // What was read together is handed on together.
    for event in std::iter::once(event).chain(events.state.events.drain(..)) {
        happened.extend(meaning(event));
    }
    Ok(())
}

fn meaning(event: Event) -> Option<Happened> {
    Some(match event {
        Event::Incoming(Packet::ConnAck(ack)) => Happened::Accepted(Accepted {
            session_present: ack.session_present,
            largest_packet: None,
            highest_qos: 2,
        }),
        Event::Incoming(Packet::Publish(publish)) => Happened::Message(Incoming {
            topic: Bytes::from(publish.topic),
            payload: publish.payload,
            qos: match publish.qos {
                QoS::AtMostOnce => Qos::AtMostOnce,
                QoS::AtLeastOnce => Qos::AtLeastOnce,
                QoS::ExactlyOnce => Qos::ExactlyOnce,
            },
            packet: publish.pkid,
            repeated: publish.dup,
            properties: Vec::new(),
        }),
        Event::Incoming(Packet::SubAck(ack)) => {
            let granted = ack.return_codes.into_iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => Some(qos as u8),
                SubscribeReasonCode::Failure => None,
            });
            Happened::Subscribed(granted.collect())
        }
        Event::Incoming(Packet::PubAck(ack)) => Happened::Acknowledged(ack.pkid, Ok(())),
        Event::Incoming(Packet::PubComp(done)) => Happened::Acknowledged(done.pkid, Ok(())),
        Event::Incoming(Packet::PubRel(release)) => Happened::Released(release.pkid),
        Event::Outgoing(rumqttc::Outgoing::Publish(packet)) => Happened::Sent(packet),
        _ => return None,
    })
}

pub fn expect_release(events: &mut EventLoop, packet: u16) {
    let taken = acknowledged(Qos::ExactlyOnce, packet);
    // A message that is only noted has no answer that could fail.
    let _ = events.state.handle_incoming_packet(Packet::Publish(taken));
    events.state.events.clear();
}

/// A message as far as its acknowledgement needs it.
pub fn acknowledged(qos: Qos, packet: u16) -> Publish {
    let mut publish = Publish::new(String::new(), of(qos), Vec::new());
    publish.pkid = packet;
    publish
}

pub fn publish(client: &AsyncClient, message: &Outgoing, qos: Qos, retain: bool) {
    // It fails where the connection is gone: then it is published again on the next.
    let _ = client.try_publish(message.topic.clone(), of(qos), retain, message.payload.clone());
}

pub fn subscribe(client: &AsyncClient, subscription: &Subscription) {
    let filter = |path: &String| SubscribeFilter::new(path.clone(), of(subscription.qos));
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
