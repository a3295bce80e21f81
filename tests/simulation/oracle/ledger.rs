//! What stands in a sink, as lines that say what matters of an event.

use crate::coverage::Coverage;
use crate::sinks::Target;
use crate::whole::Whole;
use serde_json::Value as Json;

/// An event that was put out.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    pub key: usize,
    /// How long it is in the sink.
    pub bytes: usize,
}

impl Line {
    /// An event as it came in.
    pub fn event(id: usize, y: i64) -> String {
        format!("{id} {y}")
    }

    /// An event that came too late for the window that begins there.
    pub fn late(id: usize, start: i64) -> String {
        format!("{id} too late for {start}")
    }

    /// An event that has come to a place, or has left it.
    pub fn ranked(id: usize, rank: usize, retracted: bool) -> String {
        format!("{id} {} {rank}", if retracted { "leaves" } else { "takes" })
    }

    /// A result of a window.
    pub fn pane(key: usize, (start, end): (i64, i64), n: usize, total: i64) -> String {
        format!("{key} {start}..{end}: {n} {total}")
    }

    fn parse(bytes: &[u8]) -> Result<Line, String> {
        let torn = || torn(bytes);
        let event = event(bytes)?;
        let number = |name: &str| event[name].as_i64();
        let id = number("id").map(|id| id as usize);
        let key = number("k").ok_or_else(torn)? as usize;
        let text = match (id, number("window_start"), number("rank")) {
            (None, Some(start), _) => {
                let (end, n, total) = (number("window_end"), number("n"), number("total"));
                let (end, n, total) = (end.ok_or_else(torn)?, n.ok_or_else(torn)?, total.ok_or_else(torn)?);
                Line::pane(key, (start, end), n as usize, total)
            }
            (Some(id), Some(start), _) => Line::late(id, start),
            (Some(id), None, Some(rank)) => {
                Line::ranked(id, rank as usize, event["retracted"] == Json::Bool(true))
            }
            (Some(id), None, None) => Line::event(id, number("y").ok_or_else(torn)?),
            (None, None, _) => return Err(torn()),
        };
        Ok(Line { text, key, bytes: bytes.len() + 1 })
    }
}

fn torn(bytes: &[u8]) -> String {
    format!("no event: {}", String::from_utf8_lossy(bytes))
}

fn event(bytes: &[u8]) -> Result<Json, String> {
    serde_json::from_slice(bytes).map_err(|_| torn(bytes))
}

/// Everything that has arrived in a sink.
pub struct Ledger {
    pub lines: Vec<Line>,
}

impl Ledger {
    /// # Errors
    /// Something is no event.
    pub fn read(target: &Target, whole: Option<Whole>, coverage: &Coverage) -> Result<Ledger, String> {
        let bytes = target.ledger()?;
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        if lines.pop().is_some_and(|rest| !rest.is_empty()) {
            return Err("the last line is not whole".to_owned());
        }
        let lines = match whole {
            None => lines.into_iter().map(Line::parse).collect::<Result<_, _>>()?,
            Some(whole) => {
                let events = lines.into_iter().map(event).collect::<Result<_, _>>()?;
                super::whole::lines(events, whole, coverage)?
            }
        };
        Ok(Ledger { lines })
    }
}
