//! What went wrong in a script, and where.

use std::fmt;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The text is no Lua.
    Syntax,
    /// The script raised an error.
    Error,
    /// Calls were nested too deeply.
    Depth,
    /// The budget of instructions is used up.
    Instructions,
    /// The budget of memory is used up.
    Memory,
    /// The budget of time is used up.
    Time,
}

impl FaultKind {
    /// Whether a budget was exceeded: the machine is of no use any more.
    pub fn is_breach(self) -> bool {
        matches!(self, FaultKind::Instructions | FaultKind::Memory | FaultKind::Time)
    }

    /// A word for counters.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Syntax => "syntax",
            FaultKind::Error => "error",
            FaultKind::Depth => "depth",
            FaultKind::Instructions => "instructions",
            FaultKind::Memory => "memory",
            FaultKind::Time => "time",
        }
    }
}

/// What went wrong in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LuaFault {
    /// What kind of thing went wrong.
    pub kind: FaultKind,
    /// What, without the place.
    pub message: String,
    /// The script as it is called in errors, or the module in which it happened.
    pub script: String,
    /// The line, counted from 1, if it is known.
    pub line: Option<u32>,
    /// The calls that led there, innermost first, a line each; may be empty.
    pub traceback: String,
}

impl std::error::Error for LuaFault {}

impl fmt::Display for LuaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.script, self.message),
            None => write!(f, "{}: {}", self.script, self.message),
        }
    }
}

/// Error messages beyond this many bytes are cut: a script chooses them freely.
const MAX_MESSAGE: usize = 1 << 10;
/// The same for tracebacks.
const MAX_TRACEBACK: usize = 4 << 10;
/// What stands between an error message and the traceback behind it.
const TRACEBACK: &str = "\nstack traceback:\n";

impl LuaFault {
    /// A fault without a place.
    pub fn new(kind: FaultKind, script: &str, message: impl Into<String>) -> LuaFault {
        let message = cut(&message.into(), MAX_MESSAGE);
        LuaFault { kind, message, script: script.to_owned(), line: None, traceback: String::new() }
    }

    /// What an error of the interpreter says.
    pub(super) fn of(script: &str, error: &mlua::Error) -> LuaFault {
        let mut traces = String::new();
        let (kind, text) = innermost(error, &mut traces);
        let (message, trace) = text.split_once(TRACEBACK).unwrap_or((&text, ""));
        let traceback = [trace, traces.trim_start_matches("stack traceback:\n")];
        let traceback = traceback.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let traceback = traceback.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let place = place(message, script).or_else(|| first_place(&traceback, script));
        let (script, line, message) = match place {
            Some((name, line, rest)) => (name, Some(line), rest.unwrap_or(message)),
            None => (script.to_owned(), None, message),
        };
        let kind = if message.contains("stack overflow") { FaultKind::Depth } else { kind };
        let message = cut(message, MAX_MESSAGE);
        LuaFault { kind, message, script, line, traceback: cut(&traceback, MAX_TRACEBACK) }
    }
}

/// The error at the bottom of errors that wrap one another; tracebacks on the way are gathered.
fn innermost(error: &mlua::Error, traces: &mut String) -> (FaultKind, String) {
    match error {
        mlua::Error::CallbackError { traceback, cause } => {
            if traces.is_empty() {
                traces.push_str(traceback);
            }
            innermost(cause, traces)
        }
        mlua::Error::WithContext { context, cause } => {
            let (kind, text) = innermost(cause, traces);
            (kind, format!("{context}: {text}"))
        }
        mlua::Error::BadArgument { cause, .. } => innermost(cause, traces),
        mlua::Error::SyntaxError { message, .. } => (FaultKind::Syntax, message.clone()),
        mlua::Error::RuntimeError(message) => (FaultKind::Error, message.clone()),
        mlua::Error::MemoryError(message) => (FaultKind::Memory, message.clone()),
        other => (FaultKind::Error, other.to_string()),
    }
}

/// `name:12: message` taken apart.
fn place<'m>(message: &'m str, script: &str) -> Option<(String, u32, Option<&'m str>)> {
    let (name, behind) = match message.strip_prefix(script).and_then(|rest| rest.strip_prefix(':')) {
        Some(behind) => (script, behind),
        None => message.split_once(':')?,
    };
    let (line, rest) = behind.split_once(':')?;
    let line = line.parse().ok()?;
    Some((name.to_owned(), line, Some(rest.trim_start())))
}

/// The innermost place of a traceback that has a line.
fn first_place(traceback: &str, script: &str) -> Option<(String, u32, Option<&'static str>)> {
    traceback.lines().find_map(|line| place(line, script)).map(|(name, line, _)| (name, line, None))
}

/// The text, or its beginning.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_taken_apart() {
        let text =
            "a.lua:3: attempt to index a nil value\nstack traceback:\n\ta.lua:3: in function 'process'";
        let fault = LuaFault::of("a.lua", &mlua::Error::RuntimeError(text.into()));
        assert_eq!(fault.to_string(), "a.lua:3: attempt to index a nil value");
        assert_eq!(fault.traceback, "a.lua:3: in function 'process'");
        assert_eq!(fault.kind, FaultKind::Error);
    }

    #[test]
    fn a_message_without_place_gets_the_one_of_the_traceback() {
        let text =
            "no\nstack traceback:\n\t[C]: in ?\n\tunits.lua:7: in function 'to'\n\ta.lua:3: in main chunk";
        let fault = LuaFault::of("a.lua", &mlua::Error::RuntimeError(text.into()));
        assert_eq!(fault.to_string(), "units.lua:7: no");
    }

    #[test]
    fn long_messages_are_cut() {
        let fault = LuaFault::new(FaultKind::Error, "a", "ä".repeat(2_000));
        assert!(fault.message.len() <= MAX_MESSAGE + '…'.len_utf8());
    }
}
