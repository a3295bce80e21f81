use super::super::number::KeyGroup;
use super::super::piece::{Assembly, PIECE_BYTES};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..6)
}

fn entry() -> impl Strategy<Value = Entry> {
    let value = prop::option::of(bytes().prop_map(Into::into));
    (0..3u32, 0..3u8, bytes(), value).prop_map(|(node, group, key, value)| Entry {
        key: StateKey::new(NodeId(node), KeyGroup(group), &key),
        value,
    })
}

fn offset() -> impl Strategy<Value = Offset> {
    let id = |(sequence, index)| RecordId { sequence: Sequence(sequence), index };
    let frame = (any::<u64>(), any::<u32>()).prop_map(id);
    prop_oneof![Just(Offset::Gone), bytes().prop_map(Offset::Replay), frame.prop_map(Offset::Journal)]
}

fn source() -> impl Strategy<Value = SourceProgress> {
    (0..9u32, bytes(), offset(), prop::option::of(any::<i64>())).prop_map(
        |(node, partition, offset, watermark)| SourceProgress {
            node: NodeId(node),
            partition,
            offset,
            watermark: watermark.map(Timestamp),
        },
    )
}

fn sink() -> impl Strategy<Value = SinkProgress> {
    let chunk = |(epoch, number)| ChunkId { epoch: Epoch(epoch), number: ChunkNumber(number) };
    let delivered = prop::option::of((any::<u64>(), any::<u32>()).prop_map(chunk));
    (any::<u32>(), delivered, bytes()).prop_map(|(node, delivered, position)| SinkProgress {
        node: NodeId(node),
        delivered,
        position,
    })
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let node = (any::<u32>(), "[a-z]{0,5}", any::<u64>()).prop_map(|(id, name, shape)| Node {
        id: NodeId(id),
        name,
        shape: ShapeHash(shape),
    });
    let watermark = (any::<u32>(), any::<i64>()).prop_map(|(node, time)| (NodeId(node), Timestamp(time)));
    let ancestor = (any::<u64>(), any::<u64>()).prop_map(|(life, epoch)| (Incarnation(life), Epoch(epoch)));
    let parts = (
        any::<u64>(),
        vec(ancestor, 0..3),
        vec(any::<u32>().prop_map(NodeId), 0..3),
        vec(node, 0..4),
        vec(source(), 0..4),
        vec(watermark, 0..4),
        vec(sink(), 0..4),
        vec(entry(), 0..20),
    );
    parts.prop_map(|(epoch, lineage, dropped, nodes, sources, watermarks, sinks, entries)| {
        let epoch = Epoch(epoch);
        let mut checkpoint =
            Checkpoint { epoch, lineage, dropped, nodes, sources, watermarks, sinks, entries };
        checkpoint.sort();
        checkpoint.lineage.dedup_by_key(|(life, _)| *life);
        checkpoint.nodes.dedup_by_key(|node| node.id);
        checkpoint.sources.dedup_by_key(|source| (source.node, source.partition.clone()));
        checkpoint.watermarks.dedup_by_key(|(node, _)| *node);
        checkpoint.sinks.dedup_by_key(|sink| sink.node);
        checkpoint
    })
}

