use super::*;
use rumqttc::v5::{AsyncClient, MqttOptions};

fn outbox(qos: Qos) -> Outbox {
    let manner = Manner { qos, retain: false, under_way: 10, properties: Vec::new(), ids: false };
    Outbox::new("test".to_owned(), manner)
}

fn message(text: &str) -> Outgoing {
    let payload = text.as_bytes().to_vec().into();
    Outgoing { topic: "t".to_owned(), payload, properties: Vec::new() }
}

fn push(outbox: &Outbox, texts: &[&str]) {
    outbox.push(texts.iter().map(|text| message(text)));
}

fn connect(outbox: &Outbox, largest_packet: Option<u32>) {
    let wire = Wire::Five(AsyncClient::new(MqttOptions::new("c", "localhost", 1), 10).0);
    let accepted = Accepted { session_present: false, largest_packet, highest_qos: 2 };
    outbox.accepted(&wire, accepted).unwrap();
}

fn happen(outbox: &Outbox, mut happened: Vec<Happened>) {
    outbox.happened(&mut happened).unwrap();
}

fn secured(outbox: &Outbox) -> Vec<String> {
    let mut kept = Vec::new();
    outbox.secure(|message| kept.push(String::from_utf8(message.payload.to_vec()).unwrap()));
    kept
}

#[test]
fn only_what_is_larger_than_the_broker_takes_is_given_up() {
    let outbox = outbox(Qos::AtLeastOnce);
    push(&outbox, &["x".repeat(100).as_str()]);
    for (largest, left) in [(114, 1), (100, 0)] {
        connect(&outbox, Some(largest));
        assert_eq!(outbox.unacknowledged(), left);
        outbox.lost();
    }
    let refusals = outbox.take_refusals();
    let why = "the broker refuses the message to `t`: it is larger than the broker takes";
    assert_eq!((refusals.len(), refusals[0].0.as_str()), (1, why));
    assert_eq!(outbox.take_refusals().len(), 0);
}

#[test]
fn what_is_not_acknowledged_is_kept_once_and_counted_by_calls() {
    let outbox = outbox(Qos::AtLeastOnce);
    connect(&outbox, None);
    assert_eq!((secured(&outbox), outbox.acknowledged()), (vec![], 1), "nothing was written");
    push(&outbox, &["1", "2", "3"]);
    happen(&outbox, vec![Happened::Sent(7), Happened::Sent(8), Happened::Acknowledged(7, Ok(()))]);
    assert_eq!(outbox.unkept(), 2);
    assert_eq!(
        (secured(&outbox), outbox.acknowledged(), outbox.unkept()),
        (vec!["2".into(), "3".into()], 1, 0)
    );
    push(&outbox, &["4"]);
    assert_eq!((secured(&outbox), outbox.acknowledged()), (vec!["4".into()], 1));
    // The later one first: the call before still waits for the earlier.
    happen(&outbox, vec![Happened::Sent(9), Happened::Sent(10), Happened::Acknowledged(10, Ok(()))]);
    assert_eq!(outbox.acknowledged(), 1);
    happen(&outbox, vec![Happened::Acknowledged(9, Ok(()))]);
    assert_eq!(outbox.acknowledged(), 1);
    happen(&outbox, vec![Happened::Acknowledged(8, Ok(()))]);
    assert_eq!((outbox.acknowledged(), outbox.unacknowledged()), (3, 0));
}

#[test]
fn a_lost_connection_acknowledges_nothing() {
    let outbox = outbox(Qos::ExactlyOnce);
    connect(&outbox, None);
    push(&outbox, &["1", "2"]);
    happen(&outbox, vec![Happened::Sent(1), Happened::Sent(2), Happened::Acknowledged(2, Ok(()))]);
    assert_eq!(secured(&outbox), ["1"]);
    outbox.lost();
    assert_eq!((outbox.acknowledged(), outbox.unacknowledged()), (0, 1));
    connect(&outbox, None);
    happen(&outbox, vec![Happened::Sent(1), Happened::Acknowledged(1, Ok(()))]);
    assert_eq!(outbox.acknowledged(), 1);
}

#[test]
fn a_refused_message_holds_nobody_up_and_is_handed_out() {
    let outbox = outbox(Qos::AtLeastOnce);
    connect(&outbox, None);
    push(&outbox, &["1"]);
    assert_eq!(secured(&outbox), ["1"]);
    let refused = Err("QuotaExceeded".to_owned());
    happen(&outbox, vec![Happened::Sent(1), Happened::Acknowledged(1, refused)]);
    assert_eq!(outbox.acknowledged(), 1);
    assert_eq!(outbox.take_refusals()[0].1.payload, "1");
}

#[test]
fn without_acknowledgements_what_was_sent_is_done() {
    let outbox = outbox(Qos::AtMostOnce);
    push(&outbox, &["1", "2"]);
    assert_eq!(secured(&outbox), ["1", "2"]);
    connect(&outbox, None);
    happen(&outbox, vec![Happened::Sent(0)]);
    assert_eq!(outbox.acknowledged(), 0);
    happen(&outbox, vec![Happened::Sent(0)]);
    assert_eq!(outbox.acknowledged(), 1);
}
