use super::super::disk::{Open, SimulatedDisk, simulated::*};
use super::*;
use std::sync::Arc;

const SEGMENT_BYTES: u64 = 400;

struct Rig {
    disk: SimulatedDisk,
    log: Log,
}

fn metered(disk: &SimulatedDisk) -> MeteredDisk {
    MeteredDisk::new(Arc::new(disk.clone()))
}

fn resume(disk: &SimulatedDisk) -> Result<Log, StateError> {
    let scan = LogScan::read(disk, None)?;
    Log::resume(metered(disk), &scan, SEGMENT_BYTES, Incarnation(9), Sequence(0))
}

fn rig(seed: u64) -> Rig {
    let disk = SimulatedDisk::new(seed);
    Rig { log: resume(&disk).unwrap(), disk }
}

fn commit_of(payloads: &[&[u8]]) -> Commit {
    let mut commit = Commit::new();
    for payload in payloads {
        commit.push(RecordKind::Frame, |into| into.extend_from_slice(payload)).unwrap();
    }
    commit
}

impl Rig {
    fn append(&mut self, payloads: &[&[u8]]) -> Result<Committed, StateError> {
        self.log.commit(&mut commit_of(payloads))
    }
}

/// All payloads in the log.
fn payloads(disk: &SimulatedDisk) -> Vec<Vec<u8>> {
    let scan = LogScan::read(disk, None).unwrap();
    assert_eq!(scan.fault, None);
    scan.records().map(|place| read_record(disk, Incarnation(9), place).unwrap()).collect()
}

#[test]
fn commits_come_back_in_order_over_segments() {
    let mut rig = rig(1);
    let all: Vec<Vec<u8>> = (0..40u8).map(|i| vec![i; i as usize]).collect();
    for pair in all.chunks(2) {
        rig.append(&[&pair[0], &pair[1]]).unwrap();
    }
    assert!(rig.log.segments.len() > 3);
    assert_eq!(payloads(&rig.disk), all);
    assert_eq!(resume(&rig.disk).unwrap().last(), Sequence(20));
}

#[test]
fn one_sync_a_commit_and_two_more_for_a_segment() {
    let mut rig = rig(1);
    rig.append(&[b"first"]).unwrap();
    let before = rig.disk.syncs();
    rig.append(&[b"second"]).unwrap();
    assert_eq!((before, rig.disk.syncs()), (2, 3));
}

#[test]
fn unneeded_segments_go_from_the_oldest_on() {
    let mut rig = rig(1);
    let places: Vec<RecordPlace> =
        (0..6).flat_map(|_| rig.append(&[&[0; SEGMENT_BYTES as usize]]).unwrap().places).collect();
    rig.log.release(&places[1]);
    rig.log.release(&places[5]);
    assert_eq!(rig.log.remove_unneeded(Sequence(5)).unwrap(), 0);
    rig.log.release(&places[0]);
    assert_eq!(rig.log.remove_unneeded(Sequence(0)).unwrap(), 0);
    assert_eq!(rig.log.remove_unneeded(Sequence(5)).unwrap(), 2);
    places[2..5].iter().for_each(|place| rig.log.release(place));
    assert_eq!(rig.log.remove_unneeded(Sequence(5)).unwrap(), 3);
    assert_eq!(resume(&rig.disk).unwrap().last(), Sequence(6));
}

#[test]
fn a_torn_tail_is_cut_off() {
    let mut rig = rig(1);
    rig.append(&[b"kept"]).unwrap();
    rig.append(&[b"one", b"two"]).unwrap();
    let name = SegmentNumber(1).file_name();
    let length = rig.disk.open(&name, Open::Existing).unwrap().length().unwrap() as usize;
    for cut in 1..62 {
        let disk = SimulatedDisk::new(cut as u64);
        copy(&rig.disk, &disk, &name);
        disk.damage(&name, |bytes| bytes.truncate(length - cut)).unwrap();
        let mut log = resume(&disk).unwrap();
        assert_eq!(log.last(), Sequence(1), "{cut}");
        log.commit(&mut commit_of(&[b"new"])).unwrap();
        assert_eq!(payloads(&disk), [b"kept".to_vec(), b"new".to_vec()]);
    }
}

