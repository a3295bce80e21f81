//! `log.debug`, `info`, `warn`, `error` and `print`: lines in the log of the process.

use crate::lua::{Mask, Script};
use crate::time::{Clock, SystemClock};
use mlua::{Lua, MultiValue, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Lines that a machine may log in [`SPAN`]; further ones are counted.
const MOST: u64 = 20;
/// In milliseconds.
const SPAN: i64 = 1_000;
/// Bytes of a line.
const LONGEST: usize = 1_000;

/// A level and how it logs.
type Level = (&'static str, fn(&str, &str));

const LEVELS: [Level; 4] = [
    ("debug", |script, text| tracing::debug!("{script}: {text}")),
    ("info", |script, text| tracing::info!("{script}: {text}")),
    ("warn", |script, text| tracing::warn!("{script}: {text}")),
    ("error", |script, text| tracing::error!("{script}: {text}")),
];

/// Holds back a script that logs too much.
struct Throttle {
    clock: SystemClock,
    /// When the span under way began.
    since: AtomicI64,
    /// Lines in it.
    lines: AtomicU64,
}

/// Adds the functions.
pub(super) fn install(lua: &Lua, globals: &Table, script: &Script) -> mlua::Result<()> {
    let throttle =
        Arc::new(Throttle { clock: SystemClock::new(), since: AtomicI64::new(0), lines: AtomicU64::new(0) });
    let log = lua.create_table()?;
    for (name, tell) in LEVELS {
        let (throttle, script, mask) = (throttle.clone(), script.name.clone(), script.mask.clone());
        let function = lua.create_function(move |lua, args: MultiValue| {
            super::charge(lua, args.iter().map(super::length).sum())?;
            if let Some(left_out) = throttle.admits() {
                if left_out > 0 {
                    tracing::warn!("{script}: {left_out} further lines were left out");
                }
                tell(&script, &line(args, &mask)?);
            }
            Ok(())
        })?;
        log.raw_set(name, &function)?;
        if name == "info" {
            globals.raw_set("print", function)?;
        }
    }
    globals.raw_set("log", log)
}

impl Throttle {
    /// Whether one more line may be logged; then, how many were left out since the last one.
    fn admits(&self) -> Option<u64> {
        let now = self.clock.elapsed().0;
        let lines = self.lines.fetch_add(1, Relaxed);
        if now - self.since.load(Relaxed) < SPAN {
            return (lines < MOST).then_some(0);
        }
        self.since.store(now, Relaxed);
        self.lines.store(1, Relaxed);
        Some(lines.saturating_sub(MOST))
    }
}

/// The values as one line, as it may be shown.
fn line(args: MultiValue, mask: &Mask) -> mlua::Result<String> {
    let mut line = String::new();
    for (index, arg) in args.into_iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&arg.to_string()?);
        if line.len() > LONGEST {
            break;
        }
    }
    // Before it is cut: half a secret would be shown.
    let mut line = mask.shown(line);
    if line.len() > LONGEST {
        line.truncate(line.floor_char_boundary(LONGEST));
        line.push('…');
    }
    // A line stays one line, whatever a script is given to log.
    Ok(line.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_logs_too_much_is_held_back() {
        let throttle =
            Throttle { clock: SystemClock::new(), since: AtomicI64::new(0), lines: AtomicU64::new(0) };
        throttle.since.store(throttle.clock.elapsed().0 + 1_000_000, Relaxed);
        let admitted = (0..50).filter(|_| throttle.admits().is_some()).count();
        assert_eq!(admitted as u64, MOST);
        throttle.since.store(-2 * SPAN, Relaxed);
        assert_eq!(throttle.admits(), Some(50 - MOST));
    }

    #[test]
    fn a_secret_is_not_shown_in_part_either() {
        let mask = Mask::new(|text| text.replace("hush", "***"));
        let lua = Lua::new();
        let args: MultiValue = lua.load("return ('x'):rep(998) .. 'hush', 'hush'").eval().unwrap();
        let line = line(args, &mask).unwrap();
        assert!(line.ends_with("xx**…"), "{line}");
    }

    #[test]
    fn a_line_stays_one_line() {
        let lua = Lua::new();
        let args: MultiValue = lua.load("return 'a\\nb', 1, true, nil, ('x'):rep(2000)").eval().unwrap();
        let line = line(args, &Mask::default()).unwrap();
        assert!(line.starts_with("a b 1 true nil xxx") && line.len() < 1_100, "{line}");
    }
}
