//! `state` and `savepoint`: on folders that are filled through the library.

pub mod common;

use common::{Folder, pause};
use headwater::dataflow::{Saving, group_of};
use headwater::event::{Batch, Value as Cell, encode_value};
use headwater::state::disk::{Disk, RealDisk};
use headwater::state::{
    Changes, Checkpoint, Chunk, ChunkId, ChunkNumber, Entry, Epoch, Node, NodeId, Offset, OnCorruption,
    OpenOptions, ShapeHash, SinkProgress, SourceProgress, StateBackend, StateError, StateLimits, open,
};
use headwater::time::{Env, Millis, Random, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

const LIFE: u64 = 0x0123_4567_89ab_cdef;
const SOURCE: NodeId = NodeId(1);
const TOTALS: NodeId = NodeId(2);
const SINK: NodeId = NodeId(3);

fn opened(folder: &Folder, pipeline: &str) -> StateBackend {
    let disk = RealDisk::new(&folder.path().join("data/pipelines").join(pipeline)).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (limits, on_corruption) = (StateLimits::default(), OnCorruption::Refuse);
    loop {
        match open(&disk, &OpenOptions { limits, on_corruption, entropy: LIFE, now: Timestamp(0) }) {
            // A process that another test starts holds the lock too, until it becomes another program.
            Err(StateError::InUse { .. }) => pause(10),
            opened => return opened.unwrap().0,
        }
    }
}

/// Keys as a node saves them: by two fields, and one of a worker's own.
fn entries() -> Vec<Entry> {
    let env = Env { now: Timestamp(0), elapsed: Millis::ZERO, random: Random::seeded(1) };
    let mut entries = Vec::new();
    let mut saving = Saving::new(TOTALS, 0, &env, &mut entries);
    saving.put_own(b"arrivals", |into| into.push(9));
    for number in 0..3i64 {
        let (mut batch, mut key) = (Batch::new(0, b""), Vec::new());
        let name = Cell::text(batch.store(b"pump"));
        encode_value(&batch, name, &mut key);
        encode_value(&batch, Cell::int(number), &mut key);
        saving.put(&key, b"", |into| into.extend_from_slice(&[0xca, 0xfe, number as u8]));
    }
    assert_eq!(group_of(b"").0, 0);
    entries
}

fn fill(folder: &Folder, pipeline: &str) {
    let mut state = opened(folder, pipeline);
    let node = |id, name: &str, shape| Node { id, name: name.to_owned(), shape: ShapeHash(shape) };
    let watermark = Some(Timestamp(1_800_000_000_000));
    let (partition, offset) = (b"in.ndjson".to_vec(), Offset::Replay(b"120".to_vec()));
    let checkpoint = Checkpoint {
        epoch: Epoch(1),
        nodes: vec![node(SOURCE, "in", 1), node(TOTALS, "totals", 2), node(SINK, "out", 3)],
        sources: vec![SourceProgress { node: SOURCE, partition, offset, watermark }],
        watermarks: vec![(TOTALS, Timestamp(1_800_000_000_000))],
        sinks: vec![SinkProgress { node: SINK, delivered: None, position: b"{\"bytes\":0}".to_vec() }],
        entries: entries(),
        ..Checkpoint::default()
    };
    let id = ChunkId { epoch: Epoch(1), number: ChunkNumber(0) };
    let chunks = vec![Chunk { node: SINK, id, payload: b"{\"n\":1}\n" }];
    state.commit(Changes { checkpoint: Some(checkpoint), chunks, ..Changes::default() }).unwrap();
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_kept_is_listed() {
    let folder = Folder::empty();
    fill(&folder, "plant");
    let text = folder.run(&["state", "list", "--data-dir", "data"]).succeeded().stdout;
    for line in [
        "plant: epoch 1, life ",
        "  in: 0 keys, 0 bytes, shape 0000000000000001\n",
        "  totals: 4 keys, ",
        ", watermark 2027-01-15T08:00:00Z, shape 0000000000000002\n",
        "  out: 0 keys, 0 bytes, 1 chunks not delivered (",
        "  reads in `in.ndjson` at 120, watermark 2027-01-15T08:00:00Z\n",
        "  delivers out: nothing yet, position {\"bytes\":0}\n",
        " bytes in store.redb\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let entry =
        &lines(&folder.run(&["state", "list", "plant", "--data-dir", "data", "--format", "json"]).stdout)[0];
    assert_eq!((&entry["epoch"], &entry["nodes"][1]["keys"]), (&json!(1), &json!(4)));
    assert_eq!(entry["sinks"], json!([{ "name": "out", "delivered": null, "position": "{\"bytes\":0}" }]));
}

#[test]
fn keys_are_found_by_their_fields() {
    let folder = Folder::empty();
    fill(&folder, "plant");
    let get = |key: &[&str]| {
        let arguments = ["state", "get", "plant", "totals"].iter().chain(key);
        let arguments: Vec<&str> = arguments.chain(&["--data-dir", "data"]).copied().collect();
        folder.run(&arguments)
    };
    assert_eq!(get(&["pump", "2"]).succeeded().stdout, "key [\"pump\",2] = 0xcafe02\n");
    assert_eq!(get(&["\"pump\""]).succeeded().stdout.lines().count(), 3);
    let all = get(&[]).succeeded().stdout;
    assert!(all.starts_with("worker 0 name \"arrivals\" = 0x09\n") && all.lines().count() == 4, "{all}");
    let ran = get(&["valve"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("`totals` keeps nothing by that key"), "{}", ran.stderr);
    let ran = folder.run(&["state", "get", "plant", "total", "--data-dir", "data"]);
    assert!(
        ran.stderr.contains("nothing is kept of a node `total`; did you mean `totals`?"),
        "{}",
        ran.stderr
    );
    let ran = folder.run(&["state", "get", "plan", "totals", "--data-dir", "data"]);
    assert!(ran.stderr.contains("there is no state of a pipeline `plan` in `data`; did you mean `plant`?"));
}

#[test]
fn all_keys_are_exported() {
    let folder = Folder::empty();
    fill(&folder, "plant");
    let exported = lines(&folder.run(&["state", "export", "plant", "--data-dir", "data"]).succeeded().stdout);
    assert_eq!(exported.len(), 4);
    assert_eq!(exported[0], json!({ "node": "totals", "worker": 0, "name": "arrivals", "value": "09" }));
    assert!(exported.contains(&json!({ "node": "totals", "key": ["pump", 1], "value": "cafe01" })));
}

#[test]
fn faults_are_found_and_set_aside() {
    let folder = Folder::empty();
    fill(&folder, "good");
    fill(&folder, "plant");
    assert!(opened(&folder, "plant").fold().unwrap());
    let check = |pipelines: &[&str]| {
        let arguments = ["state", "check", "--data-dir", "data"].iter().chain(pipelines).copied();
        folder.run(&arguments.collect::<Vec<_>>())
    };
    let ran = check(&[]).succeeded();
    assert!(ran.stdout.contains("plant: ok: 4 keys in the store, "), "{}", ran.stdout);
    let store = folder.path().join("data/pipelines/plant/store.redb");
    let mut bytes = std::fs::read(&store).unwrap();
    let at = bytes.windows(2).position(|two| two == [0xca, 0xfe]).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&store, bytes).unwrap();
    let ran = check(&[]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stdout.contains("good: ok") && ran.stdout.contains("plant: corrupt"), "{}", ran.stdout);
    assert!(ran.stdout.contains("store.redb"), "{}", ran.stdout);
    assert_eq!(check(&["good"]).status, Some(0));
    let ran = folder.run(&["state", "repair", "plant", "--data-dir", "data"]);
    assert!(ran.status == Some(1) && ran.stderr.contains("that cannot be repaired"), "{}", ran.stderr);
    std::fs::write(&store, b"nothing of that kind").unwrap();
    let ran = folder.run(&["state", "list", "plant", "--data-dir", "data"]);
    assert!(
        ran.stderr.contains("store.redb is corrupt") && ran.stderr.contains("state repair"),
        "{}",
        ran.stderr
    );
    let ran = folder.run(&["state", "repair", "--data-dir", "data"]).succeeded();
    assert!(ran.stdout.contains("good: there was nothing to repair"), "{}", ran.stdout);
    assert!(ran.stdout.contains("plant: the store was corrupt ("), "{}", ran.stdout);
    let ran = check(&["plant"]).succeeded();
    assert!(ran.stdout.contains("set aside: corrupt-"), "{}", ran.stdout);
}

#[test]
fn room_is_given_back() {
    let folder = Folder::empty();
    fill(&folder, "plant");
    let ran = folder.run(&["state", "compact", "--data-dir", "data", "--format", "json"]).succeeded();
    let said = &lines(&ran.stdout)[0];
    assert!(said["bytes_before"].as_u64() >= said["bytes"].as_u64(), "{said}");
    assert_eq!(folder.run(&["state", "export", "plant", "--data-dir", "data"]).stdout.lines().count(), 4);
}

#[test]
fn a_savepoint_moves_state_to_another_directory() {
    let folder = Folder::empty();
    fill(&folder, "plant");
    let create = ["savepoint", "create", "plant", "at-noon.savepoint", "--data-dir", "data"];
    let ran = folder.run(&create).succeeded();
    assert!(
        ran.stderr.starts_with("wrote at-noon.savepoint: 4 keys, 0 frames not read, 1 chunks"),
        "{}",
        ran.stderr
    );
    let again = folder.run(&create);
    assert!(again.status == Some(1) && again.stderr.contains("it is there already"), "{}", again.stderr);
    folder.write("notes.txt", "not a savepoint");
    let listed = folder.run(&["savepoint", "list", "."]).succeeded().stdout;
    assert!(listed.starts_with("./at-noon.savepoint\nplant: epoch 1, life "), "{listed}");
    let restore = ["savepoint", "restore", "at-noon.savepoint", "--data-dir", "other"];
    let ran = folder.run(&restore).succeeded();
    assert!(ran.stderr.starts_with("restored `plant`: 4 keys, "), "{}", ran.stderr);
    assert_eq!(folder.read("other/instance"), folder.read("data/instance"));
    let ran = folder.run(&restore);
    assert!(ran.status == Some(1) && ran.stderr.contains("`--replace` puts the savepoint"), "{}", ran.stderr);
    folder.run(&[restore.as_slice(), &["--replace"]].concat()).succeeded();
    folder.run(&[restore.as_slice(), &["renamed"]].concat()).succeeded();
    let export = |data: &str, pipeline: &str| {
        folder.run(&["state", "export", pipeline, "--data-dir", data]).succeeded().stdout
    };
    assert_eq!(export("other", "plant"), export("data", "plant"));
    assert_eq!(export("other", "renamed"), export("data", "plant"));
    let listed = folder.run(&["state", "list", "renamed", "--data-dir", "other"]).stdout;
    assert!(listed.contains("  comes from life ") && listed.contains(" up to epoch 1\n"), "{listed}");
    assert!(listed.contains("1 chunks not delivered"), "{listed}");
}

#[test]
fn what_is_no_savepoint_is_refused() {
    let folder = Folder::empty();
    fill(&folder, "plant");
    folder.write("notes", "These are notes and nothing that anybody wants to restore.");
    let restore = ["savepoint", "restore", "notes", "--data-dir", "data", "--replace"];
    let ran = folder.run(&restore);
    assert!(
        ran.status == Some(1) && ran.stderr.contains("notes is corrupt: it is no savepoint"),
        "{}",
        ran.stderr
    );
    assert_eq!(folder.run(&["state", "export", "plant", "--data-dir", "data"]).stdout.lines().count(), 4);
    let ran = folder.run(&["savepoint", "list", "nowhere"]);
    assert!(ran.status == Some(1) && ran.stderr.contains("reading nowhere"), "{}", ran.stderr);
}

#[test]
fn a_directory_must_be_there_and_free() {
    let folder = Folder::empty();
    let ran = folder.run(&["state", "list"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("give `--data-dir`"), "{}", ran.stderr);
    let ran = folder.run(&["state", "list", "--data-dir", "data"]);
    assert!(
        ran.status == Some(1) && ran.stderr.contains("there is no data directory `data`"),
        "{}",
        ran.stderr
    );
    let state = {
        fill(&folder, "plant");
        opened(&folder, "plant")
    };
    let ran = folder.run(&["state", "list", "--data-dir", "data"]);
    assert!(ran.status == Some(1) && ran.stderr.contains("is used by another process"), "{}", ran.stderr);
    drop(state);
    folder.run(&["state", "list", "--data-dir", "data"]).succeeded();
}