#[test]
fn a_commit_whose_sectors_came_in_any_order_is_torn() {
    let mut rig = rig(1);
    rig.append(&[b"kept"]).unwrap();
    let places = rig.append(&[b"one", b"two", b"three"]).unwrap().places;
    rig.disk
        .damage(&SegmentNumber(1).file_name(), |bytes| {
            bytes[places[0].offset as usize + RecordHeader::BYTES] ^= 1;
        })
        .unwrap();
    assert_eq!(payloads(&rig.disk), [b"kept"]);
}

#[test]
fn corruption_before_later_commits_is_no_torn_tail() {
    let mut rig = rig(1);
    let places: Vec<_> = (0..3).flat_map(|i| rig.append(&[&[i; 20]]).unwrap().places).collect();
    let name = SegmentNumber(1).file_name();
    let at = places[1].offset as usize;
    rig.disk.damage(&name, |bytes| bytes[at + 3] ^= 0x80).unwrap();
    let scan = LogScan::read(&rig.disk, None).unwrap();
    let fault = scan.fault.clone().unwrap();
    assert_eq!((fault.segment, scan.last()), (SegmentNumber(1), Sequence(0)));
    assert_eq!(fault.what, format!("what stands at byte {at} is no record, but later commits are there"));
    let (_, found) = &scan.behind[0];
    assert_eq!((found.records.len(), found.behind.len()), (1, 1));
    assert!(resume(&rig.disk).unwrap_err().to_string().starts_with(&format!("{name} is corrupt")));
}

#[test]
fn a_missing_or_cut_segment_is_a_fault() {
    let mut rig = rig(1);
    (0..3).for_each(|i| _ = rig.append(&[&[i; SEGMENT_BYTES as usize]]).unwrap());
    let second = SegmentNumber(2).file_name();
    rig.disk.damage(&second, |bytes| bytes.truncate(100)).unwrap();
    assert_eq!(LogScan::read(&rig.disk, None).unwrap().fault.unwrap().segment, SegmentNumber(2));
    rig.disk.remove(&second).unwrap();
    let fault = LogScan::read(&rig.disk, None).unwrap().fault.unwrap();
    assert_eq!((fault.segment, fault.what.as_str()), (SegmentNumber(3), "the segment before it is missing"));
}

#[test]
fn after_an_error_a_commit_is_written_once() {
    for seed in 0..40 {
        for moment in 5..14 {
            let mut rig = rig(seed);
            rig.append(&[b"first"]).unwrap();
            let fault = if seed % 2 == 0 { Fault::Broken } else { Fault::Full };
            rig.disk.fail_at(Moment::Operation(moment), fault);
            let mut failed = 0;
            for i in 0..4u8 {
                while rig.append(&[&[i; 300]]).is_err() {
                    failed += 1;
                }
            }
            assert!(failed <= 1);
            rig.disk.restart();
            let expected = [vec![vec![b'f', b'i', b'r', b's', b't']], (0..4).map(|i| vec![i; 300]).collect()];
            assert_eq!(payloads(&rig.disk), expected.concat(), "seed {seed}, operation {moment}");
        }
    }
}

#[test]
fn what_input_looks_like_makes_no_record() {
    let mut rig = rig(1);
    let forged = RecordHeader {
        length: 0,
        kind: RecordKind::Frame,
        last: true,
        id: RecordId { sequence: Sequence(99), index: 0 },
    };
    let guess = segment::seed(Incarnation(8), SegmentNumber(1));
    let place = rig.append(&[&forged.encode(guess, b"")]).unwrap().places[0];
    rig.disk.damage(&SegmentNumber(1).file_name(), |bytes| bytes[place.offset as usize] ^= 1).unwrap();
    let scan = LogScan::read(&rig.disk, None).unwrap();
    assert_eq!((scan.fault, scan.segments[0].1.ends), (None, End::Torn));
}

fn copy(from: &SimulatedDisk, to: &SimulatedDisk, name: &str) {
    let bytes = read_file(from, name).unwrap();
    to.open(name, Open::Anew).unwrap().write_at(0, &bytes).unwrap();
}
