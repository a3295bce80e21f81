//! `generate N FILE [--ts-last]`: N shop events as lines of JSON.
//!
//! The same N gives the same bytes. Event time covers 30 minutes whatever N is, and events are displaced by
//! up to 3 s. `--ts-last` moves the time to the end of each event and changes nothing else.

use std::fs::File;
use std::io::{self, BufWriter, Write};

const START_MS: u64 = 1_767_225_600_000; // 2026-01-01T00:00:00Z, a whole minute
const SPAN_MS: u64 = 30 * 60 * 1000;
const DISORDER_MS: u64 = 3000;

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Mozilla/5.0 (iPhone; iOS 18_1)",
    "Mozilla/5.0 (Windows NT 10.0)",
    "Mozilla/5.0 (Android 15; Mobile)",
];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        ((self.bits() as u128 * limit as u128) >> 64) as u64
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (count, path, time_last) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [count, path] => (count, path, false),
        [count, path, "--ts-last"] => (count, path, true),
        _ => return Err(io::Error::other("usage: generate N FILE [--ts-last]")),
    };
    let count = count.parse().map_err(|_| io::Error::other("N is a number of events"))?;
    let mut output = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = Random(42);
    for i in 0..count {
        event(i, count, time_last, &mut random, &mut output)?;
    }
    output.flush()
}

fn event(
    i: u64,
    count: u64,
    time_last: bool,
    random: &mut Random,
    output: &mut impl Write,
) -> io::Result<()> {
    let user = random.below(10_000);
    let kind = match random.below(10) {
        0..=3 => "purchase",
        4..=6 => "view",
        7..=8 => "cart",
        _ => "search",
    };
    let cents = 100 + random.below(49_900);
    let (units, cents) = (cents / 100, cents % 100);
    let time = START_MS + i * SPAN_MS / count + DISORDER_MS - random.below(DISORDER_MS + 1);
    let session = random.bits() as u32;
    let page = random.below(1000);
    let agent = AGENTS[random.below(4) as usize];
    let ip = random.bits();
    let (a, b, c) = (ip & 255, (ip >> 8) & 255, (ip >> 16) & 255);
    write!(output, r#"{{"user_id": "u{user}", "type": "{kind}", "amount": {units}.{cents:02}"#)?;
    if !time_last {
        write!(output, r#", "ts": {time}"#)?;
    }
    write!(
        output,
        r#", "session": "s{session:08x}", "page": "/p/{page}", "ua": "{agent}", "ip": "10.{a}.{b}.{c}""#
    )?;
    if time_last {
        write!(output, r#", "ts": {time}"#)?;
    }
    writeln!(output, "}}")
}
