//! The windows of a list of steps by brute force: every pane is a list of events, every question a search.

use crate::harness::{Entry, Pane, Step};
use crate::results::{Frame, result};
use headwater::time::Every;
use headwater::windows::{Accumulation, CARRY, Gap, WindowKind};

/// What the operator is told, as far as the model knows it.
pub struct Model<'a> {
    pub kind: WindowKind,
    pub names: &'a [&'a str],
    pub lateness: i64,
    pub accumulation: Accumulation,
    pub carry: i64,
    steps: &'a [Step],
    windows: Vec<Window>,
    /// By key: what was taken.
    accepted: Vec<Vec<usize>>,
    watermark: i64,
    entries: Vec<Entry>,
}

/// A key's window.
#[derive(Clone, Debug)]
struct Window {
    key: u8,
    start: i64,
    end: i64,
    /// All events by their place in the steps, and those since the last firing.
    all: Vec<usize>,
    fresh: Vec<usize>,
    fired: bool,
}

impl<'a> Model<'a> {
    pub fn new(
        kind: WindowKind,
        names: &'a [&'a str],
        lateness: i64,
        accumulation: Accumulation,
        steps: &'a [Step],
    ) -> Model<'a> {
        let (windows, entries) = (Vec::new(), Vec::new());
        let accepted = vec![Vec::new(); 3];
        let (carry, watermark) = (CARRY.0, i64::MIN);
        Model { kind, names, lateness, accumulation, carry, steps, windows, accepted, watermark, entries }
    }

    pub fn run(mut self) -> Vec<Entry> {
        for (id, step) in self.steps.iter().enumerate() {
            if step.filtered {
                continue;
            }
            self.advance(step.watermark);
            match self.kind {
                WindowKind::Tumbling { .. }
                | WindowKind::Sliding { .. }
                | WindowKind::Cumulate { .. }
                | WindowKind::Calendar { .. } => self.take_fixed(id),
                WindowKind::Session { .. } => self.take_session(id),
                WindowKind::Global => self.take_global(id),
                WindowKind::Count { size, every } => self.take_counted(id, size as usize, every as usize),
            }
        }
        self.advance(i64::MAX);
        if let WindowKind::Count { size, every } = self.kind {
            self.end_counted(size as usize, every as usize);
        }
        self.entries
    }

    /// When something happens to a window: it fires, or it is closed.
    fn due(&self, window: &Window) -> i64 {
        match self.kind {
            WindowKind::Global => i64::MAX,
            _ if window.fired => window.end + self.lateness,
            _ => window.end,
        }
    }

    fn advance(&mut self, watermark: i64) {
        while let Some(due) = self.windows.iter().map(|window| self.due(window)).min()
            && due <= watermark
        {
            let (mut now, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.windows).into_iter().partition(|window| self.due(window) == due);
            self.windows = rest;
            now.retain(|window| !window.fired);
            now.sort_by_key(|window| (window.end, window.start, window.all[0]));
            for mut window in now {
                self.emit(&mut window);
                if self.lateness > 0 && !matches!(self.kind, WindowKind::Global) {
                    window.fired = true;
                    self.windows.push(window);
                }
            }
        }
        self.watermark = self.watermark.max(watermark);
    }

    fn content(&self, window: &Window) -> Vec<usize> {
        let accumulating = self.accumulation == Accumulation::Accumulating;
        if accumulating { window.all.clone() } else { window.fresh.clone() }
    }

    fn emit(&mut self, window: &mut Window) {
        let content = self.content(window);
        self.emit_content(window.key, window.start, window.end, &content);
        window.fresh.clear();
    }

    fn emit_content(&mut self, key: u8, start: i64, end: i64, content: &[usize]) {
        let results = self.results(content, key, (start, end)).expect("every event was checked");
        self.entries.push(Entry::Pane(Pane { key, start, end, results }));
    }

    fn results(&self, content: &[usize], key: u8, window: (i64, i64)) -> Option<Vec<serde_json::Value>> {
        let events: Vec<&Step> = content.iter().map(|&id| &self.steps[id]).collect();
        let unbounded = matches!(self.kind, WindowKind::Global | WindowKind::Count { .. });
        let carried = self.accepted[key as usize].iter().map(|&id| &self.steps[id]).filter(|step| {
            !unbounded && step.time < window.0 && step.time >= window.0.saturating_sub(self.carry)
        });
        let mut before: Vec<&Step> = carried.collect();
        before.sort_by_key(|step| step.time);
        let frame = Frame { start: window.0, end: window.1, before };
        self.names.iter().map(|name| result(name, &events, &frame)).collect()
    }

    /// Whether the events can be together with one more.
    fn fits(&self, mut content: Vec<usize>, id: usize) -> bool {
        content.push(id);
        self.results(&content, self.steps[id].key, (0, 1)).is_some()
    }

    fn take_fixed(&mut self, id: usize) {
        let step = &self.steps[id];
        let bounds = bounds(&self.kind, step.time);
        let (late, open): (Vec<_>, Vec<_>) =
            bounds.iter().partition(|(_, end)| end + self.lateness <= self.watermark);
        if bounds.is_empty() {
            self.entries.push(Entry::Discarded("outside"));
        }
        let find = |windows: &[Window], (start, end): (i64, i64)| {
            windows.iter().position(|w| w.key == step.key && w.start == start && w.end == end)
        };
        for bounds in &open {
            let content = find(&self.windows, *bounds).map_or(Vec::new(), |i| self.content(&self.windows[i]));
            if !self.fits(content, id) {
                self.entries.push(Entry::Rejected(id));
                return;
            }
        }
        self.entries.extend(late.iter().map(|(start, _)| Entry::Late { id, start: *start }));
        if !open.is_empty() {
            self.accepted[step.key as usize].push(id);
        }
        for (start, end) in open {
            let fired = end <= self.watermark;
            let mut window = match find(&self.windows, (start, end)) {
                Some(i) => self.windows.remove(i),
                None => Window { key: step.key, start, end, all: vec![], fresh: vec![], fired },
            };
            window.all.push(id);
            window.fresh.push(id);
            if fired {
                self.emit(&mut window);
            }
            self.windows.push(window);
        }
    }

    fn take_session(&mut self, id: usize) {
        let step = &self.steps[id];
        let gap = match self.kind {
            WindowKind::Session { gap: Gap::Fixed(gap), .. } => gap.0,
            _ => step.gap,
        };
        let (start, end) = (step.time, step.time + gap);
        let (touching, apart): (Vec<_>, Vec<_>) = self
            .windows
            .iter()
            .cloned()
            .partition(|window| window.key == step.key && start <= window.end && window.start <= end);
        if touching.is_empty() && end + self.lateness <= self.watermark {
            self.entries.push(Entry::Late { id, start });
            return;
        }
        let mut content: Vec<usize> = touching.iter().flat_map(|window| self.content(window)).collect();
        content.sort_unstable();
        if !self.fits(content, id) {
            self.entries.push(Entry::Rejected(id));
            return;
        }
        self.accepted[step.key as usize].push(id);
        let mut whole = Window { key: step.key, start, end, all: vec![id], fresh: vec![id], fired: false };
        for window in touching {
            whole.start = whole.start.min(window.start);
            whole.end = whole.end.max(window.end);
            whole.all.extend(window.all);
            whole.fresh.extend(window.fresh);
        }
        whole.all.sort_unstable();
        whole.fresh.sort_unstable();
        self.windows = apart;
        if whole.end <= self.watermark {
            whole.fired = true;
            self.emit(&mut whole);
        }
        self.windows.push(whole);
    }

    fn take_global(&mut self, id: usize) {
        let step = &self.steps[id];
        let (start, end) = (step.time, step.time + 1);
        let found = self.windows.iter().position(|window| window.key == step.key);
        let content = found.map_or(Vec::new(), |i| self.windows[i].all.clone());
        if !self.fits(content, id) {
            self.entries.push(Entry::Rejected(id));
            return;
        }
        let empty = Window { key: step.key, start, end, all: vec![], fresh: vec![], fired: false };
        let mut window = found.map_or(empty, |i| self.windows.remove(i));
        window.start = window.start.min(start);
        window.end = window.end.max(end);
        window.all.push(id);
        window.fresh.push(id);
        self.windows.push(window);
    }

    fn take_counted(&mut self, id: usize, size: usize, every: usize) {
        let key = self.steps[id].key;
        let before = self.accepted[key as usize].clone();
        let number = before.len();
        let ends = (number / every + 1..).map(|i| i * every).take_while(|end| *end <= number + size);
        for end in ends {
            let content = before[end.saturating_sub(size).min(number)..].to_vec();
            if !self.fits(content, id) {
                self.entries.push(Entry::Rejected(id));
                return;
            }
        }
        if !self.fits(Vec::new(), id) {
            self.entries.push(Entry::Rejected(id));
            return;
        }
        self.accepted[key as usize].push(id);
        if (number + 1).is_multiple_of(every) {
            let (start, end, content) = self.counted(key, number + 1, size);
            self.emit_content(key, start, end, &content);
        }
    }

    /// The window of a key that ends (or would end) with so many events.
    fn counted(&self, key: u8, end: usize, size: usize) -> (i64, i64, Vec<usize>) {
        let accepted = &self.accepted[key as usize];
        let content: Vec<usize> = accepted.iter().copied().skip(end.saturating_sub(size)).collect();
        let times = content.iter().map(|&id| self.steps[id].time);
        (times.clone().min().unwrap_or(0), times.max().unwrap_or(0) + 1, content)
    }

    fn end_counted(&mut self, size: usize, every: usize) {
        let mut rest = Vec::new();
        for key in 0..3 {
            let number = self.accepted[key as usize].len();
            let (start, end, content) = self.counted(key, (number / every + 1) * every, size);
            if !number.is_multiple_of(every) && !content.is_empty() {
                rest.push((end, start, content[0], key, content));
            }
        }
        rest.sort();
        for (end, start, _, key, content) in rest {
            self.emit_content(key, start, end, &content);
        }
    }
}

