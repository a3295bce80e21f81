//! What a seed draws: a pipeline, its input, and what goes wrong.

use crate::branch::{self, Branch, Window};
use crate::coverage::Coverage;
use crate::draw::Draw;
use crate::events::{DISORDER, Event, LATE_DISORDER, draw_events};
use crate::sources::{Input, Server};
use crate::whole::Whole;
use headwater::state::StateLimits;
use headwater::time::Millis;
use std::fmt::Write;
use std::sync::Arc;

/// A pipeline with its input.
pub struct Scenario {
    pub sources: Vec<Source>,
    pub branches: Vec<Branch>,
    pub sinks: Vec<SinkOf>,
    /// Whether it never has more than one worker.
    pub is_alone: bool,
    /// Whether the number of workers differs from life to life.
    pub rescales: bool,
    pub interval: Millis,
    pub limits: StateLimits,
    /// How many lives something goes wrong in.
    pub troubled: usize,
}

/// A source with all that it will ever give.
pub struct Source {
    pub live: bool,
    pub input: Arc<Input>,
    /// How far behind the latest event the watermark is.
    pub out_of_order: i64,
    /// Whether events whose id was seen are dropped.
    pub by_id: bool,
}

impl Source {
    /// All of its events, partition by partition.
    pub fn events(&self) -> Vec<&Event> {
        match &*self.input {
            Input::Files(partitions) => partitions.iter().flatten().collect(),
            Input::Server(server) => server.messages.iter().collect(),
        }
    }

    /// How often an event may count under the guarantee of its source.
    pub fn times(&self, place: usize) -> usize {
        match &*self.input {
            Input::Server(server) if !self.by_id => server.sent(place),
            _ => 1,
        }
    }

    /// Whether some events are behind the watermark.
    fn is_late(&self) -> bool {
        self.out_of_order < DISORDER
    }

    fn is_one_partition(&self) -> bool {
        match &*self.input {
            Input::Files(partitions) => partitions.len() == 1,
            Input::Server(_) => true,
        }
    }

    fn is_server(&self) -> bool {
        matches!(*self.input, Input::Server(_))
    }
}

/// A sink behind a branch.
pub struct SinkOf {
    pub branch: usize,
    /// Whether it takes what came too late for the branch's window.
    pub late: bool,
    pub exactly_once: bool,
    /// Whether its target keeps a marker.
    pub is_topic: bool,
    /// Whether what its target refuses goes to a file.
    pub returns: bool,
    pub buffer: Buffer,
}

/// How output waits while the target takes none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buffer {
    pub max: Option<usize>,
    pub max_age: Option<Millis>,
    pub when_full: Option<&'static str>,
    pub live_first: bool,
}

impl Buffer {
    fn draw(draw: &mut Draw, exactly_once: bool, may_lose: bool, is_revised: bool) -> Buffer {
        let max = draw.often(400).then(|| draw.one_of(&[1, 200, 2_000]));
        if exactly_once {
            return Buffer { max, ..Buffer::default() };
        }
        let mut buffer = Buffer { max, live_first: !is_revised && draw.often(200), ..Buffer::default() };
        if may_lose && draw.often(500) {
            buffer.when_full = max.map(|_| draw.one_of(&["drop_oldest", "drop_newest"]));
            buffer.max_age = draw.often(300).then(|| Millis(draw.one_of(&[10, 200])));
        }
        buffer
    }

    /// Whether output may be given up.
    pub fn is_lossy(&self) -> bool {
        self.when_full.is_some() || self.max_age.is_some()
    }

    fn text(&self) -> String {
        let max = self.max.map(|bytes| format!("max: {bytes}B"));
        let age = self.max_age.map(|age| format!("max_age: {age}"));
        let when_full = self.when_full.map(|what| format!("when_full: {what}"));
        let order = self.live_first.then(|| "order: live_first".to_owned());
        let all: Vec<String> = [max, age, when_full, order].into_iter().flatten().collect();
        all.join(", ")
    }
}

