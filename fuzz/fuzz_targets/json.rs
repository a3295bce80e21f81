//! Any bytes as lines of JSON: the events, their fields and the rejected lines are those of serde_json, however the
//! bytes come in blocks; reading only what is touched never panics and agrees on what is valid.

#![no_main]

use headwater::event::json::validate as check;
use headwater::event::{Batch, Kind, Layer, Path, Row, Slot, Step, Unreadable, Value, View};
use headwater::formats::json::{JsonDecoder, JsonEncoder, JsonInput, JsonOutput, Validate};
use headwater::formats::{Decoder, Encoder, Wanted};
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

/// Rows as text, whole events, rejected lines.
#[derive(Debug, Default, PartialEq)]
struct Decoded {
    rows: Vec<Vec<String>>,
    whole: Vec<Vec<u8>>,
    rejected: Vec<Vec<u8>>,
}

fn paths() -> Vec<Path> {
    let field = |name: &str| Step::Field(name.to_owned());
    vec![
        Path::field("a"),
        Path::field("b").then(field("a")),
        Path::field("b").then(field("b")),
        Path::field("c"),
        Path::field("c").then(Step::Index(0)),
        Path::field("c").then(Step::Index(1)).then(field("a")),
    ]
}

fuzz_target!(|input: &[u8]| {
    // The first bytes say where blocks end, the others are the text.
    let Some((cuts, text)) = input.split_first_chunk::<2>() else { return };
    let mut cuts: Vec<usize> = cuts.iter().map(|&c| c as usize * (text.len() + 1) / 256).collect();
    cuts.sort();
    let strict = read(Validate::Strict, text, &[], usize::MAX);
    assert_eq!(strict, read(Validate::Strict, text, &cuts, 3));
    if let Some((rows, rejected)) = expected(text) {
        assert_eq!(strict.rows, rows);
        assert_eq!(strict.rejected, rejected);
    }
    let touched = read(Validate::Touched, text, &cuts, usize::MAX);
    assert!(touched.rows.len() >= strict.rows.len());
    for whole in &strict.whole {
        assert!(check(whole).is_ok());
    }
});

fn read(validate: Validate, text: &[u8], cuts: &[usize], limit: usize) -> Decoded {
    let paths = paths();
    let slots = paths.len();
    let fields = paths.into_iter().enumerate().map(|(i, path)| (path, Slot(i as u16))).collect();
    let options = JsonInput { validate, ..JsonInput::default() };
    let mut decoder = JsonDecoder::new(options, &Wanted { fields, whole: true });
    let (mut decoded, mut batch, mut read) = (Decoded::default(), Batch::new(slots, b"x"), 0);
    for (i, &cut) in cuts.iter().chain([&text.len()]).enumerate() {
        let last = i == cuts.len();
        loop {
            batch.clear();
            let mut unreadable = Vec::new();
            let block = batch.store(&text[read..cut.max(read)]);
            read += decoder.decode(&mut batch, block, last, limit, &mut unreadable);
            add(&mut decoded, &batch, &unreadable, validate == Validate::Strict);
            if batch.len() < limit {
                break;
            }
        }
    }
    assert_eq!(read, text.len());
    decoded
}

fn add(decoded: &mut Decoded, batch: &Batch, unreadable: &[Unreadable], strict: bool) {
    let field = |name: &str, slot| Layer::Field(name.to_owned(), Slot(slot));
    let layers = vec![Layer::Raw, field("a", 1), Layer::Without("b".to_owned()), field("z", 0)];
    let mut encoder = JsonEncoder::new(JsonOutput::default(), &View { layers });
    for row in (0..batch.len()).map(|row| Row(row as u32)) {
        let cells = (0..batch.slots()).map(|slot| batch.get(row, Slot(slot as u16)));
        decoded.rows.push(cells.map(|cell| print(batch, cell)).collect());
        decoded.whole.push(batch.arena[batch.raw[row.index()].range()].to_vec());
        let mut line = Vec::new();
        let encoded = encoder.encode(batch, row, &mut line);
        // What was checked can be written, as JSON again; what was not may be refused.
        assert!(!strict || (encoded.is_ok() && check(&line).is_ok()));
        assert!(encoded.is_ok() || line.is_empty());
    }
    decoded.rejected.extend(unreadable.iter().map(|u| batch.arena[u.raw.range()].to_vec()));
}

fn print(batch: &Batch, cell: Value) -> String {
    match cell.kind() {
        Kind::Json => serde_json::from_slice::<Json>(batch.bytes(cell))
            .map_or_else(|e| e.to_string(), |v| v.to_string()),
        Kind::Text => Json::from(str::from_utf8(batch.bytes(cell)).expect("text is UTF-8")).to_string(),
        Kind::Float => format!("{:?}", cell.as_float().unwrap_or_default()),
        _ => format!("{cell:?}"),
    }
}

/// What serde_json makes of the text; None where the rules leave a choice.
fn expected(text: &[u8]) -> Option<(Vec<Vec<String>>, Vec<Vec<u8>>)> {
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r');
    for line in text.split(|&b| b == b'\n').filter(|line| !line.iter().all(blank)) {
        match serde_json::from_slice::<Json>(line) {
            Ok(event @ Json::Object(_)) => rows.push(row(&event)),
            Ok(Json::Array(list)) if list.iter().all(Json::is_object) => rows.extend(list.iter().map(row)),
            Ok(Json::Array(_)) => return None,
            Err(e) if e.to_string().contains("out of range") => return None,
            _ => rejected
                .push(line[..line.len() - line.iter().rev().take_while(|b| blank(b)).count()].to_vec()),
        }
    }
    Some((rows, rejected))
}

fn row(event: &Json) -> Vec<String> {
    paths().iter().map(|path| print_json(path.steps().iter().fold(event, step))).collect()
}

fn step<'a>(value: &'a Json, step: &Step) -> &'a Json {
    let next = match step {
        Step::Field(name) => value.as_object().and_then(|map| map.get(name)),
        Step::Index(n) => value.as_array().and_then(|list| list.get(*n as usize)),
    };
    next.unwrap_or(&Json::Null)
}

fn print_json(value: &Json) -> String {
    match value {
        Json::Number(n) if !n.is_i64() => format!("{:?}", n.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}
