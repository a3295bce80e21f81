//! What a bench found out, for people and for programs.

use super::latency::Histogram;
use super::usage::Usage;
use crate::cli::progress::grouped;
use crate::cli::terminal::Terminal;
use crate::runtime::FLUSH_EVERY;
use serde_json::{Value, json};
use std::fmt::Write;

/// Texts of operators longer than this are cut in the table.
const MOST_SHOWN: usize = 44;
/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// The figures of a run.
pub struct Report {
    /// The pipeline's name.
    pub pipeline: String,
    /// How many workers it has.
    pub workers: usize,
    /// Events that sources read.
    pub events: u64,
    /// Seconds from the start of the workers to the end of the last.
    pub seconds: f64,
    /// Bytes that were decoded; 0 if no source reads bytes.
    pub bytes_read: u64,
    /// Bytes that sinks were given.
    pub bytes_written: u64,
    /// What the process used in that time.
    pub usage: Usage,
    /// From reading to flushing, in nanoseconds, an entry an event.
    pub latencies: Histogram,
    /// What the parts did, as they follow one another.
    pub operators: Vec<OperatorLine>,
    /// Nanoseconds between the parts.
    pub engine: u64,
    /// What else one should know to judge the figures.
    pub notes: Vec<String>,
}

/// What one part did.
pub struct OperatorLine {
    /// Its node.
    pub node: String,
    /// What it is.
    pub does: String,
    /// Rows that it was given; none for what reads.
    pub rows_in: Option<u64>,
    /// Rows that it gave on or wrote.
    pub rows_out: u64,
    /// Its own time.
    pub nanos: u64,
}

impl Report {
    /// What the latency is, in one sentence.
    fn latency_definition() -> String {
        format!(
            "from an event being read until everything at hand behind it was flushed, which happens every {FLUSH_EVERY} \
             while there is more to read; what open windows and unions hold back is not waited for"
        )
    }

    fn per_second(&self, amount: u64) -> f64 {
        if self.seconds > 0.0 { amount as f64 / self.seconds } else { 0.0 }
    }

    /// CPU nanoseconds an event; none if there was no event.
    fn cpu_per_event(&self) -> Option<f64> {
        (self.events > 0).then(|| self.usage.seconds() * 1e9 / self.events as f64)
    }

    /// The share of all time that workers were busy.
    fn share(&self, nanos: u64) -> f64 {
        let busy = self.engine + self.operators.iter().map(|line| line.nanos).sum::<u64>();
        if busy > 0 { nanos as f64 / busy as f64 } else { 0.0 }
    }

    /// As programs read it.
    pub fn to_json(&self) -> Value {
        let milliseconds = |share: f64| self.latencies.quantile(share).map(|nanos| nanos as f64 / 1e6);
        let quantiles: serde_json::Map<String, Value> =
            QUANTILES.iter().map(|(name, share)| ((*name).to_owned(), json!(milliseconds(*share)))).collect();
        let operator = |line: &OperatorLine| {
            json!({
                "node": line.node, "does": line.does, "rows_in": line.rows_in, "rows_out": line.rows_out,
                "nanoseconds": line.nanos, "share": self.share(line.nanos),
            })
        };
        json!({
            "pipeline": self.pipeline,
            "workers": self.workers,
            "events": self.events,
            "seconds": self.seconds,
            "events_per_second": self.per_second(self.events),
            "bytes_read": self.bytes_read,
            "bytes_read_per_second": self.per_second(self.bytes_read),
            "bytes_written": self.bytes_written,
            "cpu": {
                "user_seconds": self.usage.user,
                "system_seconds": self.usage.system,
                "nanoseconds_per_event": self.cpu_per_event(),
            },
            "peak_memory_bytes": self.usage.peak_memory,
            "latency": { "is": Report::latency_definition(), "milliseconds": quantiles },
            "operators": self.operators.iter().map(operator).collect::<Vec<_>>(),
            "engine": { "nanoseconds": self.engine, "share": self.share(self.engine) },
            "notes": self.notes,
        })
    }

