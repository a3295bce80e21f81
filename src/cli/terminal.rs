//! What people and programs see: colours only on a terminal, progress only while somebody looks.

use super::args::{Color, OutputFormat, Shared};
use crate::config::Diagnostic;
use std::io::{IsTerminal, Write};

/// Columns where nobody can say how many there are.
const COLUMNS: usize = 80;

/// How to print.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Whether standard error is coloured.
    pub color: bool,
    /// Whether standard output is coloured.
    pub color_out: bool,
    /// Whether somebody looks at standard error.
    pub watched: bool,
    /// Whether programs read the output.
    pub json: bool,
    /// Warnings and summaries are left out.
    pub quiet: bool,
    /// More is said.
    pub verbose: bool,
}

impl Terminal {
    /// As the flags and the terminal say. `NO_COLOR` turns colours off unless a flag asks for them.
    pub fn new(shared: &Shared) -> Terminal {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = |terminal: bool| match shared.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !plain,
        };
        Terminal {
            color: color(std::io::stderr().is_terminal()),
            color_out: color(std::io::stdout().is_terminal()),
            watched: std::io::stderr().is_terminal() && !shared.quiet,
            json: shared.format == OutputFormat::Json,
            quiet: shared.quiet,
            verbose: shared.verbose,
        }
    }

    /// Prints a diagnostic to standard error.
    pub fn diagnostic(&self, diagnostic: &Diagnostic) {
        match self.json {
            true => self.say(&format!("{}\n", diagnostic.to_json())),
            false => self.say(&diagnostic.render(self.color)),
        }
    }

    /// Prints to standard error. A reader that went away is no fault of ours.
    pub fn say(&self, text: &str) {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Prints what the verb was asked for to standard output.
    pub fn print(&self, text: &str) {
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// The text in bold, where standard error is coloured.
    pub fn bold(&self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// How many columns there are for what goes to standard output.
    pub fn columns(&self) -> usize {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
    }

    /// The text in bold, where standard output is coloured.
    pub fn bold_out(&self, text: &str) -> String {
        if self.color_out { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The text dimmed, where standard error is coloured.
    pub fn dim(&self, text: &str) -> String {
        if self.color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}
