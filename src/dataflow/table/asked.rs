//! A table that is asked for one row at a time: what was answered, and what is still to be asked.

use super::reading::read_answer;
use crate::event::{Batch, Row, Slot, percent_encode};
use crate::expr::functions::write_scalar;
use crate::time::Millis;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What was answered: a batch of one row, with the columns of the table's layout behind the key; None where there is none.
///
/// # Errors
/// Why the answer cannot be used.
pub type Answer = Result<Option<Arc<Batch>>, Arc<str>>;

/// The most answers that are kept.
const MOST_KNOWN: usize = 10_000;
/// The most bytes of answers that are kept, beside those that nobody has taken yet.
const MOST_BYTES: usize = 64 << 20;

/// Where a row is asked for: a text with columns of the key in it.
#[derive(Clone, Debug)]
pub struct Address {
    /// A text, and behind it the number of a column; none behind the last.
    pieces: Vec<(String, Option<usize>)>,
}

impl Address {
    /// Reads `/devices/{device}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, key: &[String]) -> Result<Address, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or("a `{` has no `}`")?;
            let column = key.iter().position(|column| column == name);
            let column = column.ok_or_else(|| format!("`{{{name}}}` is no column of the key"))?;
            pieces.push((before.to_owned(), Some(column)));
            rest = behind;
        }
        pieces.push((rest.to_owned(), None));
        let stands = |number: usize| pieces.iter().any(|(_, column)| *column == Some(number));
        match (0..key.len()).find(|number| !stands(*number)) {
            Some(missing) => Err(format!("`{{{}}}` does not stand in it", key[missing])),
            None => Ok(Address { pieces }),
        }
    }

    /// Writes it for the key that stands in these slots of a row. False where one of them is null.
    ///
    /// # Errors
    /// A value that is no text.
    pub fn write(&self, batch: &Batch, row: Row, key: &[Slot], into: &mut String) -> Result<bool, String> {
        into.clear();
        for (text, column) in &self.pieces {
            into.push_str(text);
            let Some(column) = column else { continue };
            let (value, mut text) = (batch.get(row, key[*column]), String::new());
            if value.is_null() {
                return Ok(false);
            }
            write_scalar(batch, value, &mut text).map_err(|_| "the key is no text or number".to_owned())?;
            into.push_str(&percent_encode(&text, false));
        }
        Ok(true)
    }
}

/// A table that workers ask, and threads answer.
#[derive(Clone)]
pub struct AskedTable(Arc<Asked>);

struct Asked {
    calls: Mutex<Calls>,
    wake: Condvar,
    /// How long an answer holds.
    cache: Millis,
    columns: Vec<String>,
}

/// What is asked and answered.
#[derive(Default)]
pub struct Calls {
    known: BTreeMap<Box<str>, Known>,
    queue: VecDeque<Box<str>>,
    /// How many answers came.
    answers: u64,
    /// How many of them workers have seen and may be forgotten, and their bytes.
    seen: usize,
    bytes: usize,
}

enum Known {
    /// Somebody waits for it.
    Waiting,
    /// An answer, and when a worker first saw it. Until then somebody waits for it, and it stays.
    Answered(Option<Millis>, Answer),
}

/// How much memory an answer takes, apart from what every one takes.
fn bytes_of(answer: &Answer) -> usize {
    match answer {
        Ok(Some(row)) => row.arena.len(),
        Ok(None) => 0,
        Err(why) => why.len(),
    }
}

impl AskedTable {
    /// A table of which these columns are read, whose answers hold that long.
    pub fn new(columns: Vec<String>, cache: Millis) -> AskedTable {
        AskedTable(Arc::new(Asked { calls: Mutex::default(), wake: Condvar::new(), cache, columns }))
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For each address its answer, if it is known; what is not is asked for. `fresh` says whether answers must not be
    /// older than they hold: an event that waited takes what came for it.
    pub fn ask<'p>(
        &self,
        paths: impl Iterator<Item = Option<&'p str>>,
        fresh: bool,
        now: Millis,
        into: &mut Vec<Option<Answer>>,
    ) {
        let mut calls = self.lock();
        into.extend(paths.map(|path| match path {
            Some(path) => calls.ask(path, if fresh { self.0.cache } else { Millis(i64::MAX) }, now),
            None => Some(Ok(None)),
        }));
        if !calls.queue.is_empty() {
            self.0.wake.notify_all();
        }
    }

    /// How many answers came so far.
    pub fn answers(&self) -> u64 {
        self.lock().answers
    }

    /// What is to be asked next, after waiting for a moment where there is nothing.
    pub fn next(&self, wait: Duration) -> Option<Box<str>> {
        let calls = self.lock();
        let waited = self.0.wake.wait_timeout_while(calls, wait, |calls| calls.queue.is_empty());
        let (mut calls, _) = waited.unwrap_or_else(PoisonError::into_inner);
        calls.queue.pop_front()
    }

    /// It could not be asked, and is to be asked again.
    pub fn again(&self, path: Box<str>) {
        self.lock().queue.push_front(path);
    }

    /// What was answered: a JSON object, or that there is none.
    pub fn answer(&self, path: Box<str>, object: Result<Option<&[u8]>, String>) {
        let read = |object: &[u8]| read_answer(&self.0.columns, object).map(Arc::new);
        let answer = object.and_then(|object| object.map(read).transpose()).map_err(Arc::from);
        let mut calls = self.lock();
        calls.answers += 1;
        calls.known.insert(path, Known::Answered(None, answer));
    }
}

