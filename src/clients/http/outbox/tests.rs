use super::*;

/// Records to `url`, each with these bytes.
fn records(url: &str, events: &[&str]) -> Vec<u8> {
    let mut chunk = Vec::new();
    for event in events {
        let event = Event { texts: vec![url], id: "", bytes: event.as_bytes() };
        with_id(&event, "", &mut chunk);
    }
    chunk
}

fn outbox(events: usize, has_ids: bool) -> Outbox {
    Outbox::new(1, 1, Batching { events, bytes: 1000, every: Millis(1_000_000) }, has_ids)
}

/// The next request: its URL, its id, and what is in it.
fn next(outbox: &Outbox) -> Option<(String, String, String)> {
    let Next::Batch(batch) = outbox.next() else { return None };
    let events: Vec<Event<'_>> = batch.records.iter().filter_map(|record| outbox.event(record)).collect();
    let bodies: Vec<String> =
        events.iter().map(|event| String::from_utf8_lossy(event.bytes).into_owned()).collect();
    Some((events[0].texts[0].to_owned(), batch.id, bodies.join(" ")))
}

fn bodies(outbox: &Outbox) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((_, _, body)) = next(outbox) {
        all.push(body);
        outbox.taken();
    }
    all
}

#[test]
fn a_request_holds_events_of_one_url_in_order_until_it_is_full() {
    let outbox = outbox(3, false);
    outbox.push(&records("a", &["1", "2"])).unwrap();
    assert!(next(&outbox).is_none(), "it waits for more");
    outbox.push(&records("a", &["3", "4"])).unwrap();
    outbox.push(&records("b", &["5"])).unwrap();
    outbox.push(&records("a", &["6"])).unwrap();
    assert_eq!(bodies(&outbox), ["1 2 3", "4"], "the rest waits for more");
    outbox.backlog.close();
    assert_eq!(bodies(&outbox), ["5", "6"]);
    outbox.push(&records("a", &[&"x".repeat(2000), "y"])).unwrap();
    assert_eq!(bodies(&outbox), [&"x".repeat(2000), "y"], "what is too long goes alone");
    assert_eq!((outbox.waiting(), outbox.backlog.has_room()), (0, true));
}

#[test]
fn what_is_not_taken_is_given_to_be_kept_once() {
    let outbox = outbox(2, false);
    let (first, second) = (records("a", &["1", "2"]), records("a", &["3"]));
    outbox.push(&first).unwrap();
    let mut pending = Vec::new();
    outbox.secure(&mut pending).unwrap();
    assert_eq!((&pending, outbox.acknowledged(), outbox.is_kept()), (&first, 0, true));
    outbox.push(&second).unwrap();
    assert!(!outbox.is_kept());
    pending.clear();
    outbox.secure(&mut pending).unwrap();
    assert_eq!(pending, second);
    assert!(next(&outbox).is_some());
    outbox.taken();
    assert_eq!((outbox.acknowledged(), outbox.waiting()), (1, 1));
}

#[test]
fn one_that_is_refused_takes_no_other_with_it() {
    let outbox = outbox(5, true);
    outbox.push(&records("a", &["1", "2", "bad", "4", "5"])).unwrap();
    let (mut taken, mut ids) = (Vec::new(), Vec::new());
    while let Some((_, id, body)) = next(&outbox) {
        ids.push(id.split_once('-').unwrap().1.to_owned());
        if body.contains("bad") {
            outbox.refused("it is bad");
        } else {
            taken.push(body);
            outbox.taken();
        }
    }
    assert_eq!(taken, ["1 2", "4 5"]);
    assert_eq!(ids, ["1", "1.0", "1.1", "1.1.0", "1.1.1"]);
    let refused = outbox.backlog.lock().take_refused();
    assert_eq!(
        refused,
        [RefusedEvent { reason: "it is bad".to_owned(), bytes: b"bad".to_vec(), record: None }]
    );
    assert_eq!((outbox.waiting(), outbox.acknowledged()), (0, 0));
}

#[test]
fn what_comes_from_an_earlier_run_is_cut_as_it_was() {
    let first = outbox(2, true);
    first.push(&records("a", &["1", "2", "3"])).unwrap();
    let sent = next(&first).unwrap();
    let mut pending = Vec::new();
    first.secure(&mut pending).unwrap();
    let third = {
        first.taken();
        next(&first).unwrap()
    };
    let again = Outbox::new(1, 1, Batching { events: 100, ..Batching::default() }, true);
    again.push(&pending).unwrap();
    again.push(&records("a", &["4"])).unwrap();
    assert_eq!(next(&again).unwrap(), sent);
    again.taken();
    assert_eq!(
        next(&again).unwrap(),
        third,
        "what had been cut to be kept is not joined by what comes later"
    );
    again.taken();
    again.backlog.close();
    let (_, id, body) = next(&again).unwrap();
    assert_eq!(body, "4");
    assert_ne!(id.split_once('-').unwrap().0, third.1.split_once('-').unwrap().0);
}

#[test]
fn ids_of_what_is_left_do_not_grow() {
    assert_eq!(again_as("1f-2"), "1f-2.r1");
    assert_eq!(again_as("1f-2.r9"), "1f-2.r10");
    assert_eq!(again_as("1f-2.r9.0"), "1f-2.r9.0.r1");
}
