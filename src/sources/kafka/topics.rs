//! Which partitions are read, and where they begin.

use crate::config::{Section, Setting, read};
use crate::dataflow::{Offset, OptionKind, OptionSpec, Position, open_options};
use crate::event::bytes::{Malformed, Reader, put_signed};
use crate::time::Timestamp;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The options of `start` in its long form.
pub const START_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional("timestamp", OptionKind::Time, "The first message of this time or later."),
    OptionSpec::optional(
        "offsets",
        OptionKind::Map(&OptionKind::Integer),
        "The offset of each partition, under its number or as `TOPIC/NUMBER`; the others begin at their first message.",
    ),
];

/// The form of a position.
const VERSION: u8 = 1;
/// The longest name of a topic, in bytes.
const LONGEST_NAME: usize = 249;
/// The highest number that a partition may have.
const HIGHEST_PARTITION: i64 = 1_000_000;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The topic.
    pub topic: Arc<str>,
    /// The number of the partition.
    pub partition: i32,
}

impl Place {
    /// What it is called among positions.
    pub fn name(&self) -> Vec<u8> {
        format!("{}/{}", self.topic, self.partition).into_bytes()
    }

    /// The place of that name.
    pub fn named(name: &[u8]) -> Option<Place> {
        let (topic, partition) = str::from_utf8(name).ok()?.rsplit_once('/')?;
        Some(Place { topic: topic.into(), partition: partition.parse().ok()? })
    }

    /// Who of so many workers reads it: neighbours go to different ones.
    pub fn worker(&self, workers: usize) -> usize {
        let first = xxh3_64(self.topic.as_bytes()) % workers as u64;
        (first as usize + self.partition.max(0) as usize) % workers
    }

    /// Its position: the offset of the next message.
    pub fn position(&self, next: i64) -> Position {
        let mut bytes = vec![VERSION];
        put_signed(&mut bytes, next);
        Position { partition: self.name(), at: Offset::Replay(bytes) }
    }
}

/// The offset of the next message, from a position.
pub fn next_of(position: &Position) -> Result<i64, Malformed> {
    let Offset::Replay(bytes) = &position.at else { return Err(Malformed("not an offset")) };
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(Malformed("an offset of another version"));
    }
    let next = reader.signed()?;
    reader.finish()?;
    Ok(next)
}

/// Which topics are read.
#[derive(Clone, Debug)]
pub enum Topics {
    /// These.
    Named(Vec<String>),
    /// All that match, as it was written.
    Matching(String, Regex),
}

/// Where a partition begins of which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its first message.
    Earliest,
    /// Behind its last message.
    Latest,
    /// Where the group is.
    Committed,
    /// At the first message of that time or later.
    At(Timestamp),
    /// At these offsets; under no topic those of all.
    Offsets(BTreeMap<(Option<String>, i32), i64>),
}

/// What is read.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Which topics.
    pub topics: Topics,
    /// Which of their partitions, if not all.
    pub partitions: Option<Vec<i32>>,
    /// Where they begin.
    pub start: Start,
}

impl Choice {
    /// Reads the options.
    pub fn read(section: &Section<'_>) -> Option<Choice> {
        let named = section.optional("topics", read::one_or_list(topic)).map(Topics::Named);
        let pattern = section.optional("pattern", pattern);
        let partitions = section.optional("partitions", read::list(read::integer(0..=HIGHEST_PARTITION)));
        let start = section.optional("start", start);
        match (section.get("topics"), section.get("pattern")) {
            (None, None) if !section.is_broken() => {
                section.error("source `kafka` needs `topics`").hint("or a `pattern` of names");
            }
            (Some(_), Some(setting)) => {
                setting.faults.error(setting.key, "`topics` and `pattern` do not go together");
            }
            _ => {}
        }
        let partitions = partitions.map(|all| all.into_iter().map(|number| number as i32).collect());
        let start = start.unwrap_or(Start::Earliest);
        Some(Choice { topics: named.or(pattern)?, partitions, start })
    }

