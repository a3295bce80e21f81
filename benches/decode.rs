//! Decoding: time a batch of lines, so events a second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater::event::{Batch, Path, Slot, Span, Step};
use headwater::formats::json::{JsonDecoder, JsonInput, Validate};
use headwater::formats::{Decoder, Wanted};
use headwater::time::Random;
use std::fmt::Write;
use std::hint::black_box;

/// Lines a run, as many as a batch takes.
const LINES: usize = 1024;

/// Events of a web shop, eight fields of about 183 bytes, of which four are wanted.
fn purchases(line: impl Fn(&mut String, &mut Random, usize)) -> String {
    let (mut text, mut random) = (String::new(), Random::seeded(42));
    for i in 0..LINES {
        line(&mut text, &mut random, i);
        text.push('\n');
    }
    text
}

fn below(random: &mut Random, n: u64) -> u64 {
    (random.unit() * n as f64) as u64
}

fn kind(random: &mut Random) -> &'static str {
    ["purchase", "purchase", "view", "cart", "search"][below(random, 5) as usize]
}

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Mozilla/5.0 (iPhone; iOS 18_1)",
    "Mozilla/5.0 (Windows NT 10.0)",
    "Mozilla/5.0 (Android 15; Mobile)",
];

fn head(text: &mut String, random: &mut Random) {
    let (user, cents) = (below(random, 10_000), below(random, 50_000));
    let kind = kind(random);
    write!(text, r#"{{"user_id": "u{user}", "type": "{kind}", "amount": {}.{:02}"#, cents / 100, cents % 100)
        .unwrap();
}

fn tail(text: &mut String, random: &mut Random) {
    let (session, page, agent) =
        (random.bits() as u32, below(random, 1000), AGENTS[below(random, 4) as usize]);
    let ip = random.bits();
    write!(
        text,
        r#", "session": "s{session:08x}", "page": "/p/{page}", "ua": "{agent}", "ip": "10.{}.{}.{}""#,
        ip & 255,
        ip >> 8 & 255,
        ip >> 16 & 255
    )
    .unwrap();
}

fn time(text: &mut String, i: usize) {
    write!(text, r#", "ts": {}"#, 1_767_225_600_000 + i * 7).unwrap();
}

fn shapes() -> Vec<(&'static str, String)> {
    vec![
        (
            "ts early",
            purchases(|t, r, i| {
                head(t, r);
                time(t, i);
                tail(t, r);
                t.push('}');
            }),
        ),
        (
            "ts last",
            purchases(|t, r, i| {
                head(t, r);
                tail(t, r);
                time(t, i);
                t.push('}');
            }),
        ),
        (
            "escaped",
            purchases(|t, r, i| {
                head(t, r);
                time(t, i);
                t.push_str(r#", "note": "\u00fcber \"quoted\" \n", "city": "Zürich""#);
                tail(t, r);
                t.push('}');
            }),
        ),
        (
            "order varies",
            purchases(|t, r, i| {
                head(t, r);
                if below(r, 2) == 0 {
                    time(t, i);
                    tail(t, r);
                } else {
                    tail(t, r);
                    time(t, i);
                }
                t.push('}');
            }),
        ),
    ]
}

fn nested() -> String {
    purchases(|t, r, i| {
        let (lat, lon) = (r.unit() * 90.0, r.unit() * 90.0);
        write!(
            t,
            r#"{{"device":"d{}","pos":{{"lat":{lat:.6},"lon":{lon:.6},"alt":{}}},"tags":["a","b",{{"c":1}}],"temp":{:.1},"ts":{}}}"#,
            below(r, 100),
            below(r, 1000),
            r.unit() * 30.0,
            1_767_225_600_000 + i * 7
        )
        .unwrap();
    })
}

fn wanted(names: &[&str]) -> Wanted {
    let path = |name: &str| {
        let mut steps = name.split('.');
        let root = Path::field(steps.next().unwrap_or_default());
        steps.fold(root, |path, step| path.then(Step::Field(step.to_owned())))
    };
    let fields = names.iter().enumerate().map(|(i, name)| (path(name), Slot(i as u16))).collect();
    Wanted { fields, whole: false }
}

fn run(c: &mut Criterion, name: &str, text: &str, fields: &[&str], validate: Validate) {
    let wanted = wanted(fields);
    let mut decoder = JsonDecoder::new(JsonInput { validate, ..JsonInput::default() }, &wanted);
    let mut batch = Batch::new(fields.len(), b"");
    let mut unreadable = Vec::new();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function(format!("{name}, {validate:?}"), |b| {
        batch.clear();
        let block = batch.store(text.as_bytes());
        b.iter(|| {
            batch.truncate(0);
            batch.arena.truncate(text.len());
            decoder.decode(&mut batch, black_box(Span { ..block }), true, LINES, &mut unreadable)
        });
    });
    assert!(batch.len() == LINES && unreadable.is_empty());
}

fn decode(c: &mut Criterion) {
    for validate in [Validate::Strict, Validate::Touched] {
        for (name, text) in shapes() {
            run(c, name, &text, &["user_id", "type", "amount", "ts"], validate);
        }
        run(c, "nested", &nested(), &["device", "pos.lat", "pos.lon", "ts"], validate);
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
