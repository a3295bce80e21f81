use super::super::Compression;
use super::*;
use crate::dataflow::{Offset, SourcePlan};
use crate::formats::binary::{BinaryDecoder, Cbor, Msgpack};
use crate::formats::csv::{CsvDecoder, CsvOptions};
use crate::formats::influx::{InfluxDecoder, InfluxOptions};
use crate::formats::json::{JsonDecoder, JsonInput};
use crate::formats::{KvDecoder, RawDecoder, RegexDecoder, RegexOptions, TextDecoder, Wanted};
use crate::sources::file::follow::Follower;
use crate::sources::file::paths;
use crate::sources::file::plan::FilePlan;
use crate::time::{Millis, Random, Timestamp};
use std::fs;
use std::io::Write;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("headwater-known-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn json() -> Box<dyn Decoder> {
    Box::new(JsonDecoder::new(JsonInput::default(), &whole()))
}

fn whole() -> Wanted {
    Wanted { fields: Vec::new(), whole: true }
}

fn env(now: i64) -> Env {
    Env { now: Timestamp(now), elapsed: Millis(now), random: Random::seeded(1) }
}

/// What one fill gives: events, and what is none.
fn fill(rows: &mut dyn RowSource, env: &mut Env) -> (Polled, Vec<String>) {
    let (mut batch, mut refused) = (Batch::new(0, b""), Refused::default());
    let polled = rows.fill(&mut batch, &mut refused, env).unwrap();
    let text = |span: &crate::event::Span| String::from_utf8_lossy(&batch.arena[span.range()]).into_owned();
    let mut given: Vec<String> = batch.raw.iter().take(batch.len()).map(text).collect();
    // Each where it stood among the events.
    for unreadable in refused.unreadable.iter().rev() {
        given.insert(unreadable.rows_before, unreadable.reason.text.clone().into_owned());
    }
    (polled, given)
}

/// A data directory, as far as a source sees it.
#[derive(Default)]
struct Kept(Vec<Position>);

impl Kept {
    fn resume(&self) -> Arc<Resume> {
        Arc::new(Resume { positions: Mutex::new(self.0.clone()), ..Resume::default() })
    }

    fn keep(&mut self, rows: &dyn RowSource) {
        let position = rows.position().expect("a regular file has a position");
        self.0.retain(|kept| kept.partition != position.partition);
        self.0.push(position);
    }

    /// What a bounded run gives, stopped after so many fills of each file.
    fn run(
        &mut self,
        (plan, decoder): (&FilePlan, &dyn Fn() -> Box<dyn Decoder>),
        most: usize,
    ) -> Vec<String> {
        let plan = plan.found().unwrap().unwrap();
        let (resume, mut given) = (self.resume(), Vec::new());
        let mut partitions: Vec<_> =
            (0..plan.partitions()).map(|number| plan.partition(number, decoder)).collect();
        for rows in &mut partitions {
            rows.open().unwrap();
            rows.resume(&resume).unwrap();
        }
        for rows in &mut partitions {
            let mut left = most;
            while left > 0 {
                let (polled, mut rows) = fill(&mut **rows, &mut env(5));
                given.append(&mut rows);
                left = if polled == Polled::End { 0 } else { left - 1 };
            }
            self.keep(&**rows);
        }
        given
    }
}

fn plan(folder: &Path, glob: &str, compression: Compression) -> FilePlan {
    let place = paths::Place::new(folder, glob).unwrap();
    FilePlan::new(vec![place], Start::Begin, compression, None)
}

