use super::super::disk::{Disk, Open, RealDisk};
use super::letter::CONTENT_LIMIT;
use super::*;
use crate::time::{Millis, Timestamp};
use std::sync::Arc;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> (Folder, Arc<dyn Disk>) {
        let path = std::env::temp_dir().join(format!("headwater-dead-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let disk = Arc::new(RealDisk::new(&path).unwrap());
        (Folder(path), disk)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(disk: &Arc<dyn Disk>, limits: DeadLetterLimits) -> DeadLetterLog {
    DeadLetterLog::open(disk.clone(), limits, 7).unwrap()
}

fn buffer(contents: &[&[u8]]) -> LetterBuffer {
    let mut buffer = LetterBuffer::default();
    for content in contents {
        buffer.push(&DeadLetter::new(Timestamp(9), "node", "decode", "why", Content::Raw(content)));
    }
    buffer
}

fn all(disk: &Arc<dyn Disk>) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    read_dead_letters(&**disk, &mut |number, letter| {
        all.push((number, letter.content.bytes().to_vec()));
        true
    })
    .unwrap();
    all
}

#[test]
fn letters_come_back_and_go_on_behind_a_restart() {
    let (_folder, disk) = Folder::new("back");
    let mut log = open(&disk, DeadLetterLimits::default());
    let mut mixed = LetterBuffer::default();
    let event = DeadLetter::new(Timestamp(-5), "a", "time", "no time", Content::Event(b"{}"));
    let long = vec![b'x'; CONTENT_LIMIT + 1];
    let cut = DeadLetter::new(Timestamp(5), "b", "encode", "too long", Content::Raw(&long));
    let unknown = DeadLetter::new(Timestamp(6), "c", "expression", "y", Content::Unknown);
    [event, cut, unknown].iter().for_each(|letter| mixed.push(letter));
    log.append(&mixed, Millis::ZERO).unwrap();
    log.sync().unwrap();
    drop(log);
    let mut log = open(&disk, DeadLetterLimits::default());
    log.append(&buffer(&[b"later"]), Millis::ZERO).unwrap();
    let mut found = Vec::new();
    read_dead_letters(&*disk, &mut |number, letter| {
        match number {
            1 => assert_eq!(*letter, event),
            2 => assert!(letter.is_cut() && letter.content.bytes().len() == CONTENT_LIMIT),
            3 => assert_eq!(*letter, unknown),
            _ => assert_eq!((letter.at, letter.reason), (Timestamp(9), "why")),
        }
        found.push(number);
        true
    })
    .unwrap();
    assert_eq!(found, [1, 2, 3, 4]);
    assert_eq!(disk.list().unwrap().len(), 1, "a restart begins no segment");
}

#[test]
fn the_oldest_go_and_gaps_can_be_seen() {
    let (_folder, disk) = Folder::new("bound");
    let limits = DeadLetterLimits { bytes: 16 << 10, burst_bytes: 1 << 30, bytes_per_second: 0 };
    let mut log = open(&disk, limits);
    for _ in 0..100 {
        log.append(&buffer(&[&[b'x'; 500]]), Millis::ZERO).unwrap();
        assert!(log.bytes() <= (16 << 10) + 16 * 600, "{}", log.bytes());
    }
    let numbers: Vec<u64> = all(&disk).iter().map(|(number, _)| *number).collect();
    assert!(numbers[0] > 1 && numbers.len() < 100 && log.dropped_segments() > 0);
    assert_eq!(numbers, (numbers[0]..=100).collect::<Vec<_>>());
}

#[test]
fn what_comes_too_fast_is_left_out_and_counted() {
    let (_folder, disk) = Folder::new("fast");
    let limits = DeadLetterLimits { bytes: 1 << 20, burst_bytes: 120, bytes_per_second: 60 };
    let mut log = open(&disk, limits);
    log.append(&buffer(&[b"1", b"2", b"3", b"4"]), Millis::ZERO).unwrap();
    let kept = all(&disk).len() as u64;
    assert!((1..4).contains(&kept));
    assert_eq!(log.left_out(), 4 - kept);
    log.append(&buffer(&[b"5"]), Millis(1_000)).unwrap();
    assert_eq!(all(&disk).last(), Some(&(5, b"5".to_vec())));
}

#[test]
fn a_torn_end_is_no_letter_and_is_written_over() {
    let (_folder, disk) = Folder::new("torn");
    let mut log = open(&disk, DeadLetterLimits::default());
    log.append(&buffer(&[b"1", b"2"]), Millis::ZERO).unwrap();
    drop(log);
    let name = disk.list().unwrap()[0].clone();
    let file = disk.open(&name, Open::Existing).unwrap();
    let whole = file.length().unwrap();
    for length in HEADER as u64..whole {
        file.set_length(length).unwrap();
        assert!(all(&disk).len() < 2);
    }
    let mut log = open(&disk, DeadLetterLimits::default());
    log.append(&buffer(&[b"3"]), Millis::ZERO).unwrap();
    let contents: Vec<Vec<u8>> = all(&disk).into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents.last(), Some(&b"3".to_vec()));
}
