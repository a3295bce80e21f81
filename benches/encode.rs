//! Encoding a batch of events of about 183 bytes: passed through, changed, put together.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater::event::{Batch, Layer, Path, Row, Slot, View};
use headwater::formats::json::{JsonDecoder, JsonEncoder, JsonInput, JsonOutput};
use headwater::formats::{Decoder, Encoder, Wanted};
use std::hint::black_box;

/// Events a run, as many as a batch takes.
const ROWS: usize = 1024;

const NAMES: [&str; 4] = ["user_id", "type", "amount", "ts"];

/// A batch of events with the four fields in its slots and the raw text.
fn batch() -> Batch {
    let fields = NAMES.iter().enumerate().map(|(i, name)| (Path::field(*name), Slot(i as u16))).collect();
    let mut decoder = JsonDecoder::new(JsonInput::default(), &Wanted { fields, whole: true });
    let mut batch = Batch::new(NAMES.len(), b"");
    let line = |i: usize| {
        let (cents, ts) = (i * 37 % 50_000, 1_767_225_600_000 + i * 7);
        format!(
            "{{\"user_id\": \"u{}\", \"type\": \"purchase\", \"amount\": {}.{:02}, \"ts\": {ts}, \
             \"session\": \"s{i:08x}\", \"page\": \"/p/{}\", \"ua\": \"Mozilla/5.0 (X11; Linux x86_64)\", \
             \"ip\": \"10.1.2.{}\"}}\n",
            i % 10_000,
            cents / 100,
            cents % 100,
            i % 1000,
            i % 256
        )
    };
    let text: String = (0..ROWS).map(line).collect();
    let block = batch.store(text.as_bytes());
    decoder.decode(&mut batch, block, true, ROWS, &mut Vec::new());
    batch
}

fn field(name: &str, slot: u16) -> Layer {
    Layer::Field(name.to_owned(), Slot(slot))
}

fn encode(c: &mut Criterion) {
    let known = NAMES.iter().enumerate().map(|(i, name)| field(name, i as u16)).collect();
    let views = [
        ("known fields", known),
        ("passed through", vec![Layer::Raw]),
        ("one field overwritten", vec![Layer::Raw, field("amount", 3)]),
        ("one added, one dropped", vec![Layer::Raw, field("total", 2), Layer::Without("ua".to_owned())]),
        ("merged", vec![field("first", 0), Layer::Raw]),
    ];
    let batch = batch();
    assert_eq!(batch.len(), ROWS);
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, layers) in views {
        let mut encoder = JsonEncoder::new(JsonOutput::default(), &View { layers });
        let mut out = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                for row in 0..ROWS {
                    encoder
                        .encode(black_box(&batch), Row(row as u32), &mut out)
                        .expect("JSON takes every event");
                }
                out.len()
            });
        });
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
