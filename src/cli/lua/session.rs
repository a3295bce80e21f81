//! A session: lines of Lua from a terminal, each answered at once.

use crate::cli::args::LuaArgs;
use crate::cli::exit::Exit;
use crate::cli::terminal::Terminal;
use crate::dataflow::plugin::helpers;
use crate::lua::{Budget, LuaFault, Machine, Script, Setup};
use mlua::chunk::ChunkMode;
use mlua::{Lua, MultiValue};
use std::io::{BufRead, Write};

const WELCOME: &str = "Lua 5.4 as plugins have it. An expression shows its value; end with ctrl-d.\n";

/// Reads, runs and prints until the input ends.
///
/// # Errors
/// Standard input cannot be read.
pub fn hold(args: &LuaArgs, terminal: &Terminal) -> Result<(), Exit> {
    if args.memory.is_some() || args.time.is_some() || args.instructions.is_some() || !args.arg.is_empty() {
        return Err(Exit::usage("options of `lua` are those of a script: name one"));
    }
    terminal.say(WELCOME);
    let mut lines = std::io::stdin().lock().lines();
    let mut session = Session::new();
    prompt(terminal, "> ");
    while let Some(line) = lines.next().transpose().map_err(|error| Exit::failed(error.to_string()))? {
        let answer = session.answer(&line);
        match answer {
            Answer::More => prompt(terminal, ">> "),
            Answer::Values(text) => {
                terminal.print(&text);
                prompt(terminal, "> ");
            }
            Answer::Fault(text) => {
                terminal.say(&text);
                prompt(terminal, "> ");
            }
        }
    }
    terminal.say("\n");
    Ok(())
}

fn prompt(terminal: &Terminal, text: &str) {
    terminal.say(text);
    // A reader that went away is no fault of ours.
    let _ = std::io::stderr().flush();
}

/// What came of a line.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It goes on in the next line.
    More,
    /// Its values, a line, or nothing.
    Values(String),
    /// What is wrong.
    Fault(String),
}

/// A machine, and lines that are not complete yet.
struct Session {
    machine: Option<Machine>,
    pending: String,
}

impl Session {
    fn new() -> Session {
        Session { machine: None, pending: String::new() }
    }

    fn answer(&mut self, line: &str) -> Answer {
        self.pending.push_str(line);
        self.pending.push('\n');
        let machine = match self.machine.take().map_or_else(start, Ok) {
            Ok(machine) => machine,
            Err(fault) => return Answer::Fault(format!("{fault}\n")),
        };
        let text = self.pending.clone();
        let result = machine.call(|lua| run(lua, &text));
        let answer = match result {
            Ok(None) => Answer::More,
            Ok(Some(values)) => Answer::Values(values),
            Err(fault) if fault.kind.is_breach() => {
                Answer::Fault(format!("{fault}; the session begins anew\n"))
            }
            Err(fault) => Answer::Fault(format!("{fault}\n")),
        };
        if answer != Answer::More {
            self.pending.clear();
        }
        self.machine = Some(machine).filter(|machine| machine.breach().is_none());
        answer
    }
}

fn start() -> Result<Machine, LuaFault> {
    let beside = std::env::current_dir().ok().map(|folder| folder.join("session"));
    let script = Script::inline("session", "", beside.as_deref());
    Machine::load(&script, Budget::default(), &Setup { helpers: &helpers(), install: None })
}

/// Runs lines: an expression gives its values, statements nothing; None if they are not complete.
fn run(lua: &Lua, text: &str) -> mlua::Result<Option<String>> {
    let chunk = |text: String| lua.load(text).set_name("=session").set_mode(ChunkMode::Text).into_function();
    let function = match chunk(format!("return {text}")) {
        Ok(function) => function,
        Err(_) => match chunk(text.to_owned()) {
            Ok(function) => function,
            Err(mlua::Error::SyntaxError { incomplete_input: true, .. }) => return Ok(None),
            Err(error) => return Err(error),
        },
    };
    let values: MultiValue = function.call(())?;
    let shown: Vec<String> = values.iter().map(mlua::Value::to_string).collect::<mlua::Result<_>>()?;
    let line = shown.join("  ");
    Ok(Some(if line.is_empty() { line } else { line + "\n" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_answered() {
        let mut session = Session::new();
        let values = |text: &str| Answer::Values(text.to_owned());
        assert_eq!(session.answer("1 + 1, 'x'"), values("2  x\n"));
        assert_eq!(session.answer("n = 20"), values(""));
        assert_eq!(session.answer("for i = 1, 2 do"), Answer::More);
        assert_eq!(session.answer("n = n + i end"), values(""));
        assert_eq!(session.answer("text.upper('a') .. n"), values("A23\n"));
        assert!(matches!(session.answer("n.x.y"), Answer::Fault(text) if text.contains("session:1:")));
        assert!(matches!(session.answer("x = = 1"), Answer::Fault(_)));
        assert!(matches!(session.answer("while true do end"), Answer::Fault(text) if text.contains("anew")));
        assert_eq!(session.answer("n"), values("nil\n"));
    }
}
