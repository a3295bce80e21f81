use super::*;
use crate::time::VirtualClock;

/// A target that answers as it was told.
#[derive(Default)]
struct Script {
    marker: Option<Marker>,
    /// What becomes of the next transactions, and whether each commits all the same.
    troubles: Vec<(Trouble, bool)>,
    arrived: Vec<Vec<u8>>,
    starts: usize,
}

impl Transactions for Script {
    fn begin_anew(&mut self) -> Result<Option<Marker>, Trouble> {
        self.starts += 1;
        Ok(self.marker)
    }

    fn transact(&mut self, chunks: &[Arc<Delivered>], marker: Marker) -> Result<(), Trouble> {
        let (trouble, commits) = match self.troubles.pop() {
            Some((trouble, commits)) => (Some(trouble), commits),
            None => (None, true),
        };
        if commits {
            self.arrived.push(chunks.iter().flat_map(|chunk| chunk.bytes.clone()).collect());
            self.marker = Some(marker);
        }
        trouble.map_or(Ok(()), Err)
    }
}

fn marker(chunk: u32) -> Marker {
    Marker { life: 1, epoch: 1, chunk }
}

fn committer() -> (Committer, Arc<TransactionQueue>, VirtualClock) {
    let naming = Naming {
        who: "`out` of `p`".to_owned(),
        instance: "plant".to_owned(),
        target: "kafka at b:9092".to_owned(),
        timeout: Millis(60_000),
    };
    let queue = Arc::new(TransactionQueue::default());
    (Committer::new(naming, queue.clone()), queue, VirtualClock::new(Timestamp(0)))
}

/// Steps until nothing is to be done, over all pauses.
fn settle(committer: &mut Committer, target: &mut Script, clock: &VirtualClock) {
    for _ in 0..100 {
        match committer.step(target, clock) {
            Next::Now => {}
            Next::After(span) => clock.advance(span),
            Next::Chunk(_) | Next::Never => return,
        }
    }
    panic!("it never rests");
}

#[test]
fn small_chunks_share_a_transaction_with_the_last_marker() {
    let (mut committer, queue, clock) = committer();
    let mut target = Script::default();
    for n in 0..3 {
        queue.push(&[n], marker(n.into())).unwrap();
    }
    queue.secure();
    assert_eq!(queue.acknowledged(), 0);
    settle(&mut committer, &mut target, &clock);
    assert_eq!(target.arrived, [vec![0], vec![1, 2]], "the first marker goes alone");
    assert_eq!(target.marker, Some(marker(2)));
    assert_eq!((queue.acknowledged(), queue.is_empty(), queue.is_marked()), (1, true, true));
}

#[test]
fn large_chunks_go_alone_until_the_link_has_shown_to_be_quick() {
    let (mut committer, queue, clock) = committer();
    let mut target = Script::default();
    for n in 0..8 {
        queue.push(&vec![0; LEAST_BYTES], marker(n)).unwrap();
    }
    settle(&mut committer, &mut target, &clock);
    let sizes: Vec<usize> = target.arrived.iter().map(|bytes| bytes.len() / LEAST_BYTES).collect();
    assert_eq!(sizes, [1, 2, 4, 1]);
}

#[test]
fn an_outcome_that_is_unknown_is_read_from_the_target() {
    for commits in [true, false] {
        let (mut committer, queue, clock) = committer();
        let troubles = vec![(Trouble::Unknown("the connection is gone".to_owned()), commits)];
        let mut target = Script { troubles, ..Script::default() };
        queue.push(b"a", marker(0)).unwrap();
        queue.push(b"b", marker(1)).unwrap();
        settle(&mut committer, &mut target, &clock);
        assert_eq!((target.arrived.concat(), target.starts), (b"ab".to_vec(), 2), "commits: {commits}");
        assert!(queue.is_empty());
    }
}

#[test]
fn what_was_aborted_is_sent_again_by_the_same_producer() {
    let (mut committer, queue, clock) = committer();
    let troubles = vec![(Trouble::Aborted("it was too slow".to_owned()), false)];
    let mut target = Script { troubles, ..Script::default() };
    queue.push(b"a", marker(0)).unwrap();
    settle(&mut committer, &mut target, &clock);
    assert_eq!((target.arrived.concat(), target.starts), (b"a".to_vec(), 1));
}