    /// Whether that partition is wanted, of a topic that is.
    pub fn wants(&self, partition: i32) -> bool {
        self.partitions.as_ref().is_none_or(|wanted| wanted.contains(&partition))
    }

    /// What is read, in words.
    pub fn describe(&self) -> String {
        let topics = match &self.topics {
            Topics::Named(names) => names.join(", "),
            Topics::Matching(written, _) => format!("/{written}/"),
        };
        match &self.partitions {
            None => topics,
            Some(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
                format!("{topics} (partitions {})", numbers.join(", "))
            }
        }
    }
}

impl Topics {
    /// Whether a topic of that name is wanted.
    pub fn want(&self, name: &str) -> bool {
        match self {
            Topics::Named(names) => names.iter().any(|wanted| wanted == name),
            Topics::Matching(_, regex) => !name.starts_with("__") && regex.is_match(name),
        }
    }
}

fn topic(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.len() > LONGEST_NAME || !text.chars().all(is_known) || text == "." || text == ".." {
        let reported = setting.wrong("the name of a topic (letters, digits, `.`, `_`, `-`; 249 at the most)");
        if text.contains(['*', '^', '+', '(']) {
            reported.hint("`pattern` takes a regular expression");
        }
        return None;
    }
    Some(text.to_owned())
}

fn pattern(setting: Setting<'_>) -> Option<Topics> {
    let text = read::text(setting)?;
    match Regex::new(&format!("^(?:{text})$")) {
        Ok(regex) => Some(Topics::Matching(text.to_owned(), regex)),
        Err(_) => {
            setting
                .wrong("a regular expression")
                .hint("`plant-.*` matches all names that start with `plant-`");
            None
        }
    }
}

fn start(setting: Setting<'_>) -> Option<Start> {
    if setting.node.entries().is_none() {
        let words = [("earliest", Word::Earliest), ("latest", Word::Latest), ("committed", Word::Committed)];
        return Some(match read::word(&words, &[])(setting)? {
            Word::Earliest => Start::Earliest,
            Word::Latest => Start::Latest,
            Word::Committed => Start::Committed,
        });
    }
    let section = open_options(setting, "`start`", START_OPTIONS, &[]);
    match section.exactly_one(&["timestamp", "offsets"], "start")? {
        one if one.name == "timestamp" => read::time(one).map(Start::At),
        one => offsets(one),
    }
}

#[derive(Clone, Copy)]
enum Word {
    Earliest,
    Latest,
    Committed,
}

fn offsets(setting: Setting<'_>) -> Option<Start> {
    let mut offsets = BTreeMap::new();
    for (key, offset) in read::map(read::integer(0..))(setting)? {
        let (topic, number) = match key.name.rsplit_once('/') {
            Some((topic, number)) => (Some(topic.to_owned()), number),
            None => (None, key.name),
        };
        let Some(number) = number.parse::<i32>().ok().filter(|number| *number >= 0) else {
            let reported = key.faults.error(key.key, format!("`{}` is no partition", key.name));
            reported.hint("write `0: 100`, or with the topic `events/0: 100`");
            return None;
        };
        offsets.insert((topic, number), offset);
    }
    Some(Start::Offsets(offsets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back() {
        let place = Place { topic: "plant.a".into(), partition: 12 };
        let position = place.position(1 << 40);
        assert_eq!(position.partition, b"plant.a/12");
        assert_eq!(position.at, Offset::Replay(b"\x01\x80\x80\x80\x80\x80\x40".to_vec()));
        assert_eq!(next_of(&position).ok(), Some(1 << 40));
        assert_eq!(Place::named(&position.partition), Some(place));
        assert_eq!(Place::named(b"x"), None);
        assert!(next_of(&Position::default()).is_err());
    }

    #[test]
    fn workers_share_the_partitions_of_a_topic() {
        let place = |partition| Place { topic: "t".into(), partition };
        let mut shares = [0; 3];
        (0..9).for_each(|partition| shares[place(partition).worker(3)] += 1);
        assert_eq!(shares, [3, 3, 3]);
    }
}
