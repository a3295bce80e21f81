//! Events and what becomes of them.

use crate::draw::Draw;
use headwater::time::Millis;

/// An event of a source.
#[derive(Clone, Debug)]
pub struct Event {
    /// No other event has it.
    pub id: usize,
    pub source: usize,
    pub partition: usize,
    /// Event time in milliseconds.
    pub time: i64,
    pub key: usize,
    pub x: i64,
    /// When it is there to be read.
    pub arrives: Millis,
}

/// How far events of a partition are out of order where none is late.
pub const DISORDER: i64 = 50;

/// How far they are where some are.
pub const LATE_DISORDER: i64 = 200;

/// The time of the last event of every partition of a live source, behind all others: it closes their windows.
pub const CLOSING: i64 = 50_000;

impl Event {
    /// As it stands in the input.
    pub fn line(&self) -> Vec<u8> {
        let Event { id, source, partition, time, key, x, .. } = self;
        format!("{{\"id\":{id},\"s\":{source},\"p\":{partition},\"t\":{time},\"k\":{key},\"x\":{x}}}\n")
            .into_bytes()
    }

    /// How long its line is in a sink, with `y`.
    pub fn bytes_out(&self, y: i64) -> usize {
        self.line().len() + format!(",\"y\":{y}").len()
    }
}

/// Events of one partition.
pub fn draw_events(
    draw: &mut Draw,
    ids: &mut usize,
    source: usize,
    partition: usize,
    (live, disorder): (bool, i64),
) -> Vec<Event> {
    let count = draw.one_of(&[1, 20, 80, 200]);
    // Clocks of devices are often coarse: then events fall together, and exactly on the ends of windows.
    let grain = draw.one_of(&[1, 1, 5, 20]);
    let (mut now, mut arrives) = (1_000, 0);
    let events = (0..1 + draw.below(count)).map(|_| {
        now += if draw.often(20) { 400 } else { draw.between(0, 12) };
        arrives += draw.between(0, 20);
        *ids += 1;
        Event {
            id: *ids,
            source,
            partition,
            time: (now - draw.between(0, disorder - grain + 1)).div_euclid(grain) * grain,
            key: draw.below(5),
            x: draw.between(0, 99),
            arrives: Millis(arrives),
        }
    });
    let mut events: Vec<Event> = events.collect();
    if let Some(last) = events.last().filter(|_| live) {
        let closing = Event { id: last.id + 1, time: CLOSING, ..last.clone() };
        *ids += 1;
        events.push(closing);
    }
    events
}
