//! What is done to events on their way to a sink: nodes that keep something by key, and windows.

use crate::draw::Draw;
use crate::whole::Whole;

/// What is done to events before a sink.
pub struct Branch {
    /// The sources that it reads.
    pub from: Vec<usize>,
    /// Events whose `x` is divisible by this do not pass.
    pub modulus: i64,
    /// What keeps something by key.
    pub node: Option<Node>,
    /// What is put out in place of events.
    pub window: Option<Window>,
    /// The same, where only what comes in the end is known.
    pub whole: Option<Whole>,
    /// Whether events come in an order that is known: they are all of one partition.
    pub in_sequence: bool,
}

/// Keeps something by key. All but the first depend on the order of events. Spans are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// Each id passes once.
    Dedupe,
    /// Only what has moved by more.
    Changed { deadband: i64, ordered: bool },
    /// The first in a span.
    First { every: i64 },
    /// The last in a span.
    Last { every: i64 },
    /// The changes of a ranking.
    Top { places: usize },
    /// The sum so far, in place of `y`.
    Running { ordered: bool },
}

/// Windows by key.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub kind: Kind,
    /// How long after its end a window takes events.
    pub lateness: i64,
    /// Whether a pane that fires again holds all that came.
    pub accumulates: bool,
}

/// Lengths are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Tumbling { size: i64 },
    Sliding { size: i64, every: i64 },
    Cumulate { max: i64, step: i64 },
    Session { gap: i64 },
    Count { size: usize, every: usize },
}

/// What is known of the events of a branch.
pub struct Input {
    pub from: Vec<usize>,
    /// Whether they are all of one partition.
    pub in_sequence: bool,
    /// Whether some are late.
    pub late: bool,
    /// Whether some may come twice.
    pub repeats: bool,
    /// Whether there is one worker only, so that no exchange by id mixes what other keys put in order.
    pub is_alone: bool,
    /// Whether the watermark before each event is known. Of live input on several workers it is not: a worker that has
    /// not said yet that it reads nothing holds it back. Nor is it where their number changes: rows that wait between
    /// workers then count with the least watermark of all.
    pub is_timed: bool,
}

impl Branch {
    pub fn draw(draw: &mut Draw, input: Input) -> Branch {
        let Input { from, in_sequence, late, repeats, is_alone, is_timed } = input;
        if draw.often(350) {
            let node = repeats.then_some(Node::Dedupe);
            let whole = Some(Whole::draw(draw, late));
            return Branch {
                from,
                modulus: draw.between(2, 5),
                node,
                window: None,
                whole,
                in_sequence: false,
            };
        }
        let in_sequence = in_sequence && (is_timed || !late);
        let windowed = draw.often(if late { 700 } else { 500 }) && (in_sequence || !late);
        let mut node = match in_sequence && !repeats && draw.often(if windowed { 300 } else { 800 }) {
            true => Some(Node::draw(draw, late)),
            false => draw.often(300).then_some(Node::Dedupe),
        };
        // What a server sends twice is counted twice, and may be late: only without that the oracle knows.
        if repeats && (windowed || in_sequence) {
            node = Some(Node::Dedupe);
        }
        let goes_on = match node {
            Some(Node::Dedupe) => is_alone || !late,
            Some(Node::Changed { ordered, .. }) => !ordered,
            Some(Node::First { .. }) | None => true,
            Some(Node::Last { .. } | Node::Top { .. } | Node::Running { .. }) => false,
        };
        let goes_on = goes_on && (is_timed || matches!(node, None | Some(Node::Dedupe)));
        let windowed = windowed && goes_on;
        let in_sequence = in_sequence && (is_alone || node != Some(Node::Dedupe)) && (is_timed || !windowed);
        let window = windowed.then(|| Window::draw(draw, in_sequence));
        Branch { from, modulus: draw.between(2, 5), node, window, whole: None, in_sequence }
    }

    /// The name of the last of its first so many stages.
    fn stage(&self, number: usize, stages: usize) -> String {
        let names = [Some("t"), self.node.map(|_| "n"), self.window.map(|_| "w")];
        let last = names[..stages].iter().flatten().last();
        format!("{}{number}", last.copied().unwrap_or_default())
    }

    /// The name of the last node.
    pub fn last(&self, number: usize) -> String {
        self.whole.map_or_else(|| self.stage(number, 3), |whole| whole.last(number))
    }

    /// Its transforms.
    pub fn transforms(&self, number: usize) -> String {
        let from: Vec<String> = self.from.iter().map(|source| format!("s{source}")).collect();
        let (from, modulus) = (from.join(", "), self.modulus);
        let mut text =
            format!("  t{number}: {{ from: [{from}], where: x % {modulus} <> 0, set: {{ y: x * 2 }} }}\n");
        if let Some(node) = self.node {
            text += &format!("  n{number}: {{ from: {}, {} }}\n", self.stage(number, 1), node.text());
        }
        text + &self.whole.map(|whole| whole.transforms(number, &self.stage(number, 2))).unwrap_or_default()
    }

    /// Its window.
    pub fn window(&self, number: usize) -> Option<String> {
        if let Some(whole) = self.whole {
            return whole.window(number, &self.stage(number, 2));
        }
        let (from, window) = (self.stage(number, 2), self.window?.text());
        let aggregate = "{ n: count(*), total: sum(x) }";
        Some(format!("  w{number}: {{ from: {from}, key: k, {window}, aggregate: {aggregate} }}\n"))
    }
}