impl Scenario {
    pub fn draw(draw: &mut Draw) -> Scenario {
        let mut ids = 0;
        let (any_live, is_alone, rescales) = (draw.often(500), draw.often(350), draw.often(500));
        let sources: Vec<Source> =
            (0..1 + draw.below(2)).map(|number| Source::draw(draw, number, any_live, &mut ids)).collect();
        let branches: Vec<Branch> = (0..1 + draw.below(2))
            .map(|_| {
                let input = input(draw, &sources, is_alone, rescales);
                Branch::draw(draw, input)
            })
            .collect();
        let mut sinks: Vec<SinkOf> = Vec::new();
        for (number, branch) in branches.iter().enumerate() {
            sinks.push(SinkOf::draw(draw, number, branch, false));
            if branch.in_sequence && branch.window.is_some_and(Window::refuses) && draw.often(700) {
                sinks.push(SinkOf::draw(draw, number, branch, true));
            }
        }
        if draw.often(400) {
            sinks.push(SinkOf::draw(draw, 0, &branches[0], false));
        }
        Scenario {
            sources,
            branches,
            sinks,
            is_alone,
            rescales,
            interval: Millis(draw.one_of(&[10, 50, 200, 1_000])),
            limits: limits(draw),
            troubled: draw.below(7),
        }
    }

    /// The pipeline's text.
    pub fn text(&self, workers: usize) -> String {
        let mut text = format!("options: {{ parallelism: {workers} }}\nsources:\n");
        for (number, source) in self.sources.iter().enumerate() {
            let behind = source.out_of_order;
            let time = format!("{{ field: t, unit: ms, out_of_order: {behind}ms, idle_after: 1h }}");
            let id = if source.by_id { "id: id, " } else { "" };
            // Writing to a text cannot fail.
            writeln!(text, "  s{number}: {{ file: {{ path: in{number} }}, {id}event_time: {time} }}")
                .unwrap();
        }
        text.push_str("transforms:\n");
        let branches = || self.branches.iter().enumerate();
        branches().for_each(|(number, branch)| text.push_str(&branch.transforms(number)));
        let windows: String = branches().filter_map(|(number, branch)| branch.window(number)).collect();
        let tables: String = branches().filter_map(|(number, branch)| branch.whole?.table(number)).collect();
        for (section, lines) in [("windows", windows), ("tables", tables)] {
            if !lines.is_empty() {
                text.push_str(&format!("{section}:\n{lines}"));
            }
        }
        text.push_str("sinks:\n");
        for (number, sink) in self.sinks.iter().enumerate() {
            let from = self.branches[sink.branch].last(sink.branch);
            let port = if sink.late { ".late" } else { "" };
            let delivery = if sink.exactly_once { "exactly_once" } else { "at_least_once" };
            let buffer = sink.buffer.text();
            let rest = format!("file: {{ path: out{number} }}, delivery: {delivery}, buffer: {{ {buffer} }}");
            writeln!(text, "  o{number}: {{ from: {from}{port}, {rest} }}").unwrap();
        }
        for number in self.returning() {
            let rest = format!("file: {{ path: back{number} }}, delivery: exactly_once");
            writeln!(text, "  b{number}: {{ from: o{number}.rejected, {rest} }}").unwrap();
        }
        text
    }

    /// The numbers of the sinks behind which others take what is refused, in their order.
    pub fn returning(&self) -> impl Iterator<Item = usize> {
        let all = self.sinks.iter().enumerate();
        all.filter(|(_, sink)| sink.returns).map(|(number, _)| number)
    }

    /// Whether some source never ends.
    pub fn is_live(&self) -> bool {
        self.sources.iter().any(|source| source.live)
    }