impl Calls {
    fn ask(&mut self, path: &str, cache: Millis, now: Millis) -> Option<Answer> {
        match self.known.get_mut(path) {
            Some(Known::Waiting) => return None,
            Some(Known::Answered(seen, answer)) => {
                if seen.is_none() {
                    (self.seen, self.bytes) = (self.seen + 1, self.bytes + bytes_of(answer));
                }
                let seen = *seen.get_or_insert(now);
                // What could not be used may be right by now.
                let holds = if answer.is_err() {
                    cache.0 == i64::MAX
                } else {
                    now.0.saturating_sub(seen.0) < cache.0
                };
                if holds {
                    return Some(answer.clone());
                }
                (self.seen, self.bytes) = (self.seen - 1, self.bytes - bytes_of(answer));
            }
            None => {}
        }
        if self.seen > 0 && (self.known.len() >= MOST_KNOWN || self.bytes > MOST_BYTES) {
            // Whoever yet waits for one of these asks again.
            self.known.retain(|_, known| !matches!(known, Known::Answered(Some(_), _)));
            (self.seen, self.bytes) = (0, 0);
        }
        self.known.insert(path.into(), Known::Waiting);
        self.queue.push_back(path.into());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &[u8] = br#"{"site":"A","notes":"nobody reads them"}"#;

    fn table(cache: i64) -> AskedTable {
        AskedTable::new(vec!["device".to_owned(), "site".to_owned()], Millis(cache))
    }

    fn ask(table: &AskedTable, path: &str, fresh: bool, now: i64) -> Option<Answer> {
        let mut answers = Vec::new();
        table.ask([Some(path)].into_iter(), fresh, Millis(now), &mut answers);
        answers.pop().expect("one for each")
    }

    /// What is asked next, answered.
    fn answer(table: &AskedTable, object: Result<Option<&[u8]>, String>) {
        let path = table.next(Duration::ZERO).expect("something to ask");
        table.answer(path, object);
    }

    fn is_asked(table: &AskedTable) -> bool {
        table.next(Duration::ZERO).is_some()
    }

    #[test]
    fn an_answer_holds_from_when_it_is_seen() {
        let table = table(100);
        assert!(ask(&table, "/d1", true, 0).is_none());
        assert!(ask(&table, "/d1", true, 0).is_none());
        answer(&table, Ok(Some(SITE)));
        assert!(!is_asked(&table), "once for all that wait");
        assert!(matches!(ask(&table, "/d1", true, 1_000), Some(Ok(Some(_)))));
        assert!(matches!(ask(&table, "/d1", true, 1_099), Some(Ok(Some(_)))));
        assert!(ask(&table, "/d1", true, 1_100).is_none());
        answer(&table, Ok(None));
        assert!(
            matches!(ask(&table, "/d1", true, 1_200), Some(Ok(None))),
            "that there is none holds as well"
        );
        assert!(matches!(ask(&table, "/d1", false, 9_000), Some(Ok(None))), "who waited takes what there is");
        assert!(ask(&table, "/d1", true, 1_300).is_none());
    }

    #[test]
    fn what_cannot_be_used_is_for_those_that_waited_alone() {
        let table = table(100);
        assert!(ask(&table, "/d1", true, 0).is_none());
        answer(&table, Ok(Some(b"[1]")));
        assert!(matches!(ask(&table, "/d1", false, 1), Some(Err(_))));
        assert!(ask(&table, "/d1", true, 1).is_none() && is_asked(&table));
    }

    #[test]
    fn of_an_answer_only_what_is_read_is_kept() {
        let table = table(100);
        ask(&table, "/d1", true, 0);
        answer(&table, Ok(Some(SITE)));
        let Some(Ok(Some(row))) = ask(&table, "/d1", true, 0) else { panic!("a row") };
        assert_eq!((row.text(row.get(Row(0), Slot(1))), row.arena.len()), ("A", 1));
    }

    #[test]
    fn there_is_room_for_so_many_answers_and_no_more() {
        let table = table(i64::MAX - 1);
        let site = format!(r#"{{"site":"{}"}}"#, "x".repeat(MOST_BYTES / 8));
        for (object, most) in [(site.as_bytes(), 10), (SITE, MOST_KNOWN + 1)] {
            let known = || table.lock().known.len();
            for number in 0..most + 5 {
                let path = format!("/d{number}");
                if ask(&table, &path, true, 0).is_none() {
                    answer(&table, Ok(Some(object)));
                    assert!(matches!(ask(&table, &path, false, 0), Some(Ok(Some(_)))));
                }
                assert!(known() <= most, "{}", known());
            }
        }
    }

    #[test]
    fn what_somebody_waits_for_stays_whatever_room_there_is() {
        let table = table(1_000);
        let paths: Vec<String> = (0..2 * MOST_KNOWN).map(|number| format!("/d{number}")).collect();
        let mut answers = Vec::new();
        let all = || paths.iter().map(|path| Some(path.as_str()));
        table.ask(all(), true, Millis(0), &mut answers);
        paths.iter().for_each(|_| answer(&table, Ok(Some(SITE))));
        answers.clear();
        table.ask(all(), false, Millis(0), &mut answers);
        assert!(answers.iter().all(Option::is_some) && !is_asked(&table));
    }
}