#[test]
fn refused_records_are_taken_out_before_the_rest_arrives() {
    let (mut committer, queue, clock) = committer();
    let event =
        RefusedEvent { reason: "too large".to_owned(), bytes: b"a".to_vec(), record: Some((marker(0), 3)) };
    let refusals = vec![Refusal { chunk: 0, record: 3, event: event.clone() }];
    let mut target = Script { troubles: vec![(Trouble::Refused(refusals), false)], ..Script::default() };
    queue.push(b"chunk", marker(0)).unwrap();
    settle(&mut committer, &mut target, &clock);
    assert!(target.arrived.is_empty() && queue.is_held(), "nobody has taken it yet");
    assert_eq!(queue.take_refused(), [event]);
    settle(&mut committer, &mut target, &clock);
    assert!(target.arrived.is_empty() && queue.is_held(), "it is not durable yet");
    queue.refused_kept();
    assert!(queue.first(1)[0].left_out.contains(&3));
    settle(&mut committer, &mut target, &clock);
    assert_eq!(target.arrived.len(), 1);
}

#[test]
fn who_is_fenced_within_the_timeout_has_a_twin() {
    let (mut committer, queue, clock) = committer();
    let mut target = Script { troubles: vec![(Trouble::Fenced, false)], ..Script::default() };
    queue.push(b"a", marker(0)).unwrap();
    settle(&mut committer, &mut target, &clock);
    let Some(Stopped::Fenced(why)) = queue.stopped() else { panic!("{:?}", queue.stopped()) };
    assert!(why.contains("instance `plant`") && why.contains("`out` of `p`"), "{why}");
    assert!(queue.push(b"b", marker(1)).is_err());
}

/// A target whose transactions take so long.
struct Slow<'c>(Script, &'c VirtualClock, Millis);

impl Transactions for Slow<'_> {
    fn begin_anew(&mut self) -> Result<Option<Marker>, Trouble> {
        self.0.begin_anew()
    }

    fn transact(&mut self, chunks: &[Arc<Delivered>], marker: Marker) -> Result<(), Trouble> {
        self.1.advance(self.2);
        self.0.transact(chunks, marker)
    }
}

#[test]
fn who_was_fenced_for_being_too_slow_goes_on() {
    let (mut committer, queue, clock) = committer();
    let script = Script { troubles: vec![(Trouble::Fenced, false)], ..Script::default() };
    let mut target = Slow(script, &clock, Millis(60_001));
    queue.push(b"a", marker(0)).unwrap();
    for _ in 0..10 {
        if let Next::After(span) = committer.step(&mut target, &clock) {
            clock.advance(span);
        }
    }
    assert_eq!((target.0.arrived.concat(), queue.stopped()), (b"a".to_vec(), None));
    assert_eq!(target.0.starts, 2);
}

#[test]
fn a_marker_of_somebody_else_stops_it() {
    let (mut committer, queue, clock) = committer();
    let mut target = Script::default();
    queue.push(b"a", marker(0)).unwrap();
    settle(&mut committer, &mut target, &clock);
    target.troubles = vec![(Trouble::Unknown("the connection is gone".to_owned()), false)];
    target.marker = Some(Marker { life: 9, epoch: 4, chunk: 0 });
    queue.push(b"b", marker(1)).unwrap();
    settle(&mut committer, &mut target, &clock);
    assert!(matches!(queue.stopped(), Some(Stopped::Fenced(_))));
}

#[test]
fn a_marker_that_is_gone_matters_only_where_something_is_unknown() {
    for (trouble, asks) in
        [(Trouble::Unknown("gone".to_owned()), true), (Trouble::Aborted("no".to_owned()), false)]
    {
        let (mut committer, queue, clock) = committer();
        let mut target = Script::default();
        queue.push(b"a", marker(0)).unwrap();
        settle(&mut committer, &mut target, &clock);
        target.marker = None;
        target.troubles = vec![(trouble, false)];
        queue.push(b"b", marker(1)).unwrap();
        settle(&mut committer, &mut target, &clock);
        assert_eq!(queue.stopped().is_some(), asks);
        assert_eq!(target.arrived.concat(), if asks { b"a".to_vec() } else { b"ab".to_vec() });
    }
}

#[test]
fn the_marker_is_written_again_each_day() {
    let (mut committer, queue, clock) = committer();
    let mut target = Script::default();
    queue.push(b"a", marker(0)).unwrap();
    settle(&mut committer, &mut target, &clock);
    settle(&mut committer, &mut target, &clock);
    assert_eq!(target.arrived.len(), 1);
    clock.advance(REFRESH);
    settle(&mut committer, &mut target, &clock);
    assert_eq!((target.arrived.len(), target.marker), (2, Some(marker(0))));
}
