//! `man`: the manual page, with all verbs on it.

use super::args::Cli;
use super::exit::{Exit, STATUSES};
use super::reference::verbs;
use super::terminal::Terminal;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io::{self, Write};

/// Prints the page as roff.
///
/// # Errors
/// If it cannot be put together.
pub fn man(terminal: &Terminal) -> Result<(), Exit> {
    let page = page().map_err(|error| Exit::failed(format!("the manual cannot be written: {error}")))?;
    terminal.print(&String::from_utf8_lossy(&page));
    Ok(())
}

fn page() -> io::Result<Vec<u8>> {
    let command = Cli::command();
    let mut page = Vec::new();
    let whole = Man::new(command.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    section("VERBS").to_writer(&mut page)?;
    for (name, verb) in verbs::verbs(&command) {
        self::verb(&name, verb, &mut page)?;
    }
    // Flags of all verbs are those of the command that has none.
    let shared = Cli::command().about(None::<&str>).disable_help_subcommand(true);
    Man::new(shared).render_options_section(&mut page)?;
    let mut status = section("EXIT STATUS");
    for (number, meaning) in STATUSES {
        status.control("TP", []).text([bold(number.to_string())]).text([roman(meaning)]);
    }
    status.to_writer(&mut page)?;
    Ok(page)
}

fn section(title: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    roff
}

/// A verb under a heading of its own: how it is called, what it does, what it takes.
fn verb(name: &str, verb: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("headwater {name}");
    let mut heading = Roff::new();
    heading.control("SS", [name.as_str()]);
    heading.to_writer(page)?;
    // By itself it has no flags that all verbs have. What it renders stands under headings meant for a page of its own.
    let man = Man::new(verb.clone().bin_name(name).disable_help_flag(true));
    let mut rendered = Vec::new();
    man.render_synopsis_section(&mut rendered)?;
    writeln!(rendered, ".PP")?;
    man.render_description_section(&mut rendered)?;
    man.render_options_section(&mut rendered)?;
    for line in String::from_utf8_lossy(&rendered).lines() {
        let is_frame = [".SH", ".ie", ".el"].iter().any(|start| line.starts_with(start));
        if !is_frame {
            writeln!(page, "{line}")?;
        }
    }
    Ok(())
}