    /// Notes what it is made of.
    pub fn cover(&self, coverage: &Coverage) {
        let note = |holds: bool, what| {
            if holds {
                coverage.note(what);
            }
        };
        note(self.is_alone, "one worker");
        note(!self.is_alone && self.rescales, "workers change");
        for source in &self.sources {
            match (&*source.input, source.live) {
                (Input::Files(_), live) => coverage.note(if live { "live files" } else { "bounded files" }),
                (Input::Server(_), _) => {
                    coverage.note(if source.by_id { "server with ids" } else { "server" });
                }
            }
        }
        for branch in &self.branches {
            note(branch.from.len() > 1, "union");
            note(
                !self.is_alone
                    && (branch.node.is_some() || branch.window.is_some() || branch.whole.is_some()),
                "exchange between workers",
            );
            coverage.note(branch.node.map_or("no node", branch::Node::name));
            note(branch.node.is_some_and(branch::Node::is_ordered), "ordered");
            branch.whole.into_iter().flat_map(Whole::names).for_each(|name| coverage.note(name));
            let Some(window) = branch.window else { continue };
            coverage.note(window.name());
            note(branch.node.is_some(), "node before a window");
            note(window.lateness > 0, "allowed_lateness");
            note(window.lateness > 0, window.panes());
        }
        for sink in &self.sinks {
            coverage.note(if sink.exactly_once { "exactly once" } else { "at least once" });
            note(sink.late, "late port");
            note(sink.buffer.max.is_some() && sink.buffer.when_full.is_none(), "block, little room");
            sink.buffer.when_full.iter().for_each(|what| coverage.note(what));
            note(sink.buffer.max_age.is_some(), "max_age");
            note(sink.buffer.live_first, "live_first");
        }
    }
}

impl Source {
    fn draw(draw: &mut Draw, number: usize, live: bool, ids: &mut usize) -> Source {
        let is_server = live && draw.often(500);
        let partitions = if is_server { 1 } else { draw.one_of(&[1, 1, 1, 2, 3, 4]) };
        let late = partitions == 1 && draw.often(600);
        let kind = (live, if late { LATE_DISORDER } else { DISORDER });
        let events: Vec<Vec<Event>> =
            (0..partitions).map(|partition| draw_events(draw, ids, number, partition, kind)).collect();
        let out_of_order = if late { draw.one_of(&[0, 5, 20]) } else { DISORDER };
        let by_id = is_server && draw.often(500);
        let input = match is_server {
            true => Input::Server(Server::new(events.concat())),
            false => Input::Files(events),
        };
        Source { live, input: Arc::new(input), out_of_order, by_id }
    }
}

/// Draws which sources a branch reads.
fn input(draw: &mut Draw, sources: &[Source], is_alone: bool, rescales: bool) -> branch::Input {
    let all = (0..sources.len()).collect();
    let from: Vec<usize> = if draw.often(350) { all } else { vec![draw.below(sources.len())] };
    let read = || from.iter().map(|source| &sources[*source]);
    let is_one = from.len() == 1 && read().all(Source::is_one_partition);
    // Ids are looked up by other workers than keys.
    let in_sequence = is_one && (is_alone || !read().any(Source::is_server));
    let (late, repeats) =
        (read().any(Source::is_late), read().any(|source| source.is_server() && !source.by_id));
    let is_timed = is_alone || !(rescales || sources.iter().any(|source| source.live));
    branch::Input { in_sequence, late, repeats, is_alone, is_timed, from }
}

impl SinkOf {
    fn draw(draw: &mut Draw, number: usize, branch: &Branch, late: bool) -> SinkOf {
        let exactly_once = draw.often(500);
        let is_top = matches!(branch.node, Some(branch::Node::Top { .. }));
        let gives_events = late || (branch.window.is_none() && branch.whole.is_none() && !is_top);
        // What the engine calls revised must keep its order.
        let is_revised = !gives_events;
        let buffer = Buffer::draw(draw, exactly_once, gives_events && !late, is_revised);
        let is_topic = exactly_once && draw.often(500);
        let returns = is_topic && draw.often(500);
        SinkOf { branch: number, late, exactly_once, is_topic, returns, buffer }
    }
}

fn limits(draw: &mut Draw) -> StateLimits {
    StateLimits {
        cache_bytes: 1 << 20,
        unfolded_bytes: draw.one_of(&[300, 3_000, 1 << 20]),
        log_bytes: draw.one_of(&[2_000, 20_000, 1 << 20]),
        segment_bytes: draw.one_of(&[500, 4_000, 1 << 20]),
        piece_bytes: draw.one_of(&[16, 200, 1 << 20]),
    }
}
