//! What a run shows while it goes on, and at its end.

use super::terminal::Terminal;
use crate::config::Role;
use crate::plan::Plan;
use crate::runtime::NodeCounts;
use crate::time::Millis;
use std::fmt::Write;

/// Nothing is shown before this, as short runs need no progress.
const FIRST: Millis = Millis(1_000);
/// How often the line is drawn.
const EVERY: Millis = Millis(500);

/// A line on standard error that is drawn again and again: events in, out, and a second.
pub struct Progress {
    roles: Vec<Role>,
    terminal: Terminal,
    shown: Millis,
    received: u64,
    drawn: bool,
}

impl Progress {
    /// Nothing is drawn yet.
    pub fn new(plan: &Plan, terminal: &Terminal) -> Progress {
        let roles = plan.nodes.iter().map(|node| node.role).collect();
        Progress { roles, terminal: terminal.clone(), shown: Millis::ZERO, received: 0, drawn: false }
    }

    /// Draws the line, if it is time to.
    pub fn show(&mut self, counts: &[NodeCounts], elapsed: Millis) {
        if elapsed < FIRST || elapsed.0 - self.shown.0 < EVERY.0 {
            return;
        }
        let (received, sent) = totals(&self.roles, counts);
        let span = (elapsed.0 - self.shown.0).max(1) as u64;
        let rate = (received - self.received) * 1000 / span;
        let rejected: u64 = counts.iter().map(NodeCounts::all_rejected).sum();
        let mut line = format!("{} in  {} out  {}/s", grouped(received), grouped(sent), grouped(rate));
        if rejected > 0 {
            // Writing into a string does not fail.
            let _ = write!(line, "  {} rejected", grouped(rejected));
        }
        self.terminal.say(&format!("\r\x1b[K{}", self.terminal.dim(&line)));
        (self.shown, self.received, self.drawn) = (elapsed, received, true);
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            self.terminal.say("\r\x1b[K");
        }
    }
}

/// Events that came in by sources, and that went out by sinks.
pub fn totals(roles: &[Role], counts: &[NodeCounts]) -> (u64, u64) {
    let sum = |role: Role, count: fn(&NodeCounts) -> u64| {
        roles.iter().zip(counts).filter(|(r, _)| **r == role).map(|(_, c)| count(c)).sum()
    };
    (sum(Role::Source, |c| c.received), sum(Role::Sink, |c| c.received))
}

/// Whether a run read nothing, though all of its sources came to their ends.
pub fn found_nothing(plan: &Plan, counts: &[NodeCounts]) -> bool {
    let received: u64 = plan.sources.iter().map(|source| counts[source.node.0 as usize].received).sum();
    received == 0 && !plan.sources.iter().any(|source| source.plan.is_live())
}

/// What a run did, a line and one for each kind of loss.
pub fn summary(plan: &Plan, counts: &[NodeCounts], elapsed: Millis, terminal: &Terminal) -> String {
    let roles: Vec<Role> = plan.nodes.iter().map(|node| node.role).collect();
    let (received, sent) = totals(&roles, counts);
    let seconds = elapsed.0 as f64 / 1000.0;
    let rate = if elapsed.0 > 0 { received * 1000 / elapsed.0 as u64 } else { received };
    let name = terminal.bold(&plan.name);
    let mut text = format!("{name}: {} events in, {} out, {seconds:.1} s", grouped(received), grouped(sent));
    if elapsed.0 >= 1000 {
        let _ = write!(text, ", {}/s", grouped(rate));
    }
    text.push('\n');
    for (node, counts) in plan.nodes.iter().zip(counts) {
        let read = plan.rejected.keys().any(|id| plan.nodes[id.0 as usize].name == node.name);
        if counts.all_rejected() > 0 && !read {
            let _ = writeln!(
                text,
                "  {} rejected by `{}`, nobody reads `{1}.rejected`; the last:",
                grouped(counts.all_rejected()),
                node.name
            );
            for (reason, event) in &counts.samples {
                let _ = writeln!(text, "    {}{}", printable(reason), terminal.dim(&shown(event)));
            }
        }
        for (reason, count) in counts.discarded.iter().filter(|(reason, _)| **reason != "filtered") {
            let _ = writeln!(text, "  {} {reason} at `{}`", grouped(*count), node.name);
        }
        for (what, count) in &counts.noted {
            let _ = writeln!(text, "  {} {what} at `{}`", grouped(*count), node.name);
        }
    }
    text
}

/// A text without what would move the cursor or change colours.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A sample event behind its reason, shortened.
fn shown(event: &str) -> String {
    let mut short: String = printable(event).chars().take(120).collect();
    if short.len() < event.len() {
        short.push('…');
    }
    if short.is_empty() { short } else { format!(": {short}") }
}

/// A number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
