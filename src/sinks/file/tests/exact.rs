//! The sink driven as the runtime drives it where it delivers exactly once, with crashes in between.

use super::super::names::all_aside;
use super::super::*;
use crate::dataflow::write_addressed;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a file begins with.
const HEAD: &[u8] = b"head\n";

/// The sinks that are tried.
#[derive(Clone, Copy, Debug)]
enum Variety {
    Plain,
    Chosen,
    Rotating(Option<Packing>),
    ChosenAndRotating,
}

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("headwater-exact-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn sink(&self, variety: Variety) -> Box<dyn Sink> {
        let config = FileSinkConfig {
            mode: FileMode::Replace,
            preamble: HEAD.to_vec(),
            lines: true,
            // What is on the disk is not what is tried here.
            sync: false,
        };
        let rotation = |packing| Rotation { size: Some(60), packing, ..Rotation::default() };
        match variety {
            Variety::Plain => Box::new(FileSink::new(self.path("out.a"), config)),
            Variety::Chosen => Box::new(SpreadSink::new(config, Rotation::default(), None)),
            Variety::Rotating(packing) => {
                Box::new(SpreadSink::new(config, rotation(packing), Some(self.path("out.a"))))
            }
            Variety::ChosenAndRotating => Box::new(SpreadSink::new(config, rotation(None), None)),
        }
    }

    /// A chunk of events, each with the path that it goes to.
    fn chunk(&self, variety: Variety, events: &[(String, String)]) -> Vec<u8> {
        let mut chunk = Vec::new();
        for (file, event) in events {
            let file = if matches!(variety, Variety::Rotating(_)) { "a" } else { file };
            let path = self.path(&format!("out.{file}")).to_str().unwrap().to_owned();
            match variety {
                Variety::Plain => chunk.extend_from_slice(event.as_bytes()),
                _ => write_addressed(&[path], &mut chunk, |into| {
                    into.extend_from_slice(event.as_bytes());
                    Ok::<(), ()>(())
                })
                .unwrap(),
            }
        }
        chunk
    }

    /// All that a file and those put aside before it hold, without what each begins with.
    fn content(&self, file: &str) -> String {
        let path = self.path(&format!("out.{file}"));
        let (mut files, unfinished) = all_aside(&path).unwrap();
        assert_eq!(unfinished, [] as [PathBuf; 0]);
        files.extend(path.exists().then_some(path));
        let mut all = String::new();
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let unpacked = match file.extension().and_then(|ending| ending.to_str()) {
                Some("gz") => {
                    let mut text = Vec::new();
                    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
                    text
                }
                Some("zst") => zstd::stream::decode_all(&bytes[..]).unwrap(),
                _ => bytes,
            };
            let is_aside = file.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("out-"));
            assert!(unpacked.len() <= 60 || !is_aside);
            let events = unpacked.strip_prefix(HEAD).unwrap_or_else(|| panic!("{unpacked:?}"));
            all.push_str(str::from_utf8(events).unwrap());
        }
        all
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the runtime does with a sink, and what of it is durable.
struct Rig<'f> {
    folder: &'f Folder,
    variety: Variety,
    sink: Box<dyn Sink>,
    /// All chunks that were committed, by their events.
    chunks: Vec<Vec<(String, String)>>,
    written: usize,
    durable_written: usize,
    durable_position: Vec<u8>,
}

impl<'f> Rig<'f> {
    fn new(folder: &'f Folder, variety: Variety) -> Rig<'f> {
        let (sink, chunks) = (folder.sink(variety), Vec::new());
        let position = Vec::new();
        let mut rig =
            Rig { folder, variety, sink, chunks, written: 0, durable_written: 0, durable_position: position };
        rig.start();
        rig
    }

    fn start(&mut self) {
        // The old one is gone before there is a new one.
        self.sink = Box::new(crate::sinks::DropSink);
        self.sink = self.folder.sink(self.variety);
        self.sink.open().unwrap();
        self.sink.resume(&self.durable_position, true).unwrap();
        self.written = self.durable_written;
    }

    /// A checkpoint: new chunks, and how far those before were written.
    fn commit(&mut self, chunks: &[Vec<(String, String)>], survives: bool) {
        for chunk in chunks {
            self.sink.prepare(&self.folder.chunk(self.variety, chunk)).unwrap();
        }
        let mut position = Vec::new();
        self.sink.position(&mut position);
        self.chunks.extend_from_slice(chunks);
        (self.durable_position, self.durable_written) = (position, self.written);
        if survives {
            self.sink.committed().unwrap();
        }
    }

    fn write(&mut self) {
        if self.written < self.chunks.len() {
            self.sink.write(&self.folder.chunk(self.variety, &self.chunks[self.written])).unwrap();
            self.sink.secure(&mut Vec::new()).unwrap();
            self.written += 1;
        }
    }

    /// The process dies while it writes a chunk.
    fn crash(&mut self, events: usize) {
        if let Some(chunk) = self.chunks.get(self.written) {
            let part = &chunk[..events.min(chunk.len())];
            self.sink.write(&self.folder.chunk(self.variety, part)).unwrap();
            self.sink.flush().unwrap();
        }
        self.start();
    }
}

#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<Vec<(String, String)>>, bool),
    Write,
    Crash(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let event = ("[abc]", "[a-z]{1,20}\n");
    let chunk = prop::collection::vec(event, 1..8);
    let act = prop_oneof![
        3 => (prop::collection::vec(chunk, 0..3), prop::bool::weighted(0.8)).prop_map(|(c, s)| Act::Commit(c, s)),
        5 => Just(Act::Write),
        2 => (0..8usize).prop_map(Act::Crash),
    ];
    prop::collection::vec(act, 1..25)
}

fn varieties() -> impl Strategy<Value = Variety> {
    prop_oneof![
        Just(Variety::Plain),
        Just(Variety::Chosen),
        Just(Variety::Rotating(None)),
        Just(Variety::Rotating(Some(Packing::Gzip))),
        Just(Variety::Rotating(Some(Packing::Zstd))),
        Just(Variety::ChosenAndRotating),
    ]
}

proptest! {
    #[test]
    fn every_chunk_is_there_once_and_in_order(variety in varieties(), acts in acts()) {
        let folder = Folder::new();
        let mut rig = Rig::new(&folder, variety);
        for act in acts {
            match act {
                Act::Commit(chunks, true) => rig.commit(&chunks, true),
                Act::Commit(chunks, false) => {
                    rig.commit(&chunks, false);
                    rig.start();
                }
                Act::Write => rig.write(),
                Act::Crash(events) => rig.crash(events),
            }
        }
        while rig.written < rig.chunks.len() {
            rig.write();
        }
        rig.commit(&[], true);
        rig.commit(&[], true);
        rig.sink.close(&|| false).unwrap();
        let mut expected: BTreeMap<&str, String> = BTreeMap::new();
        for (file, event) in rig.chunks.iter().flatten() {
            let file = if matches!(variety, Variety::Plain | Variety::Rotating(_)) { "a" } else { file };
            expected.entry(file).or_default().push_str(event);
        }
        for file in ["a", "b", "c"] {
            prop_assert_eq!(folder.content(file), expected.get(file).cloned().unwrap_or_default());
        }
        let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name());
        prop_assert!(!names.into_iter().any(|name| name.to_str().unwrap().contains(".next-")));
    }
}