    /// As people read it.
    pub fn to_text(&self, terminal: &Terminal) -> String {
        let workers =
            if self.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", self.workers) };
        let name = terminal.bold_out(&self.pipeline);
        let mut text =
            format!("{name}: {} events in {:.2} s by {workers}\n\n", grouped(self.events), self.seconds);
        self.write_figures(&mut text);
        text.push('\n');
        self.write_operators(&mut text);
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            // Writing into a string does not fail.
            let _ = writeln!(text, "  {note}");
        }
        text
    }

    fn write_figures(&self, text: &mut String) {
        let rate = grouped(self.per_second(self.events).round() as u64);
        let read = match self.bytes_read {
            0 => String::new(),
            bytes => format!(", {}/s read", bytes_shown(self.per_second(bytes))),
        };
        let _ = writeln!(text, "  throughput  {rate} events/s{read}");
        let each = self.cpu_per_event().map(|nanos| format!(", {} an event", nanos_shown(nanos)));
        let Usage { user, system, .. } = self.usage;
        let cpu = self.usage.seconds();
        let each = each.unwrap_or_default();
        let _ = writeln!(text, "  CPU         {cpu:.2} s ({user:.2} s user, {system:.2} s system){each}");
        let memory = self.usage.peak_memory as f64 / f64::from(1 << 20);
        let _ = writeln!(text, "  memory      {memory:.1} MiB at its peak");
        let quantile = |(name, share): &(&str, f64)| {
            Some(format!("{name} {}", nanos_shown(self.latencies.quantile(*share)? as f64)))
        };
        let quantiles: Vec<String> = QUANTILES.iter().filter_map(quantile).collect();
        if !quantiles.is_empty() {
            let _ = writeln!(text, "  latency     {}", quantiles.join(", "));
            for line in wrapped(&Report::latency_definition(), 100) {
                let _ = writeln!(text, "              {line}");
            }
        }
    }

    fn write_operators(&self, text: &mut String) {
        let mut rows = vec![["node", "operator", "rows in", "rows out", "time"].map(str::to_owned)];
        let mut last = "";
        for line in &self.operators {
            let node = if line.node == last { "" } else { &line.node };
            let rows_in = line.rows_in.map(grouped).unwrap_or_default();
            let share = percent(self.share(line.nanos));
            rows.push([node.to_owned(), cut(&line.does), rows_in, grouped(line.rows_out), share]);
            last = &line.node;
        }
        let engine = "between operators: times, watermarks, copies".to_owned();
        rows.push([String::new(), engine, String::new(), String::new(), percent(self.share(self.engine))]);
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths = [width(0), width(1), width(2), width(3), width(4)];
        for [node, does, rows_in, rows_out, time] in &rows {
            let [a, b, c, d, e] = widths;
            let _ = writeln!(text, "  {node:a$}  {does:b$}  {rows_in:>c$}  {rows_out:>d$}  {time:>e$}");
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Words in lines of at most so many characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// An amount of bytes in the largest unit that leaves a digit before the point.
pub fn bytes_shown(bytes: f64) -> String {
    scaled(bytes, &[("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9)])
}

/// A time in the largest unit that leaves a digit before the point.
fn nanos_shown(nanos: f64) -> String {
    scaled(nanos, &[("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)])
}

fn scaled(amount: f64, units: &[(&str, f64)]) -> String {
    let unit = units.iter().rev().find(|(_, size)| amount >= *size).or(units.first());
    let (name, size) = unit.copied().unwrap_or(("", 1.0));
    let digits = if amount / size >= 100.0 || size == 1.0 { 0 } else { 1 };
    format!("{:.digits$} {name}", amount / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_fitting_units() {
        assert_eq!(["0 B", "999 B", "1.5 kB", "123 MB"], [0.0, 999.0, 1_500.0, 123.4e6].map(bytes_shown));
        assert_eq!(["12 ns", "1.2 µs", "98.0 ms", "2.0 s"], [12.0, 1_240.0, 98e6, 2e9].map(nanos_shown));
    }

    #[test]
    fn long_texts_are_cut_and_sentences_wrapped() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ä".repeat(50)), format!("{}…", "ä".repeat(MOST_SHOWN)));
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }
}