impl Node {
    fn draw(draw: &mut Draw, late: bool) -> Node {
        // What is late leaves a node that puts events in order.
        let ordered = !late && draw.often(500);
        let every = draw.one_of(&[5, 40, 300]);
        match draw.below(6) {
            0 => Node::Dedupe,
            1 => Node::Changed { deadband: draw.between(0, 40), ordered },
            2 => Node::First { every },
            3 => Node::Last { every },
            4 => Node::Top { places: 1 + draw.below(3) },
            _ => Node::Running { ordered },
        }
    }

    fn text(self) -> String {
        let order = |ordered| if ordered { ", ordered: true" } else { "" };
        match self {
            Node::Dedupe => "dedupe: { key: id, within: 1h }".to_owned(),
            Node::Changed { deadband, ordered } => {
                format!("changed: {{ key: k, fields: [x], deadband: {deadband} }}{}", order(ordered))
            }
            Node::First { every } => format!("throttle: {{ key: k, every: {every}ms }}"),
            Node::Last { every } => format!("throttle: {{ key: k, every: {every}ms, keep: last }}"),
            Node::Top { places } => format!("top_n: {{ key: k, by: x, n: {places} }}"),
            Node::Running { ordered } => {
                format!("set: {{ y: running_sum(x) OVER (PARTITION BY k) }}, ordered: {ordered}")
            }
        }
    }

    /// What it is, for the coverage.
    pub fn name(self) -> &'static str {
        match self {
            Node::Dedupe => "dedupe",
            Node::Changed { .. } => "changed",
            Node::First { .. } => "throttle first",
            Node::Last { .. } => "throttle last",
            Node::Top { .. } => "top_n",
            Node::Running { .. } => "running_sum",
        }
    }

    /// Whether it puts events in order of their times.
    pub fn is_ordered(self) -> bool {
        matches!(self, Node::Changed { ordered: true, .. } | Node::Running { ordered: true })
    }
}

impl Window {
    fn draw(draw: &mut Draw, in_sequence: bool) -> Window {
        let size = draw.one_of(&[20, 100, 500]);
        let every = size / draw.one_of(&[2, 5]);
        let kind = match draw.below(if in_sequence { 6 } else { 5 }) {
            0 => Kind::Tumbling { size },
            1 => Kind::Sliding { size, every },
            2 => Kind::Cumulate { max: size, step: every },
            5 => Kind::Count { size: 1 + draw.below(5), every: 1 + draw.below(5) },
            _ => Kind::Session { gap: draw.one_of(&[5, 20, 100]) },
        };
        let ends = match kind {
            Kind::Count { .. } => false,
            // Whether a session has fired when an event comes at its end is known only in sequence.
            Kind::Session { .. } => in_sequence,
            _ => true,
        };
        let lateness = if ends { draw.one_of(&[0, 10, 60, 400]) } else { 0 };
        Window { kind, lateness, accumulates: draw.often(500) }
    }

    fn text(self) -> String {
        let kind = match self.kind {
            Kind::Tumbling { size } => format!("tumbling: {size}ms"),
            Kind::Sliding { size, every } => format!("sliding: {{ size: {size}ms, every: {every}ms }}"),
            Kind::Cumulate { max, step } => format!("cumulate: {{ max: {max}ms, step: {step}ms }}"),
            Kind::Session { gap } => format!("session: {{ gap: {gap}ms }}"),
            Kind::Count { size, every } => format!("count: {{ size: {size}, every: {every} }}"),
        };
        if self.lateness == 0 {
            return kind;
        }
        let (lateness, panes) = (self.lateness, self.panes());
        format!("{kind}, allowed_lateness: {lateness}ms, accumulation: {panes}")
    }

    /// What a pane holds that fires again, for the coverage too.
    pub fn panes(self) -> &'static str {
        if self.accumulates { "accumulating" } else { "discarding" }
    }

    /// Whether there are events that come too late for it.
    pub fn refuses(self) -> bool {
        !matches!(self.kind, Kind::Count { .. })
    }

    /// What it is, for the coverage.
    pub fn name(self) -> &'static str {
        match self.kind {
            Kind::Tumbling { .. } => "tumbling",
            Kind::Sliding { .. } => "sliding",
            Kind::Cumulate { .. } => "cumulate",
            Kind::Session { .. } => "session",
            Kind::Count { .. } => "count",
        }
    }

    /// The windows of fixed length that an event belongs to.
    pub fn spans(self, time: i64) -> Vec<(i64, i64)> {
        let fixed = |size: i64, every: i64| {
            let last = time - time.rem_euclid(every);
            let starts = (0..size / every).map(move |back| last - back * every);
            starts.map(|start| (start, start + size)).collect()
        };
        match self.kind {
            Kind::Tumbling { size } => fixed(size, size),
            Kind::Sliding { size, every } => fixed(size, every),
            Kind::Cumulate { max, step } => {
                let start = time - time.rem_euclid(max);
                let ends = (1..=max / step).map(|steps| start + steps * step);
                ends.filter(|end| time < *end).map(|end| (start, end)).collect()
            }
            Kind::Session { .. } | Kind::Count { .. } => Vec::new(),
        }
    }
}