/// All windows that hold the time, by start and end.
fn bounds(kind: &WindowKind, time: i64) -> Vec<(i64, i64)> {
    let all: Vec<(i64, i64)> = match kind {
        WindowKind::Tumbling { size, grid } => side_by_side(size.0, size.0, grid.offset.0),
        WindowKind::Sliding { size, every, grid } => side_by_side(size.0, every.0, grid.offset.0),
        WindowKind::Cumulate { max, step, grid } => {
            let periods = side_by_side(max.0, max.0, grid.offset.0);
            let ends = |start: i64| (1..=max.0 / step.0).map(move |steps| (start, start + steps * step.0));
            periods.into_iter().flat_map(|(start, _)| ends(start)).collect()
        }
        WindowKind::Calendar { every: Every::At(times), grid } => {
            let day = |day: i64| times.iter().map(move |time| day * 86_400_000 + time.0 + grid.offset.0);
            let cuts: Vec<i64> = (-3..3).flat_map(day).collect();
            cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
        }
        _ => unreachable!("has no bounds of its own"),
    };
    all.into_iter().filter(|(start, end)| *start <= time && time < *end).collect()
}

fn side_by_side(size: i64, every: i64, offset: i64) -> Vec<(i64, i64)> {
    (-1000..1000).map(|i| i * every + offset).map(|start| (start, start + size)).collect()
}
