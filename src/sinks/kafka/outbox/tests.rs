use super::super::record::Layout;
use super::*;
use crate::clients::kafka::Connection;
use crate::config::Secrets;
use crate::dataflow::write_addressed;

fn outbox() -> Outbox {
    let connection = Connection {
        who: "`out` of `p`".to_owned(),
        brokers: vec!["b:9092".to_owned()],
        client_id: "c".to_owned(),
        tls: None,
        sasl: None,
        properties: Vec::new(),
        secrets: Secrets::default(),
    };
    Outbox::new(Manner {
        connection,
        layout: Layout::default(),
        preamble: Vec::new(),
        compression: "none",
        acks: "all",
        most_bytes: 1_000,
        topic: Some("t".to_owned()),
    })
}

fn records(payloads: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        let fill = |into: &mut Vec<u8>| {
            into.extend_from_slice(payload.as_bytes());
            Ok::<(), ()>(())
        };
        write_addressed(&["t".to_owned()], &mut bytes, fill).unwrap();
    }
    bytes
}

/// Hands over what waits; the payloads with their numbers.
fn handed(outbox: &Outbox, only_last: bool) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    outbox.hand_over(only_last, |record, _, number| {
        all.push((number, String::from_utf8(record.payload.to_vec()).unwrap()));
        Ok(())
    });
    all
}

fn payloads(handed: Vec<(usize, String)>) -> String {
    handed.into_iter().map(|(_, payload)| payload).collect()
}

fn pending(outbox: &Outbox) -> Vec<u8> {
    let mut bytes = Vec::new();
    outbox.secure(&mut bytes);
    bytes
}

#[test]
fn what_is_not_acknowledged_is_given_to_be_kept() {
    let outbox = outbox();
    outbox.push(&records(&["a", "b", "c"]));
    let all = handed(&outbox, true);
    assert_eq!(all.len(), 3);
    outbox.reported(all[1].0, Ok(()));
    assert_eq!(pending(&outbox), records(&["a", "c"]));
    assert_eq!((outbox.acknowledged(), outbox.unacknowledged(), outbox.unkept()), (0, 2, 0));
    outbox.push(&records(&["d"]));
    assert_eq!(outbox.unkept(), 1);
    outbox.reported(all[0].0, Ok(()));
    outbox.reported(all[2].0, Ok(()));
    assert_eq!(outbox.acknowledged(), 1);
    assert_eq!(pending(&outbox), records(&["d"]), "each record once");
    outbox.reported(handed(&outbox, true)[0].0, Ok(()));
    assert_eq!((outbox.acknowledged(), outbox.unacknowledged()), (2, 0));
}

#[test]
fn what_was_lost_goes_before_what_came_later() {
    let outbox = outbox();
    outbox.push(&records(&["a", "b"]));
    let all = handed(&outbox, true);
    outbox.reported(all[0].0, Err(Code::UnknownTopic));
    outbox.push(&records(&["c"]));
    assert!(handed(&outbox, true).is_empty(), "what came before is to be repeated first");
    assert!(outbox.again().unwrap().unwrap().contains("there is no topic `t`"));
    assert_eq!(payloads(handed(&outbox, false)), "ac");
    assert!(outbox.again().is_none());
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_smaller_ones_until_it_is_known_who_it_was() {
    let outbox = outbox();
    let large = "x".repeat(1_001);
    outbox.push(&records(&["a", "b", &large]));
    let all = handed(&outbox, true);
    for (number, _) in &all {
        outbox.reported(*number, Err(Code::MessageSizeTooLarge));
    }
    assert_eq!(outbox.take_refused().len(), 1, "what the library takes by no means needs no trying");
    for level in [Batching::Small, Batching::Single] {
        assert!(outbox.is_resized());
        assert_eq!(outbox.take_back(), level);
        let again = handed(&outbox, false);
        assert_eq!(again.len(), 2);
        again.iter().for_each(|(number, _)| outbox.reported(*number, Err(Code::MessageSizeTooLarge)));
    }
    assert_eq!(outbox.take_refused().len(), 2);
    assert_eq!(outbox.unacknowledged(), 0);
    outbox.relax();
    assert_eq!(outbox.take_back(), Batching::Small);
}

#[test]
fn a_producer_that_was_given_up_says_nothing_any_more() {
    let outbox = outbox();
    outbox.push(&records(&["a"]));
    let number = handed(&outbox, true)[0].0;
    outbox.take_back();
    outbox.reported(number, Ok(()));
    assert_eq!(outbox.unacknowledged(), 1, "another one is to send it");
    assert_eq!(payloads(handed(&outbox, false)), "a");
    outbox.reported(number, Ok(()));
    assert_eq!(outbox.unacknowledged(), 0);
}
