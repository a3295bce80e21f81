//! Events taken one by one in the order of their partition, each with the watermark that held before it.

use super::Expected;
use super::ledger::Line;
use crate::branch::{Branch, Kind, Node, Window};
use crate::coverage::Coverage;
use crate::events::Event;
use crate::scenario::{Scenario, SinkOf};
use std::collections::BTreeMap;

/// An event on its way.
#[derive(Clone, Copy)]
struct Row<'e> {
    event: &'e Event,
    y: i64,
    /// The watermark before it.
    watermark: i64,
}

impl Row<'_> {
    fn line(&self, text: String) -> Line {
        Line { text, key: self.event.key, bytes: self.event.bytes_out(self.y) }
    }
}

/// What must come of a branch's events, and in which order.
pub fn expected(scenario: &Scenario, branch: &Branch, sink: &SinkOf, coverage: &Coverage) -> Expected {
    let source = &scenario.sources[branch.from[0]];
    let (mut rows, mut watermark) = (Vec::new(), i64::MIN);
    for event in source.events() {
        if event.x % branch.modulus != 0 {
            rows.push(Row { event, y: event.x * 2, watermark });
        }
        watermark = watermark.max(event.time - source.out_of_order);
    }
    let end = if source.live { watermark } else { i64::MAX };
    if let Some(node) = branch.node {
        if let Node::Top { places } = node {
            return Expected::of_sequence(ranked(&rows, places), false);
        }
        rows = pass(node, rows, end);
    }
    let Some(window) = branch.window else {
        let lines = rows.iter().map(|row| row.line(Line::event(row.event.id, row.y)));
        return Expected::of_sequence(lines.collect(), !sink.buffer.live_first);
    };
    let mut by_key: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
    rows.into_iter().for_each(|row| by_key.entry(row.event.key).or_default().push(row));
    let mut lines = Vec::new();
    for (key, rows) in by_key {
        let mut windows =
            Windows { key, window, panes: Vec::new(), fired: Vec::new(), late: Vec::new(), coverage };
        windows.run(&rows, end);
        lines.append(if sink.late { &mut windows.late } else { &mut windows.fired });
    }
    Expected::of_sequence(lines, false)
}

/// What goes on behind a node.
fn pass(node: Node, mut rows: Vec<Row>, end: i64) -> Vec<Row> {
    if node.is_ordered() {
        rows.sort_by_key(|row| row.event.time);
        rows.retain(|row| row.event.time <= end);
    }
    match node {
        Node::Changed { deadband, .. } => {
            let mut last: BTreeMap<usize, i64> = BTreeMap::new();
            rows.retain(|Row { event, .. }| {
                let moved = last.get(&event.key).is_none_or(|last| (event.x - last).abs() > deadband);
                if moved {
                    last.insert(event.key, event.x);
                }
                moved
            });
        }
        Node::First { every } => {
            let mut passed: BTreeMap<usize, Vec<(i64, i64)>> = BTreeMap::new();
            rows.retain(|Row { event, watermark, .. }| {
                let passed = passed.entry(event.key).or_default();
                passed.retain(|(_, due)| due > watermark);
                let passes = passed.iter().all(|(time, _)| (time - event.time).abs() >= every);
                if passes {
                    passed.push((event.time, event.time.max(*watermark) + every));
                }
                passes
            });
        }
        Node::Last { every } => return last_of_spans(&rows, every, end),
        Node::Running { .. } => {
            let mut sums: BTreeMap<usize, i64> = BTreeMap::new();
            for row in &mut rows {
                let sum = sums.entry(row.event.key).or_default();
                *sum += row.event.x;
                row.y = *sum;
            }
        }
        Node::Dedupe | Node::Top { .. } => {}
    }
    rows
}

/// The last event of each span, as the watermark ends them.
fn last_of_spans<'e>(rows: &[Row<'e>], every: i64, end: i64) -> Vec<Row<'e>> {
    struct Span<'e> {
        start: i64,
        due: i64,
        kept: Row<'e>,
    }
    let (mut spans, mut gone): (Vec<Span>, Vec<Row>) = (Vec::new(), Vec::new());
    let mut reach = |spans: &mut Vec<Span<'e>>, watermark: i64| {
        spans.sort_by_key(|span| (span.due, span.start));
        let due = spans.partition_point(|span| span.due <= watermark);
        gone.extend(spans.drain(..due).map(|span| span.kept));
    };
    for row in rows {
        reach(&mut spans, row.watermark);
        let (time, key) = (row.event.time, row.event.key);
        let of_key = || spans.iter().enumerate().filter(|(_, span)| span.kept.event.key == key);
        let near = |(_, span): &(usize, &Span)| (span.start - time).abs() < every;
        let before = of_key().filter(|(_, span)| span.start <= time).max_by_key(|(_, span)| span.start);
        let behind = || of_key().filter(|(_, span)| span.start > time).min_by_key(|(_, span)| span.start);
        let found = before.filter(near).or_else(|| behind().filter(near)).map(|(at, _)| at);
        match found {
            Some(at) if time >= spans[at].kept.event.time => spans[at].kept = *row,
            Some(_) => {}
            None => spans.push(Span { start: time, due: time.max(row.watermark) + every, kept: *row }),
        }
    }
    reach(&mut spans, end);
    gone
}