type Made = (&'static str, fn(usize) -> Vec<u8>, fn() -> Box<dyn Decoder>);

/// Formats, what the numbered event of each looks like (the first may have something before it), and their decoders.
const FORMATS: &[Made] = &[
    ("json", |i| format!("{{\"n\":{i},\"t\":\"{}\"}}\n", "x".repeat(i % 300)).into_bytes(), json),
    (
        "csv",
        |i| {
            let header = if i == 0 { "\u{feff}n,\"a \"\"b\"\"\nc\"\n" } else { "" };
            format!("{header}{i},\"one\n\"\"two\"\",\r\nthree\"\r\n").into_bytes()
        },
        || Box::new(CsvDecoder::new(&CsvOptions::default(), &whole()).unwrap()),
    ),
    ("text", |i| format!("line {i}\r\n").into_bytes(), || Box::new(TextDecoder::new(&whole()))),
    ("raw", |i| format!("line {i}\n").into_bytes(), || Box::new(RawDecoder::new(&whole()))),
    ("kv", |i| format!("n={i} t=\"a b\"\n").into_bytes(), || Box::new(KvDecoder::new(&whole()))),
    (
        "regex",
        |i| format!("{i} or {i}\n").into_bytes(),
        || {
            let options = RegexOptions { pattern: "^(?<n>[0-9]*[02468]) ".to_owned(), types: Vec::new() };
            Box::new(RegexDecoder::new(&options, &whole()).unwrap())
        },
    ),
    (
        "influx",
        |i| format!("m,d=1 n={i}i,t=\"a\nb\" 1000\n").into_bytes(),
        || Box::new(InfluxDecoder::new(&InfluxOptions::default(), &whole())),
    ),
    (
        "msgpack",
        |i| [b"\x81\xa1n\xce".as_slice(), &(i as u32).to_be_bytes()].concat(),
        || Box::new(BinaryDecoder::<Msgpack>::new(&whole())),
    ),
    (
        "cbor",
        |i| [b"\xa1\x61n\x1a".as_slice(), &(i as u32).to_be_bytes()].concat(),
        || Box::new(BinaryDecoder::<Cbor>::new(&whole())),
    ),
];

fn pack(name: &str, bytes: &[u8]) -> Vec<u8> {
    match name {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

#[test]
fn cut_anywhere_the_parts_are_the_whole() {
    let mut random = Random::seeded(3);
    for (format, make, decoder) in FORMATS {
        for packing in ["none", "gzip", "zstd"] {
            let folder = folder(&format!("{format}-{packing}"));
            let content: Vec<u8> = (0..5_000).flat_map(make).collect();
            fs::write(folder.join("in"), pack(packing, &content)).unwrap();
            let plan = plan(&folder, "in", Compression::Auto);
            let expected = Kept::default().run((&plan, decoder), usize::MAX);
            assert_eq!(expected.len(), 5_000, "{format}");
            let (mut kept, mut given) = (Kept::default(), Vec::new());
            while given.len() < expected.len() {
                given.extend(kept.run((&plan, decoder), random.bits() as usize % 3));
            }
            assert!(given == expected, "{format} {packing}");
            assert_eq!(kept.run((&plan, decoder), usize::MAX), [""; 0], "nothing is new");
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn a_grown_file_is_read_on_where_it_ended() {
    for (format, make, decoder) in FORMATS {
        for packing in ["none", "gzip", "zstd"] {
            let folder = folder(&format!("grown-{format}-{packing}"));
            let plan = plan(&folder, "in", Compression::Auto);
            let (mut kept, mut given) = (Kept::default(), Vec::new());
            let mut file = fs::OpenOptions::new().append(true).create(true).open(folder.join("in")).unwrap();
            for part in [0..3, 3..4, 4..1500, 1500..1500, 1500..1600] {
                let content: Vec<u8> = part.flat_map(make).collect();
                file.write_all(&pack(packing, &content)).unwrap();
                given.extend(kept.run((&plan, decoder), usize::MAX));
            }
            let expected = Kept::default().run((&plan, decoder), usize::MAX);
            assert!(given == expected && given.len() == 1600, "{format} {packing}");
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn new_and_renamed_and_replaced_files_are_told_apart() {
    let folder = folder("apart");
    let lines =
        |range: std::ops::Range<usize>| -> String { range.map(|i| format!("{{\"n\":{i}}}\n")).collect() };
    let numbers = |given: Vec<String>| -> Vec<usize> {
        given.iter().map(|row| row[5..row.len() - 1].parse().unwrap()).collect()
    };
    let plan = plan(&folder, "*.log", Compression::Auto);
    let mut kept = Kept::default();
    let mut run = || numbers(kept.run((&plan, &json), usize::MAX));
    let write = |name: &str, range| fs::write(folder.join(name), lines(range)).unwrap();
    let rename = |from: &str, to: &str| fs::rename(folder.join(from), folder.join(to)).unwrap();
    write("a.log", 0..500);
    assert_eq!(run(), (0..500).collect::<Vec<_>>());
    // One that begins alike, before the other in the order of names.
    write("A.log", 0..10);
    assert_eq!(run(), (0..10).collect::<Vec<_>>());
    write("b.log", 500..510);
    assert_eq!(run(), (500..510).collect::<Vec<_>>());
    // Rotated, and a new one in its place.
    rename("a.log", "c.log");
    write("a.log", 600..603);
    assert_eq!(run(), [600, 601, 602]);
    // Truncated and written anew, longer than before.
    write("b.log", 700..720);
    assert_eq!(run(), (700..720).collect::<Vec<_>>());
    // Truncated to nothing, then to what it began with.
    write("c.log", 0..0);
    assert_eq!(run(), [0; 0]);
    write("c.log", 0..3);
    assert_eq!(run(), [0, 1, 2]);
    // Copied elsewhere and removed here: known by what it begins with.
    fs::copy(folder.join("b.log"), folder.join("copy")).unwrap();
    fs::remove_file(folder.join("b.log")).unwrap();
    rename("copy", "d.log");
    assert_eq!(run(), [0; 0]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_came_without_its_end_was_taken_and_is_not_taken_again() {
    let folder = folder("unfinished");
    let plan = plan(&folder, "in", Compression::Auto);
    let mut kept = Kept::default();
    let text = || -> Box<dyn Decoder> { Box::new(TextDecoder::new(&whole())) };
    let mut run = |content: &str| {
        fs::write(folder.join("in"), content).unwrap();
        kept.run((&plan, &text), usize::MAX)
    };
    assert_eq!(run("one\ntwo"), [r#"{"line":"one"}"#, r#"{"line":"two"}"#]);
    assert_eq!(run("one\ntwo\nthree"), [r#"{"line":""}"#, r#"{"line":"three"}"#]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn where_to_start_counts_only_before_anything_was_saved() {
    let folder = folder("start");
    fs::write(folder.join("a"), "{\"n\":1}\n").unwrap();
    let place = paths::Place::new(&folder, "*").unwrap();
    let plan = FilePlan::new(vec![place], Start::End, Compression::Auto, None);
    let mut kept = Kept::default();
    assert_eq!(kept.run((&plan, &json), usize::MAX), [""; 0]);
    fs::write(folder.join("a"), "{\"n\":1}\n{\"n\":2}\n").unwrap();
    fs::write(folder.join("b"), "{\"n\":3}\n").unwrap();
    assert_eq!(kept.run((&plan, &json), usize::MAX), ["{\"n\":2}", "{\"n\":3}"]);
    fs::remove_dir_all(folder).unwrap();
}

/// What a followed folder gives until there is nothing more, with the state kept before and after.
fn follow(folder: &Path, kept: &mut Kept, now: &mut i64) -> Vec<String> {
    let place = paths::Place::new(folder, "*.log*").unwrap();
    let mut follower = Follower::new(vec![place], Start::Begin, true, None, json());
    follower.open().unwrap();
    follower.resume(&kept.resume()).unwrap();
    let (mut files, mut given): (Vec<Box<dyn RowSource>>, _) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        *now += 600;
        fill(&mut follower, &mut env(*now));
        files.extend(follower.turned_up());
        for rows in &mut files {
            while let (Polled::Data, mut rows) = fill(&mut **rows, &mut env(*now)) {
                given.append(&mut rows);
            }
        }
    }
    files.iter().for_each(|rows| kept.keep(&**rows));
    given
}

#[test]
fn what_is_followed_goes_on_through_rotation_and_truncation_while_down() {
    let folder = folder("follow");
    let (mut kept, mut now) = (Kept::default(), 0);
    let mut run = || follow(&folder, &mut kept, &mut now);
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let padding = "x".repeat(2000);
    let first = format!("{{\"n\":1,\"x\":\"{padding}\"}}");
    write("a.log", &format!("{first}\n{{\"n\":2}}\n{{\"n\":"));
    assert_eq!(run(), [first.as_str(), "{\"n\":2}"]);
    assert_eq!(run(), [""; 0]);
    // Finished and rotated while nobody looked; a new file is in its place.
    write("a.log", &format!("{first}\n{{\"n\":2}}\n{{\"n\":3}}\n"));
    fs::rename(folder.join("a.log"), folder.join("a.log.1")).unwrap();
    write("a.log", "{\"n\":4}\n");
    let mut given = run();
    given.sort();
    assert_eq!(given, ["{\"n\":3}", "{\"n\":4}"]);
    // Copied and truncated.
    fs::copy(folder.join("a.log.1"), folder.join("a.log.2")).unwrap();
    write("a.log.1", "{\"n\":5}\n");
    assert_eq!(run(), ["{\"n\":5}"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn no_more_than_so_many_files_are_remembered() {
    let folder = folder("many");
    fs::write(folder.join("in"), "{\"n\":1}\n").unwrap();
    let plan = plan(&folder, "in", Compression::Auto);
    let mut kept = Kept::default();
    kept.run((&plan, &json), 9);
    let Offset::Replay(at) = kept.0[0].at.clone() else { panic!("a place in a file") };
    let name = kept.0[0].partition.clone();
    let others = (0..10_005u32).map(|i| {
        let mut partition = name.clone();
        let end = partition.len();
        partition[end - 4..].copy_from_slice(&i.to_le_bytes());
        Position { partition, at: Offset::Replay(at.clone()) }
    });
    kept.0.extend(others);
    let resume = kept.resume();
    let mut again = plan.partition(0, &json);
    again.open().unwrap();
    assert_eq!(again.resume(&resume).unwrap(), Some(name));
    assert_eq!((resume.positions.lock().unwrap().len(), resume.gone.lock().unwrap().len()), (10_000, 5));
    fs::remove_dir_all(folder).unwrap();
}
