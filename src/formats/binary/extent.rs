//! Where a value ends.

use super::item::{Fault, Item, Notation};
use crate::event::json::MAX_DEPTH;

/// A list, map or text that was opened.
enum Open {
    /// So many values are left.
    Counted(u64),
    /// A list, up to a break.
    List,
    /// A map, up to a break; whether a key is waiting for its value.
    Map(bool),
    /// A text (or bytes, if false) in pieces, up to a break.
    Pieces(bool),
}

/// The place behind the value at `at`: a whole one, with all that is in it.
///
/// # Errors
/// Why there is none.
pub(super) fn extent<N: Notation>(arena: &[u8], mut at: usize) -> Result<usize, Fault> {
    let first = N::item(arena, at)?;
    if !opens(first.0) {
        return match first {
            (Item::Break, _) => Err(Fault::Broken("a break where there is nothing to end")),
            (_, end) => Ok(end),
        };
    }
    let mut open: Vec<Open> = Vec::new();
    loop {
        let (item, behind) = N::item(arena, at)?;
        at = behind;
        if !step(&mut open, item)? {
            continue;
        }
        // A value is complete, and with it perhaps what it stands in.
        loop {
            match open.last_mut() {
                None => return Ok(at),
                Some(Open::Counted(left)) => {
                    *left -= 1;
                    if *left > 0 {
                        break;
                    }
                    open.pop();
                }
                Some(Open::Map(waiting)) => {
                    *waiting = !*waiting;
                    break;
                }
                Some(Open::List | Open::Pieces(_)) => break,
            }
        }
    }
}

fn opens(item: Item) -> bool {
    matches!(item, Item::List(_) | Item::Map(_) | Item::Pieces(_) | Item::Break)
}

/// Takes an item; returns whether it completes a value.
fn step(open: &mut Vec<Open>, item: Item) -> Result<bool, Fault> {
    if let Some(Open::Pieces(text)) = open.last() {
        return match (item, text) {
            (Item::Text(_), true) | (Item::Bytes(_), false) => Ok(false),
            (Item::Break, _) => {
                open.pop();
                Ok(true)
            }
            _ => Err(Fault::Broken("a piece of text or bytes that is something else")),
        };
    }
    let opened = match item {
        Item::List(Some(0)) | Item::Map(Some(0)) => return Ok(true),
        Item::List(Some(values)) => Open::Counted(values),
        Item::Map(Some(keys)) => Open::Counted(keys.saturating_mul(2)),
        Item::List(None) => Open::List,
        Item::Map(None) => Open::Map(false),
        Item::Pieces(text) => Open::Pieces(text),
        Item::Break => {
            return match open.pop() {
                Some(Open::List | Open::Map(false)) => Ok(true),
                _ => Err(Fault::Broken("a break where there is nothing to end")),
            };
        }
        _ => return Ok(true),
    };
    if open.len() >= MAX_DEPTH {
        return Err(Fault::Broken("lists and maps nested too deep"));
    }
    open.push(opened);
    Ok(false)
}
