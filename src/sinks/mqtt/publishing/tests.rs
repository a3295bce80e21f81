use super::*;
use crate::clients::mqtt::{Address, Qos, Version};
use crate::clients::tls::TlsFiles;
use crate::config::Secrets;
use crate::dataflow::Retry;

fn publishing(ids: bool) -> Publishing {
    let connecting = Connecting {
        who: "test".to_owned(),
        address: Address::parse("mqtt://localhost:1").unwrap(),
        version: Version::Five,
        credentials: None,
        client_id: "c".to_owned(),
        keep_alive: 1,
        tls: TlsFiles::default(),
        clean_start: true,
        session_expiry: 0,
        receive_maximum: 1,
        under_way: 1,
        largest_packet: 1,
        retry: Retry::default(),
        secrets: Secrets::default(),
    };
    let properties = vec!["unit".to_owned()];
    let manner = Manner { qos: Qos::AtLeastOnce, retain: false, under_way: 1, properties, ids };
    Publishing::new(connecting, manner, b"head\n".to_vec())
}

fn record(texts: &[&str], event: &str) -> Vec<u8> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let mut record = Vec::new();
    let fill = |into: &mut Vec<u8>| {
        into.extend_from_slice(event.as_bytes());
        Ok::<(), ()>(())
    };
    write_addressed(&texts, &mut record, fill).unwrap();
    record
}

fn waiting(sink: &Publishing) -> Vec<Outgoing> {
    let mut all = Vec::new();
    sink.outbox.secure(|message| all.push(message.clone()));
    all
}

#[test]
fn a_message_that_is_written_again_has_the_same_id() {
    let mut first = publishing(true);
    first.write(&[record(&["a", "C", ""], "1"), record(&["b", "K", ""], "2")].concat()).unwrap();
    let mut pending = Vec::new();
    first.secure(&mut pending).unwrap();
    let mut again = publishing(true);
    again.write(&pending).unwrap();
    again.write(&record(&["a", "C", ""], "1")).unwrap();
    let mut nothing = Vec::new();
    first.secure(&mut nothing).unwrap();
    assert!(nothing.is_empty(), "all was given before");
    let messages = waiting(&again);
    let ids: Vec<&str> = messages.iter().map(|message| message.properties[1].1.as_str()).collect();
    assert_eq!(&messages[1].payload[..], b"head\n2", "what stands before an event stands there once");
    assert_eq!((messages[1].topic.as_str(), messages[1].properties[0].1.as_str()), ("b", "K"));
    assert_eq!((&ids[0][16..], &ids[1][16..]), ("-1", "-2"));
    assert_ne!(ids[0], ids[2], "what is computed again is a new message");
}

#[test]
fn without_ids_a_record_is_as_it_came() {
    let mut sink = publishing(false);
    let written = record(&["a", "C"], "1");
    sink.write(&written).unwrap();
    let mut pending = Vec::new();
    sink.secure(&mut pending).unwrap();
    assert_eq!(pending, written);
}

#[test]
fn a_stop_fails_only_for_what_is_kept_nowhere() {
    let mut sink = publishing(true);
    sink.resume(b"", false).unwrap();
    sink.write(&record(&["a", "C", ""], "1")).unwrap();
    sink.secure(&mut Vec::new()).unwrap();
    sink.close(&|| true).unwrap();
}