fn one(text: &str) -> Vec<Vec<(String, String)>> {
    vec![vec![("a".to_owned(), text.to_owned())]]
}

#[test]
fn a_file_that_was_put_aside_by_others_is_not_written_to() {
    for variety in [Variety::Plain, Variety::Chosen] {
        let folder = Folder::new();
        let mut rig = Rig::new(&folder, variety);
        rig.commit(&one("1\n"), true);
        rig.write();
        rig.commit(&one("2\n"), true);
        fs::rename(folder.path("out.a"), folder.path("elsewhere")).unwrap();
        fs::write(folder.path("out.a"), "theirs\n").unwrap();
        rig.start();
        rig.write();
        assert_eq!(fs::read_to_string(folder.path("elsewhere")).unwrap(), "head\n1\n", "{variety:?}");
        assert_eq!(fs::read_to_string(folder.path("out.a")).unwrap(), "theirs\n2\n", "{variety:?}");
        fs::remove_file(folder.path("out.a")).unwrap();
        rig.commit(&one("3\n"), true);
        rig.start();
        rig.write();
        assert_eq!(fs::read_to_string(folder.path("out.a")).unwrap(), "head\n3\n", "{variety:?}");
    }
}

#[test]
fn a_file_that_was_cut_off_gets_no_hole() {
    for stopped in [true, false] {
        let folder = Folder::new();
        let mut rig = Rig::new(&folder, Variety::Plain);
        rig.commit(&one("1\n"), true);
        rig.write();
        rig.commit(&one("2\n"), true);
        fs::write(folder.path("out.a"), "h").unwrap();
        if stopped {
            rig.start();
        }
        rig.write();
        let expected = if stopped { "h\n2\n" } else { "h2\n" };
        assert_eq!(fs::read_to_string(folder.path("out.a")).unwrap(), expected);
    }
}

#[test]
fn a_file_never_shrinks_while_it_is_written_again() {
    let folder = Folder::new();
    let mut rig = Rig::new(&folder, Variety::Plain);
    rig.commit(&[one("1\n"), one("22\n")].concat(), true);
    rig.write();
    rig.write();
    rig.start();
    assert_eq!(fs::read_to_string(folder.path("out.a")).unwrap(), "head\n1\n22\n");
    rig.write();
    assert_eq!(fs::read_to_string(folder.path("out.a")).unwrap(), "head\n1\n22\n");
}

#[test]
fn pipes_and_devices_are_refused() {
    let mut sink = FileSink::new("/dev/null".into(), FileSinkConfig::default());
    sink.open().unwrap();
    let error = sink.resume(b"", true).unwrap_err().to_string();
    assert!(error.starts_with("`/dev/null` is a pipe or a device"), "{error}");
}

#[test]
fn at_least_once_appends_and_replaces_only_without_state() {
    let folder = Folder::new();
    fs::write(folder.path("out.a"), "old\n").unwrap();
    let run = |position: &[u8], event: &str| {
        for variety in [Variety::Plain, Variety::Rotating(None)] {
            let mut sink = folder.sink(variety);
            sink.open().unwrap();
            sink.resume(position, false).unwrap();
            sink.write(&folder.chunk(variety, &one(event)[0])).unwrap();
            sink.secure(&mut Vec::new()).unwrap();
            let mut position = Vec::new();
            sink.position(&mut position);
            assert_eq!(position, [1, 0, 0]);
        }
    };
    run(&[1, 0, 0], "1\n");
    assert_eq!(fs::read_to_string(folder.path("out.a")).unwrap(), "old\n1\n1\n");
    run(&[], "2\n");
    assert_eq!(fs::read_to_string(folder.path("out.a")).unwrap(), "head\n2\n");
}
