//! State that older versions have written stays readable: files of every version of the format are kept.
//!
//! A golden file is never rewritten. A new version of a format gets a new file, and the old one is still restored.

pub mod common;

use common::Folder;
use headwater::state::disk::{Disk, RealDisk};
use headwater::state::savepoint::{OnState, Origin, SavepointReader, restore, text_hash, write};
use headwater::state::{
    Changes, Checkpoint, Chunk, ChunkId, ChunkNumber, Entry, Epoch, Frame, KeyGroup, Node, NodeId, Offset,
    OnCorruption, OpenOptions, RecordId, Refused, RowNumber, ShapeHash, SinkProgress, SourceProgress,
    StateBackend, StateKey, StateLimits, open,
};
use headwater::time::Timestamp;
use std::sync::Arc;

const FILE: NodeId = NodeId(1);
const TOPIC: NodeId = NodeId(2);
const WINDOW: NodeId = NodeId(3);
const SINK: NodeId = NodeId(7);
/// By version, from the first; each is of the same state. In the second, the longest value is in pieces.
const GOLDEN: [&[u8]; 2] =
    [include_bytes!("state_format/savepoint-1.bin"), include_bytes!("state_format/savepoint-2.bin")];

fn options() -> OpenOptions {
    let (limits, on_corruption) =
        (StateLimits { piece_bytes: 200, ..StateLimits::default() }, OnCorruption::Refuse);
    OpenOptions { limits, on_corruption, entropy: 42, now: Timestamp(0) }
}

fn disk(folder: &Folder) -> Arc<dyn Disk> {
    Arc::new(RealDisk::new(&folder.path().join("state")).unwrap())
}

fn entry(key: &[u8], value: &[u8]) -> Entry {
    Entry { key: StateKey::new(WINDOW, KeyGroup::of(key), key), value: Some(value.into()) }
}

fn chunk(number: u32) -> ChunkId {
    ChunkId { epoch: Epoch(5), number: ChunkNumber(number) }
}

fn source(node: NodeId, offset: Offset, watermark: Option<i64>) -> SourceProgress {
    SourceProgress { node, partition: b"partition".to_vec(), offset, watermark: watermark.map(Timestamp) }
}

/// One of everything.
fn filled(state: &mut StateBackend) {
    let frame = |payload| Frame { node: TOPIC, partition: b"partition", payload };
    let frames = vec![frame(b"read"), frame(b"unread"), frame(b"unread as well")];
    state.commit(Changes { frames, ..Changes::default() }).unwrap();
    let first = state.unread_frames().map(|(_, _, place)| place.id).next().unwrap();
    let node = |id, name: &str| Node { id, name: name.to_owned(), shape: ShapeHash(u64::from(id.0) << 40) };
    let checkpoint = Checkpoint {
        epoch: Epoch(5),
        nodes: vec![node(FILE, "file"), node(TOPIC, "topic"), node(WINDOW, "window"), node(SINK, "out")],
        sources: vec![
            source(FILE, Offset::Replay(b"at 300".to_vec()), Some(-1)),
            source(TOPIC, Offset::Journal(first), None),
        ],
        watermarks: vec![(WINDOW, Timestamp(1_800_000_000_000))],
        sinks: vec![SinkProgress { node: SINK, delivered: Some(chunk(0)), position: b"byte 9".to_vec() }],
        entries: vec![entry(b"\x01key", b"value"), entry(b"\x01kez", b""), entry(b"\x00", &[7; 300])],
        ..Checkpoint::default()
    };
    let chunks = vec![
        Chunk { node: SINK, id: chunk(1), payload: b"one" },
        Chunk { node: SINK, id: chunk(2), payload: b"two" },
    ];
    let refused = vec![Refused {
        node: SINK,
        chunk: chunk(0),
        row_number: RowNumber(3),
        reason: "too long",
        row: b"row",
    }];
    let checkpoint = Some(checkpoint);
    state.commit(Changes { checkpoint, chunks, refused, ..Changes::default() }).unwrap();
}

fn origin() -> Origin {
    let (instance, pipeline) = ("gateway-7".to_owned(), "plant".to_owned());
    Origin {
        instance,
        pipeline,
        text: Some(text_hash(b"pipeline: plant")),
        taken: Timestamp(1_800_000_000_123),
    }
}

#[test]
fn savepoints_are_written_as_ever() {
    let folder = Folder::empty();
    let (mut state, _) = open(&disk(&folder), &options()).unwrap();
    filled(&mut state);
    let mut bytes = Vec::new();
    write(&state, &origin(), &mut bytes).unwrap();
    // How a golden file is made: as an empty one first.
    if GOLDEN[1].is_empty() {
        std::fs::write("tests/state_format/savepoint-2.bin", &bytes).unwrap();
    }
    assert_eq!(bytes, GOLDEN[1], "the format changed: give it another version");
}

#[test]
fn savepoints_of_all_versions_are_restored() {
    GOLDEN.iter().for_each(|golden| is_restored(golden));
}

fn is_restored(golden: &[u8]) {
    let folder = Folder::empty();
    let savepoint = SavepointReader::open(golden, "savepoint.bin").unwrap();
    assert_eq!(savepoint.head().origin, origin());
    let (life, disk) = (savepoint.head().incarnation, disk(&folder));
    restore(&disk, &OpenOptions { entropy: 43, ..options() }, savepoint, OnState::Refuse).unwrap();
    let (state, recovery) = open(&disk, &options()).unwrap();
    assert!(recovery.repairs.is_empty() && state.is_ours(life, Epoch(5)) && !state.is_ours(life, Epoch(6)));
    let mut keys = Vec::new();
    let visited = state.keyed().all(&mut |key, value| {
        keys.push(Entry { key: key.clone(), value: Some(value.into()) });
        Ok(())
    });
    visited.unwrap();
    let mut expected = vec![entry(b"\x01key", b"value"), entry(b"\x01kez", b""), entry(b"\x00", &[7; 300])];
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(keys, expected);
    let payload = |place| Frame::decode(&state.read(place).unwrap()).unwrap().payload.to_vec();
    let frames: Vec<Vec<u8>> = state.unread_frames().map(|(_, _, place)| payload(place)).collect();
    assert_eq!(frames, [b"unread".to_vec(), b"unread as well".to_vec()]);
    let output = |place| Chunk::decode(&state.read(place).unwrap()).unwrap().payload.to_vec();
    let chunks: Vec<_> = state.undelivered(SINK).map(|(id, place)| (id, output(place))).collect();
    assert_eq!(chunks, [(chunk(1), b"one".to_vec()), (chunk(2), b"two".to_vec())]);
    let place = state.refused().next().unwrap();
    let bytes = state.read(place).unwrap();
    assert_eq!(Refused::decode(&bytes).unwrap().reason, "too long");
    let progress = state.progress();
    assert_eq!((progress.epoch, progress.nodes.len()), (Epoch(5), 4));
    assert_eq!(progress.watermarks[&WINDOW], Timestamp(1_800_000_000_000));
    assert_eq!(progress.sinks[&SINK].position, b"byte 9");
    let sources: Vec<&SourceProgress> = progress.sources.values().collect();
    assert_eq!(sources[0], &source(FILE, Offset::Replay(b"at 300".to_vec()), Some(-1)));
    assert_eq!(sources[1], &source(TOPIC, Offset::Journal(RecordId::default()), None));
}
