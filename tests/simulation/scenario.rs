//! What a seed draws: a pipeline, its input, and what goes wrong.

use crate::draw::Draw;
use crate::events::{DISORDER, Event, draw_events};
use crate::sources::{Input, Server};
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
}

impl Source {
    /// All of its events.
    pub fn events(&self) -> Vec<&Event> {
        match &*self.input {
            Input::Files(partitions) => partitions.iter().flatten().collect(),
            Input::Server(server) => server.messages.iter().collect(),
        }
    }

    /// How often an event may count under the guarantee of its source.
    pub fn times(&self, place: usize) -> usize {
        match &*self.input {
            Input::Files(_) => 1,
            Input::Server(server) => server.sent(place),
        }
    }
}

/// What is done to events before a sink.
pub struct Branch {
    /// The sources that it reads.
    pub from: Vec<usize>,
    /// Events whose `x` is divisible by this do not pass.
    pub modulus: i64,
    /// Whether each id passes once.
    pub dedupe: bool,
    /// What is put out in place of events.
    pub window: Option<Window>,
}

/// Windows by key, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Window {
    Tumbling { size: i64 },
    Sliding { size: i64, every: i64 },
    Session { gap: i64 },
}

impl Window {
    fn draw(draw: &mut Draw) -> Window {
        let size = draw.one_of(&[20, 100, 500]);
        match draw.below(3) {
            0 => Window::Tumbling { size },
            1 => Window::Sliding { size, every: size / draw.one_of(&[2, 5]) },
            _ => Window::Session { gap: size },
        }
    }

    fn text(self) -> String {
        match self {
            Window::Tumbling { size } => format!("tumbling: {size}ms"),
            Window::Sliding { size, every } => format!("sliding: {{ size: {size}ms, every: {every}ms }}"),
            Window::Session { gap } => format!("session: {{ gap: {gap}ms }}"),
        }
    }
}

/// A sink behind a branch.
pub struct SinkOf {
    pub branch: usize,
    pub exactly_once: bool,
}

impl Scenario {
    pub fn draw(draw: &mut Draw) -> Scenario {
        let mut ids = 0;
        let any_live = draw.often(500);
        let sources: Vec<Source> =
            (0..1 + draw.below(2)).map(|number| Source::draw(draw, number, any_live, &mut ids)).collect();
        let branches: Vec<Branch> = (0..1 + draw.below(2)).map(|_| Branch::draw(draw, &sources)).collect();
        let mut sinks: Vec<SinkOf> =
            (0..branches.len()).map(|branch| SinkOf { branch, exactly_once: draw.often(500) }).collect();
        if draw.often(400) {
            sinks.push(SinkOf { branch: 0, exactly_once: draw.often(500) });
        }
        Scenario {
            sources,
            branches,
            sinks,
            is_alone: draw.often(300),
            rescales: draw.often(500),
            interval: Millis(draw.one_of(&[10, 50, 200, 1_000])),
            limits: limits(draw),
            troubled: draw.below(7),
        }
    }

    /// The pipeline's text.
    pub fn text(&self, workers: usize) -> String {
        let mut text = format!("options: {{ parallelism: {workers} }}\nsources:\n");
        for number in 0..self.sources.len() {
            // One more: an event that stands exactly where the watermark does may find its session gone.
            let behind = DISORDER + 1;
            let time = format!("{{ field: t, unit: ms, out_of_order: {behind}ms, idle_after: 1h }}");
            // Writing to a text cannot fail.
            writeln!(text, "  s{number}: {{ file: {{ path: in{number} }}, event_time: {time} }}").unwrap();
        }
        text.push_str("transforms:\n");
        for (number, branch) in self.branches.iter().enumerate() {
            let from: Vec<String> = branch.from.iter().map(|source| format!("s{source}")).collect();
            let (from, modulus) = (from.join(", "), branch.modulus);
            writeln!(
                text,
                "  t{number}: {{ from: [{from}], where: x % {modulus} <> 0, set: {{ y: x * 2 }} }}"
            )
            .unwrap();
        }
        for (number, branch) in self.branches.iter().enumerate().filter(|(_, branch)| branch.dedupe) {
            let from = branch.stage(number, 1);
            writeln!(text, "  d{number}: {{ from: {from}, dedupe: {{ key: id, within: 1h }} }}").unwrap();
        }
        if self.branches.iter().any(|branch| branch.window.is_some()) {
            text.push_str("windows:\n");
        }
        for (number, branch) in self.branches.iter().enumerate() {
            let Some(window) = branch.window else { continue };
            let (from, window) = (branch.stage(number, 2), window.text());
            let aggregate = "{ n: count(*), total: sum(x) }";
            writeln!(text, "  w{number}: {{ from: {from}, key: k, {window}, aggregate: {aggregate} }}")
                .unwrap();
        }
        text.push_str("sinks:\n");
        for (number, sink) in self.sinks.iter().enumerate() {
            let from = self.branches[sink.branch].stage(sink.branch, 3);
            writeln!(text, "  o{number}: {{ from: {from}, file: {{ path: out{number} }} }}").unwrap();
        }
        text
    }

    /// Whether some source never ends.
    pub fn is_live(&self) -> bool {
        self.sources.iter().any(|source| source.live)
    }

    /// A description in a line.
    pub fn describe(&self) -> String {
        let source = |source: &Source| match &*source.input {
            Input::Files(partitions) => {
                let sizes: Vec<usize> = partitions.iter().map(Vec::len).collect();
                format!("{} files {sizes:?}", if source.live { "live" } else { "bounded" })
            }
            Input::Server(server) => format!("server {}", server.messages.len()),
        };
        let sources: Vec<String> = self.sources.iter().map(source).collect();
        let sinks: Vec<&str> =
            self.sinks.iter().map(|s| if s.exactly_once { "exactly" } else { "at least" }).collect();
        let branch = |branch: &Branch| format!("{:?} {} {:?}", branch.from, branch.dedupe, branch.window);
        let branches: Vec<String> = self.branches.iter().map(branch).collect();
        format!("{sources:?} {branches:?} -> {sinks:?}, every {}, troubled {}", self.interval, self.troubled)
    }
}

impl Source {
    fn draw(draw: &mut Draw, number: usize, live: bool, ids: &mut usize) -> Source {
        if live && draw.often(500) {
            let server = Server::new(draw_events(draw, ids, number, 0, live));
            return Source { live, input: Arc::new(Input::Server(server)) };
        }
        let partitions = 1 + draw.below(4);
        let partitions = (0..partitions).map(|partition| draw_events(draw, ids, number, partition, live));
        Source { live, input: Arc::new(Input::Files(partitions.collect())) }
    }
}

impl Branch {
    fn draw(draw: &mut Draw, sources: &[Source]) -> Branch {
        let all = (0..sources.len()).collect();
        let from: Vec<usize> = if draw.often(600) { all } else { vec![draw.below(sources.len())] };
        let windowed = draw.often(500);
        // What a server sends twice is counted twice, and may be late: only without that the oracle knows.
        let repeats = from.iter().any(|source| matches!(*sources[*source].input, Input::Server(_)));
        Branch {
            from,
            modulus: draw.between(2, 5),
            dedupe: draw.often(300) || (windowed && repeats),
            window: windowed.then(|| Window::draw(draw)),
        }
    }

    /// The name of the last of its first so many stages.
    fn stage(&self, number: usize, stages: usize) -> String {
        let names = [Some("t"), self.dedupe.then_some("d"), self.window.map(|_| "w")];
        let last = names[..stages].iter().flatten().last();
        format!("{}{number}", last.copied().unwrap_or_default())
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