/// The changes of each key's ranking.
fn ranked(rows: &[Row], places: usize) -> Vec<Line> {
    let mut rankings: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
    let mut lines = Vec::new();
    for row in rows {
        let ranking = rankings.entry(row.event.key).or_default();
        let place = ranking.iter().take_while(|other| other.event.x >= row.event.x).count();
        if place >= places {
            continue;
        }
        let mut tell = |ranking: &[Row], retracted| {
            let moved = ranking.iter().enumerate().skip(place);
            let line = |(at, row): (usize, &Row)| row.line(Line::ranked(row.event.id, at + 1, retracted));
            lines.extend(moved.map(line));
        };
        tell(ranking, true);
        ranking.insert(place, *row);
        ranking.truncate(places);
        tell(ranking, false);
    }
    lines
}

/// Of what a window holds.
struct Pane {
    start: i64,
    end: i64,
    n: usize,
    total: i64,
    has_fired: bool,
}

/// The windows of a key.
struct Windows<'c> {
    key: usize,
    window: Window,
    panes: Vec<Pane>,
    fired: Vec<Line>,
    late: Vec<Line>,
    coverage: &'c Coverage,
}

impl Windows<'_> {
    fn run(&mut self, rows: &[Row], end: i64) {
        if let Kind::Count { size, every } = self.window.kind {
            return self.count(rows, (size, every), end);
        }
        for row in rows {
            self.reach(row.watermark);
            match self.window.kind {
                Kind::Session { gap } => self.take_in_session(row, gap),
                _ => self.take(row),
            }
        }
        self.reach(end);
    }

    /// Fires what is due, and gives up what takes no more events.
    fn reach(&mut self, watermark: i64) {
        self.panes.sort_by_key(|pane| (pane.end, pane.start));
        for at in 0..self.panes.len() {
            if !self.panes[at].has_fired && self.panes[at].end <= watermark {
                self.fire(at);
            }
        }
        let lateness = self.window.lateness;
        self.panes.retain(|pane| pane.end.saturating_add(lateness) > watermark);
    }

    fn fire(&mut self, at: usize) {
        let pane = &mut self.panes[at];
        let text = Line::pane(self.key, (pane.start, pane.end), pane.n, pane.total);
        self.fired.push(Line { text, key: self.key, bytes: 1 });
        pane.has_fired = true;
        if !self.window.accumulates {
            (pane.n, pane.total) = (0, 0);
        }
    }

    fn refuse(&mut self, row: &Row, start: i64) {
        self.coverage.note("late event");
        self.late.push(row.line(Line::late(row.event.id, start)));
    }

    fn take(&mut self, row: &Row) {
        for (start, end) in self.window.spans(row.event.time) {
            if end + self.window.lateness <= row.watermark {
                self.refuse(row, start);
                continue;
            }
            let found = self.panes.iter().position(|pane| (pane.start, pane.end) == (start, end));
            let at = found.unwrap_or_else(|| {
                self.panes.push(Pane { start, end, n: 0, total: 0, has_fired: false });
                self.panes.len() - 1
            });
            let pane = &mut self.panes[at];
            (pane.n, pane.total) = (pane.n + 1, pane.total + row.event.x);
            if end <= row.watermark {
                self.coverage.note("late event within the lateness");
                self.fire(at);
            }
        }
    }

    /// Sessions that an event touches become one: also those that end exactly where it is, if they are there yet.
    fn take_in_session(&mut self, row: &Row, gap: i64) {
        let time = row.event.time;
        let touches = |pane: &Pane| pane.start <= time + gap && time <= pane.end;
        let (touching, apart): (Vec<Pane>, Vec<Pane>) = self.panes.drain(..).partition(touches);
        self.panes = apart;
        if touching.is_empty() && time + gap + self.window.lateness <= row.watermark {
            return self.refuse(row, time);
        }
        if touching.iter().any(|pane| pane.end == time) {
            self.coverage.note("event at the end of a session");
        }
        let mut whole = Pane { start: time, end: time + gap, n: 1, total: row.event.x, has_fired: false };
        for pane in touching {
            (whole.start, whole.end) = (whole.start.min(pane.start), whole.end.max(pane.end));
            (whole.n, whole.total) = (whole.n + pane.n, whole.total + pane.total);
        }
        let is_past = whole.end <= row.watermark;
        self.panes.push(whole);
        if is_past {
            self.coverage.note("late event within the lateness");
            self.fire(self.panes.len() - 1);
        }
    }

    /// Every so many events the last of them, and at the end of input those under way.
    fn count(&mut self, rows: &[Row], (size, every): (usize, usize), end: i64) {
        let has_ended = end == i64::MAX && !rows.len().is_multiple_of(every);
        let last = if has_ended { rows.len().next_multiple_of(every) } else { rows.len() };
        for upto in (every..=last).step_by(every) {
            let inside = &rows[rows.len().min(upto.saturating_sub(size))..rows.len().min(upto)];
            let times = || inside.iter().map(|row| row.event.time);
            if let (Some(first), Some(latest)) = (times().min(), times().max()) {
                let total = inside.iter().map(|row| row.event.x).sum();
                self.panes.push(Pane {
                    start: first,
                    end: latest + 1,
                    n: inside.len(),
                    total,
                    has_fired: false,
                });
                self.fire(self.panes.len() - 1);
            }
        }
    }
}
