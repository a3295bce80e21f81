//! `completions`: what a shell needs to complete the command line: verbs, flags, names of components and functions.

use super::args::{Cli, CompletionsArgs, Shell};
use super::reference::catalog;
use super::terminal::Terminal;
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

/// Prints the script for a shell.
pub fn completions(args: &CompletionsArgs, terminal: &Terminal) {
    let mut command = with_names(offered());
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => generate(Bash, &mut command, "headwater", &mut script),
        Shell::Zsh => generate(Zsh, &mut command, "headwater", &mut script),
        Shell::Fish => generate(Fish, &mut command, "headwater", &mut script),
    }
    terminal.print(&String::from_utf8_lossy(&script));
    if args.shell == Shell::Fish {
        terminal.print(&positions(&command));
    }
}

/// The command line without what is hidden, which the script for bash would offer.
fn offered() -> Command {
    let command = Cli::command();
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    Command::new("headwater")
        .version(env!("CARGO_PKG_VERSION"))
        .args(arguments.cloned())
        .subcommands(command.get_subcommands().cloned())
}

/// The command line in which names are known: only here, since a name that is unknown is better refused by the verb.
fn with_names(command: Command) -> Command {
    let components = sorted(catalog::components().iter().map(|spec| spec.name));
    let groups = catalog::function_groups();
    let functions =
        sorted(groups.iter().flat_map(|group| group.functions.iter().map(|function| function.name)));
    let known = |verb: Command, argument: &'static str, names: &[&'static str]| {
        let names = PossibleValuesParser::new(names.to_vec());
        verb.mut_arg(argument, |argument| argument.value_parser(names))
    };
    command
        .mut_subcommand("components", |verb| known(verb, "name", &components))
        .mut_subcommand("new", |verb| known(verb, "from", &components))
        .mut_subcommand("functions", |verb| known(verb, "name", &functions))
}

fn sorted(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What the script for fish lacks: the words that may stand at a position of a verb.
fn positions(command: &Command) -> String {
    let mut text = String::new();
    for verb in command.get_subcommands() {
        for position in verb.get_positionals() {
            let words: Vec<String> =
                position.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
            if !words.is_empty() {
                let verb = verb.get_name();
                let words = words.join(" ");
                text.push_str(&format!(
                    "complete -c headwater -n \"__fish_headwater_using_subcommand {verb}\" -f -a \"{words}\"\n"
                ));
            }
        }
    }
    text
}