fn encoded(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut bytes = Vec::new();
    checkpoint.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_checkpoint_comes_back(checkpoint in checkpoint()) {
        prop_assert_eq!(Checkpoint::decode(&encoded(&checkpoint)), Ok(checkpoint));
    }

    #[test]
    fn cut_off_it_is_refused(checkpoint in checkpoint(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&checkpoint);
        prop_assert!(Checkpoint::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    /// The record's checksum refuses what was changed; without it nothing is read that is not written so.
    #[test]
    fn changed_it_is_refused_or_another(
        checkpoint in checkpoint(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut bytes = encoded(&checkpoint);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Checkpoint::decode(&bytes) {
            prop_assert_eq!(encoded(&other), bytes);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_written_again(bytes in vec(any::<u8>(), 0..60)) {
        let bytes = [&[CHECKPOINT_VERSION], bytes.as_slice()].concat();
        if let Ok(checkpoint) = Checkpoint::decode(&bytes) {
            prop_assert_eq!(encoded(&checkpoint), bytes);
        }
    }

    #[test]
    fn of_one_key_the_last_entry_stays(entries in vec(entry(), 0..30)) {
        let mut model = std::collections::BTreeMap::new();
        model.extend(entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())));
        let mut checkpoint = Checkpoint { entries, ..Checkpoint::default() };
        checkpoint.sort();
        let kept: Vec<_> = checkpoint.entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
        prop_assert_eq!(kept, model.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_large_one_takes_several_records() {
    let key = |i: u32| StateKey::new(NodeId(1), KeyGroup(1), &i.to_be_bytes());
    let value = Some(vec![7; PART_BYTES / 2].into());
    let entries: Vec<Entry> = (0..5).map(|i| Entry { key: key(i), value: value.clone() }).collect();
    let watermarks = vec![(NodeId(1), Timestamp(5))];
    let checkpoint = Checkpoint { epoch: Epoch(3), watermarks, entries, ..Checkpoint::default() };
    let mut commit = Commit::new();
    checkpoint.push(RecordKind::Checkpoint, &mut commit, PART_BYTES).unwrap();
    let parts: Vec<Checkpoint> =
        commit.records().map(|(_, payload)| Checkpoint::decode(payload).unwrap()).collect();
    assert_eq!(parts.iter().map(|part| part.entries.len()).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(parts.iter().map(|part| part.watermarks.len()).collect::<Vec<_>>(), [1, 0, 0]);
    assert!(parts.iter().all(|part| part.epoch == Epoch(3)));
}

/// Values whose lengths lie about those at which they are cut, with others before, between and behind them.
#[test]
fn long_values_come_back_from_their_pieces() {
    const PIECE: usize = 7;
    for lengths in (0..4_usize.pow(4)).map(|n| [n % 4, n / 4 % 4, n / 16 % 4, n / 64]) {
        let lengths = lengths.map(|n| [0, PIECE, PIECE + 1, 3 * PIECE][n]);
        let entry = |(i, &length): (usize, &usize)| Entry {
            key: StateKey::new(NodeId(1), KeyGroup(1), &[i as u8]),
            value: (length != PIECE).then(|| vec![i as u8; length].into()),
        };
        let entries: Vec<Entry> = lengths.iter().enumerate().map(entry).collect();
        let watermarks = vec![(NodeId(1), Timestamp(5))];
        let checkpoint = Checkpoint { epoch: Epoch(3), watermarks, entries, ..Checkpoint::default() };
        let mut commit = Commit::new();
        checkpoint.push(RecordKind::Checkpoint, &mut commit, PIECE).unwrap();
        let (mut back, mut assembly) = (Checkpoint::default(), Assembly::default());
        for (kind, payload) in commit.records() {
            assert_eq!(kind, RecordKind::Checkpoint);
            if Piece::is_in(payload) {
                back.entries.extend(assembly.take(&Piece::decode(payload).unwrap()).unwrap());
                continue;
            }
            assert_eq!(assembly.finish(), Ok(()));
            let part = Checkpoint::decode(payload).unwrap();
            back.entries.extend(part.entries);
            back.watermarks.extend(part.watermarks);
            back.epoch = part.epoch;
        }
        assert_eq!((back, assembly.finish()), (checkpoint, Ok(())));
    }
}

#[test]
fn what_is_beyond_a_limit_is_refused_before_it_is_written() {
    let key = StateKey::new(NodeId(1), KeyGroup(1), &[0; KEY_LIMIT]);
    let checkpoint = Checkpoint { entries: vec![Entry { key, value: None }], ..Checkpoint::default() };
    let refused = checkpoint.push(RecordKind::Checkpoint, &mut Commit::new(), PIECE_BYTES).unwrap_err();
    assert_eq!(refused.to_string(), "a key of 1048581 bytes is beyond the limit of 1048576");
}
