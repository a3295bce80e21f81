//! What is said, on its way to a collector: a queue with limits that nobody waits for, and its lines as messages.

use super::{attribute, resource, scope, text};
use crate::time::{Clock, SystemClock, Timestamp};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use prost::Message;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Bytes of a text that are kept.
const LONGEST: usize = 4 << 10;
/// Fields of a line that are kept.
const MOST_FIELDS: usize = 32;
/// Bytes that may wait.
const MOST_BYTES: usize = 4 << 20;
/// The thread that tells. What it says of its own trouble would never end.
pub const THREAD: &str = "otlp";

/// What the process says, as long as somebody takes it.
pub static LOG: LogQueue = LogQueue::new();

/// Lines that wait.
pub struct LogQueue {
    is_open: AtomicBool,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    lines: VecDeque<Line>,
    bytes: usize,
    most: usize,
    lost: u64,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    at: Timestamp,
    level: Level,
    message: String,
    fields: Vec<(&'static str, String)>,
    dropped_fields: u32,
}

impl LogQueue {
    const fn new() -> LogQueue {
        let waiting = Waiting { lines: VecDeque::new(), bytes: 0, most: 0, lost: 0 };
        LogQueue { is_open: AtomicBool::new(false), waiting: Mutex::new(waiting) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Whoever panicked left whole lines.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on lines wait here, so many at the most; further ones are lost.
    pub fn open(&self, most: usize) {
        self.lock().most = most;
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// No line waits here any more.
    pub fn close(&self) {
        self.is_open.store(false, Ordering::Relaxed);
        let mut waiting = self.lock();
        (waiting.lines, waiting.bytes) = (VecDeque::new(), 0);
    }

    /// Takes the first lines, so many at the most, and how many were lost since the last time.
    pub fn take(&self, most: usize) -> (Vec<Line>, u64) {
        let mut waiting = self.lock();
        let count = waiting.lines.len().min(most);
        let lines: Vec<Line> = waiting.lines.drain(..count).collect();
        waiting.bytes -= lines.iter().map(Line::bytes).sum::<usize>();
        (lines, std::mem::take(&mut waiting.lost))
    }

    fn put(&self, line: Line) {
        let mut waiting = self.lock();
        let bytes = line.bytes();
        if waiting.lines.len() >= waiting.most || waiting.bytes + bytes > MOST_BYTES {
            waiting.lost += 1;
            return;
        }
        waiting.bytes += bytes;
        waiting.lines.push_back(line);
    }
}

impl Line {
    fn bytes(&self) -> usize {
        size_of::<Line>()
            + self.message.len()
            + self.fields.iter().map(|(_, text)| 32 + text.len()).sum::<usize>()
    }

    fn keep(&mut self, field: &Field, mut value: String) {
        value.truncate(value.floor_char_boundary(LONGEST));
        match field.name() {
            "message" => self.message = value,
            name if self.fields.len() < MOST_FIELDS
                && self.fields.iter().all(|(known, _)| *known != name) =>
            {
                self.fields.push((name, value));
            }
            _ => self.dropped_fields += 1,
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value[..value.floor_char_boundary(LONGEST)].to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}"));
    }
}

/// Puts what is said into [`LOG`]. Stands beside what writes it to standard error; costs nothing while nobody takes it.
pub struct LogLayer {
    clock: SystemClock,
}

impl LogLayer {
    /// A layer with a clock of its own, as it is there before all else.
    pub fn new() -> LogLayer {
        LogLayer { clock: SystemClock::new() }
    }
}

impl Default for LogLayer {
    fn default() -> LogLayer {
        LogLayer::new()
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if !LOG.is_open.load(Ordering::Relaxed) || std::thread::current().name() == Some(THREAD) {
            return;
        }
        let mut line = Line {
            at: self.clock.wall(),
            level: *event.metadata().level(),
            message: String::new(),
            fields: Vec::new(),
            dropped_fields: 0,
        };
        event.record(&mut line);
        LOG.put(line);
    }
}

/// Lines as the body of a request.
pub fn logs(attributes: &[(String, String)], lines: &[Line], now: Timestamp) -> Vec<u8> {
    let log_records = lines.iter().map(|line| record(line, now)).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(attributes), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn record(line: &Line, now: Timestamp) -> LogRecord {
    let nanos = |time: Timestamp| (time.0.max(0) as u64).saturating_mul(1_000_000);
    LogRecord {
        time_unix_nano: nanos(line.at),
        observed_time_unix_nano: nanos(line.at.max(now)),
        severity_number: severity(line.level) as i32,
        severity_text: line.level.to_string(),
        body: Some(text(&line.message)),
        attributes: line.fields.iter().map(|(name, value)| attribute(name, value)).collect(),
        dropped_attributes_count: line.dropped_fields,
        ..LogRecord::default()
    }
}

fn severity(level: Level) -> SeverityNumber {
    match level {
        Level::ERROR => SeverityNumber::Error,
        Level::WARN => SeverityNumber::Warn,
        Level::INFO => SeverityNumber::Info,
        Level::DEBUG => SeverityNumber::Debug,
        Level::TRACE => SeverityNumber::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Line {
        let (level, fields) = (Level::WARN, vec![("pipeline", "p".to_owned())]);
        Line { at: Timestamp(1), level, message: message.to_owned(), fields, dropped_fields: 0 }
    }

    #[test]
    fn a_full_queue_counts_what_is_lost() {
        let queue = LogQueue::new();
        queue.open(2);
        ["a", "b", "c"].iter().for_each(|message| queue.put(line(message)));
        assert_eq!(queue.take(1), (vec![line("a")], 1));
        queue.put(line("d"));
        assert_eq!(queue.take(9), (vec![line("b"), line("d")], 0));
        assert_eq!(queue.lock().bytes, 0);
        queue.open(usize::MAX);
        (0..2_000).for_each(|_| queue.put(line(&"x".repeat(LONGEST))));
        assert!(queue.lock().bytes <= MOST_BYTES);
        assert!(queue.take(0).1 > 0);
    }

    #[test]
    fn a_line_is_a_record() {
        let body = logs(&[], &[line("it is late")], Timestamp(2));
        let request = ExportLogsServiceRequest::decode(&body[..]).unwrap();
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (1_000_000, 2_000_000));
        assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
        assert_eq!(record.body, Some(text("it is late")));
        assert_eq!(record.attributes, [attribute("pipeline", "p")]);
    }
}
