//! `dlq`: events that were rejected and that nobody reads. Only reads, so it may run beside the pipeline.

use super::args::{DlqAction, DlqArgs};
use super::exit::Exit;
use super::terminal::Terminal;
use crate::event::json::{write_base64, write_string};
use crate::state::disk::RealDisk;
use crate::state::{Content, DeadLetter, dead_letters_folder, read_dead_letters};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Characters of an event that a line for people shows.
const SHOWN: usize = 200;

/// Lists dead letters, or writes what was rejected to standard output.
///
/// # Errors
/// There is no data directory, or none of the pipeline, or it cannot be read.
pub fn dlq(args: &DlqArgs, data_dir: Option<&Path>, terminal: &Terminal) -> Result<(), Exit> {
    let Some(data_dir) = data_dir else {
        return Err(Exit::usage(
            "`dlq` needs the data directory of the pipeline: `--data-dir DIR`, or `data_dir` in headwater.yaml",
        ));
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut left_out = 0;
    for pipeline in pipelines(data_dir, args.pipeline.as_deref())? {
        match print(&pipeline, args, data_dir, terminal.json, (&mut out, &mut left_out)) {
            // A reader that went away is no fault of ours.
            Ok(Some(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Ok(Some(error)) => return Err(Exit::failed(format!("cannot write: {error}"))),
            Ok(None) => {}
            Err(message) => return Err(Exit::failed(message)),
        }
    }
    if left_out > 0 {
        let what = "is left out: of each only a part is known; `dlq list` says why they were rejected";
        terminal.say(&format!("{}: {left_out} of what was rejected {what}\n", terminal.bold("warning")));
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Exit::failed(format!("cannot write: {error}")))
        }
        _ => Ok(()),
    }
}

/// The last dead letters of a pipeline, as programs read them, and how many are kept.
///
/// # Errors
/// They cannot be read.
pub fn last(data_dir: &Path, pipeline: &str, most: usize) -> Result<Value, String> {
    let (mut last, mut count) = (VecDeque::new(), 0u64);
    let folder = dead_letters_folder(data_dir, pipeline);
    if folder.is_dir() {
        let disk = RealDisk::new(&folder).map_err(|error| error.to_string())?;
        let read = read_dead_letters(&disk, &mut |number, letter| {
            count += 1;
            last.push_back(as_json(pipeline, number, letter));
            last.drain(..last.len().saturating_sub(most));
            true
        });
        read.map_err(|error| error.to_string())?;
    }
    let letter = |line: Vec<u8>| serde_json::from_slice::<Value>(&line).unwrap_or_default();
    Ok(json!({ "kept": count, "dead_letters": last.into_iter().map(letter).collect::<Value>() }))
}

/// The pipelines that have dead letters, or the one that was asked for.
fn pipelines(data_dir: &Path, wanted: Option<&str>) -> Result<Vec<String>, Exit> {
    let mut names = Vec::new();
    let folders = match fs::read_dir(dead_letters_folder(data_dir, "")) {
        Err(error) if error.kind() == ErrorKind::NotFound && data_dir.is_dir() => return Ok(names),
        Err(error) => return Err(Exit::failed(format!("`{}`: {error}", data_dir.display()))),
        Ok(folders) => folders,
    };
    for entry in folders.flatten() {
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    names.retain(|name| wanted.is_none_or(|wanted| wanted == name));
    match wanted {
        Some(wanted) if names.is_empty() => {
            Err(Exit::failed(format!("nothing is kept of a pipeline `{wanted}` in `{}`", data_dir.display())))
        }
        _ => Ok(names),
    }
}

/// Prints the letters of a pipeline, and counts those that cannot be; gives the error where nothing can be printed, and
/// fails where they cannot be read.
fn print(
    pipeline: &str,
    args: &DlqArgs,
    data_dir: &Path,
    json: bool,
    (out, left_out): (&mut dyn Write, &mut usize),
) -> Result<Option<io::Error>, String> {
    let disk = RealDisk::new(&dead_letters_folder(data_dir, pipeline)).map_err(|error| error.to_string())?;
    let mut failed = None;
    read_dead_letters(&disk, &mut |number, letter| {
        if args.node.as_ref().is_some_and(|node| node != letter.node) {
            return true;
        }
        let line = match args.action {
            DlqAction::Replay => whole(letter),
            DlqAction::List if json => as_json(pipeline, number, letter),
            DlqAction::List => as_text(pipeline, number, letter).into_bytes(),
        };
        *left_out += usize::from(line.is_empty());
        failed = out.write_all(&line).err();
        failed.is_none()
    })
    .map_err(|error| error.to_string())?;
    Ok(failed)
}

/// What was rejected, as a line. What was cut off would be another event: it is left out.
fn whole(letter: &DeadLetter) -> Vec<u8> {
    let mut line = letter.content.bytes().to_vec();
    if letter.is_cut() || line.is_empty() {
        return Vec::new();
    }
    if line.last() != Some(&b'\n') {
        line.push(b'\n');
    }
    line
}

/// A line as the `.rejected` port of a node gives it, with the pipeline and the number.
fn as_json(pipeline: &str, number: u64, letter: &DeadLetter) -> Vec<u8> {
    let mut line = format!("{{\"pipeline\":\"{pipeline}\",\"number\":{number}").into_bytes();
    for (name, text) in [("reason", letter.reason), ("kind", letter.kind), ("node", letter.node)] {
        line.extend_from_slice(format!(",\"{name}\":").as_bytes());
        write_string(text.as_bytes(), &mut line);
    }
    line.extend_from_slice(format!(",\"at\":{}", letter.at.0).as_bytes());
    match letter.content {
        Content::Unknown => {}
        Content::Event(event) if !letter.is_cut() => {
            line.extend_from_slice(b",\"event\":");
            line.extend_from_slice(event);
        }
        Content::Event(raw) | Content::Raw(raw) => {
            line.extend_from_slice(b",\"raw\":");
            match str::from_utf8(raw) {
                Ok(_) => write_string(raw, &mut line),
                Err(_) => write_base64(raw, &mut line),
            }
        }
    }
    if letter.is_cut() {
        line.extend_from_slice(format!(",\"length\":{}", letter.length).as_bytes());
    }
    line.extend_from_slice(b"}\n");
    line
}

/// A line for people.
fn as_text(pipeline: &str, number: u64, letter: &DeadLetter) -> String {
    let content = String::from_utf8_lossy(letter.content.bytes());
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = content.chars().take(SHOWN).map(printable).collect();
    if shown.len() < content.trim_end().len() {
        shown.push('…');
    }
    let (node, reason) = (letter.node, letter.reason.chars().map(printable).collect::<String>());
    let shown = if shown.is_empty() { shown } else { format!(": {}", shown.trim_end()) };
    let at = jiff::Timestamp::from_millisecond(letter.at.0).unwrap_or_default();
    format!("{at} {pipeline}.{node} #{number} {reason}{shown}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn letter(content: Content<'static>) -> DeadLetter<'static> {
        DeadLetter::new(Timestamp(1_000), "in", "decode", "no \"value\"", content)
    }

    #[test]
    fn a_letter_is_a_line() {
        let raw = letter(Content::Raw(b"{a\tb"));
        assert_eq!(as_text("p", 7, &raw), "1970-01-01T00:00:01Z p.in #7 no \"value\": {a b\n");
        let expected = r#"{"pipeline":"p","number":7,"reason":"no \"value\"","kind":"decode","node":"in","at":1000,"raw":"{a\tb"}"#;
        assert_eq!(String::from_utf8(as_json("p", 7, &raw)).unwrap().trim_end(), expected);
        let event = as_json("p", 7, &letter(Content::Event(b"{\"a\":1}")));
        assert!(String::from_utf8(event).unwrap().ends_with(",\"event\":{\"a\":1}}\n"));
        assert_eq!(whole(&raw), b"{a\tb\n");
        assert_eq!(whole(&letter(Content::Unknown)), b"");
        let cut = DeadLetter { length: 99, ..raw };
        assert_eq!(whole(&cut), b"");
        assert!(String::from_utf8(as_json("p", 7, &cut)).unwrap().ends_with(",\"length\":99}\n"));
    }
}
