//! Segments and what is in their records, read from any bytes: refused, or written again byte for byte.

#![no_main]

use headwater::state::log::{Commit, RecordKind, scan_segment};
use headwater::state::{
    Checkpoint, Chunk, Frame, Incarnation, PIECE_BYTES, Piece, Refused, SegmentNumber, SinkProgress,
};
use libfuzzer_sys::fuzz_target;

/// The payload that a commit of one record holds.
fn payload(fill: impl FnOnce(&mut Commit)) -> Vec<u8> {
    let mut commit = Commit::new();
    fill(&mut commit);
    commit.records().flat_map(|(_, payload)| payload.to_vec()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(piece) = Piece::decode(bytes) {
        let mut again = Vec::new();
        piece.encode(&mut again);
        assert_eq!(again, bytes);
    }
    if let Ok(checkpoint) = Checkpoint::decode(bytes) {
        let mut again = Vec::new();
        checkpoint.encode(&mut again);
        assert_eq!(again, bytes);
        assert!(checkpoint.push(RecordKind::Checkpoint, &mut Commit::new(), PIECE_BYTES).is_ok());
    }
    if let Ok(frame) = Frame::decode(bytes) {
        assert_eq!(payload(|commit| frame.push(commit).expect("it was in a record")), bytes);
    }
    if let Ok(chunk) = Chunk::decode(bytes) {
        assert_eq!(payload(|commit| chunk.push(commit).expect("it was in a record")), bytes);
    }
    if let Ok(marker) = SinkProgress::decode(bytes) {
        assert_eq!(payload(|commit| marker.push(commit).expect("it was in a record")), bytes);
    }
    if let Ok(refused) = Refused::decode(bytes) {
        assert_eq!(payload(|commit| refused.push(commit).expect("it was in a record")), bytes);
    }
    if let Ok(scan) = scan_segment(SegmentNumber(1), bytes, None, Incarnation(1)) {
        assert!(scan.end <= bytes.len());
    }
});
