//! Reading tests: every fault at its place, all of them at once.

use super::case::{Case, Expected, Sent, Step};
use super::shape::Shape;
use super::value::{payload, time, value};
use crate::config::{Faults, Keys, Meaning, Node, Place, Section, Setting, read};
use crate::plan::Stated;
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// What can happen in a test.
pub const ACTIONS: [&str; 5] = ["send", "watermark", "advance", "close", "expect"];
/// The keys of a test.
pub const CASE_KEYS: [&str; 7] = ["name", "steps", "now", "ignore", "params", "tables", "auto_watermark"];
/// What can happen in a test and needs no more to be said.
pub const WORDS: [&str; 2] = ["checkpoint", "restart"];
/// The longest `advance`, so that a test ends: sources are asked every second of it.
const MOST_ADVANCE: Millis = Millis(366 * 86_400_000);

/// The tests in a list of them.
pub fn read_cases(tests: &Node, shape: &Shape<'_>, faults: &Faults) -> Vec<Case> {
    let setting = Setting { name: "tests", key: tests.place, node: tests, faults, bare: false };
    if tests.is_null() {
        return Vec::new();
    }
    if tests.items().is_none() {
        setting.wrong("a list").hint("a test starts with `- name: …`");
        return Vec::new();
    }
    setting.one_or_items().into_iter().filter_map(|setting| Reader { shape, faults }.case(setting)).collect()
}

struct Reader<'a> {
    shape: &'a Shape<'a>,
    faults: &'a Faults,
}

/// How far the sources of a test are, so that no step can ask for what cannot be.
#[derive(Default)]
struct Progress {
    /// The watermark and the step that set it.
    watermarks: BTreeMap<String, (Timestamp, Place)>,
    closed: BTreeMap<String, Place>,
}

impl Reader<'_> {
    fn case(&self, setting: Setting<'_>) -> Option<Case> {
        let given = setting.node.get("name").and_then(|entry| entry.value.scalar());
        let what = given.map_or("the test".to_owned(), |name| format!("test `{name}`"));
        let section = Section::open(setting.node, setting.node, what, Keys::of(&CASE_KEYS), self.faults);
        let name = section.required("name", read::text);
        let now = section.optional("now", time);
        let ignore = section.optional("ignore", read::one_or_list(|setting| self.ignored(setting)));
        let params = section.optional("params", read::map(|setting| self.param(setting)));
        let tables = section.optional("tables", read::map(|setting| self.stated(setting)));
        self.check_tables(&section);
        let auto_watermark = section.or("auto_watermark", false, read::boolean);
        let steps = section.required("steps", |setting| self.steps(setting));
        let named = params.unwrap_or_default().into_iter();
        Some(Case {
            name: name?.to_owned(),
            file: self.faults.file().clone(),
            place: section.get("name").map_or(section.place(), |name| name.key),
            params: named.map(|(setting, value)| (setting.name.to_owned(), value)).collect(),
            params_place: section.get("params").map_or(section.place(), |params| params.key),
            now,
            ignore: ignore.unwrap_or_default(),
            tables: tables.into_iter().flatten().map(|(_, stated)| stated).collect(),
            auto_watermark,
            steps: steps?,
        })
    }

    fn ignored(&self, setting: Setting<'_>) -> Option<String> {
        let name = read::text(setting)?;
        let sinks = &self.shape.sinks;
        if !sinks.contains(&name) {
            setting.faults.unknown(
                setting,
                format!("there is no sink `{name}`"),
                name,
                sinks.iter().copied(),
            );
            return None;
        }
        Some(name.to_owned())
    }

    /// The rows of a table, as lines of JSON.
    fn stated(&self, setting: Setting<'_>) -> Option<Stated> {
        let tables = &self.shape.tables;
        if !tables.iter().any(|table| table.name == setting.name) {
            let names = tables.iter().map(|table| table.name);
            let message = format!("there is no table `{}`", setting.name);
            self.faults.unknown(setting.key, message, setting.name, names);
            return None;
        }
        let mut rows = Vec::new();
        for row in setting.one_or_items() {
            if row.node.entries().is_none() {
                row.wrong("a row").hint("write `[{ column: value }]`; `[]` is a table without rows");
                return None;
            }
            rows.extend(serde_json::to_vec(&value(row.node, self.faults)?).unwrap_or_default());
            rows.push(b'\n');
        }
        Some(Stated { table: setting.name.to_owned(), rows })
    }

    /// Reports tables whose rows only a server knows, or a file that is not there: a test connects to nothing.
    fn check_tables(&self, section: &Section<'_>) {
        let stated = section.get("tables");
        let is_stated = |name: &str| stated.is_some_and(|stated| stated.node.get(name).is_some());
        for table in self.shape.tables.iter().filter(|table| !is_stated(table.name)) {
            let Some(why) = &table.unknown else { continue };
            let reported = section.error(format!("what table `{}` holds is not known: {why}", table.name));
            reported.hint(format!("state it in the test: `tables: {{ {}: [{{ … }}] }}`", table.name));
        }
    }

    fn param(&self, setting: Setting<'_>) -> Option<String> {
        let params = self.shape.params;
        let Some(param) = params.iter().find(|param| param.name == setting.name) else {
            let names = params.iter().map(|param| param.name.as_str());
            let message = format!("the pipeline has no parameter `{}`", setting.name);
            setting.faults.unknown(setting.key, message, setting.name, names);
            return None;
        };
        let text = setting.node.scalar().filter(|text| param.value.takes(text));
        if text.is_none() {
            setting.wrong(param.value.type_name()).hint("its default says what type it has");
        }
        text.map(str::to_owned)
    }

    fn steps(&self, setting: Setting<'_>) -> Option<Vec<Step>> {
        let mut progress = Progress::default();
        read::list(Some)(setting)?;
        let items = setting.one_or_items().into_iter();
        let steps: Vec<Option<Step>> = items.map(|step| self.step(step, &mut progress)).collect();
        steps.into_iter().collect()
    }

    fn step(&self, setting: Setting<'_>, progress: &mut Progress) -> Option<Step> {
        if let Meaning::Text(word) = setting.node.meaning() {
            return self.word(setting, word);
        }
        let known: Vec<&'static str> = ACTIONS.into_iter().chain(["ordered", "exact"]).collect();
        let hints = &[("checkpoint", "write `- checkpoint`"), ("restart", "write `- restart`")];
        let keys = Keys { known: &known, later: &[], hints };
        let section = Section::open(setting.node, setting.node, "the step", keys, self.faults);
        // A step with nothing but a misspelled action has an action.
        let wrong = |setting: Setting<'_>| !known.contains(&setting.name);
        if section.settings().any(wrong) && !ACTIONS.iter().any(|action| section.has(action)) {
            return None;
        }
        let action = section.exactly_one(&ACTIONS, "action")?;
        for key in ["ordered", "exact"] {
            if let (Some(beside), true) = (section.get(key), action.name != "expect") {
                self.faults
                    .error(beside.key, format!("`{key}` stands beside `expect`, not `{}`", action.name));
            }
        }
        match action.name {
            "send" => self.send(action, progress).map(Step::Send),
            "watermark" => self.watermark(action, progress).map(Step::Watermark),
            "advance" => advance(action).map(Step::Advance),
            "close" => self.close(action, progress).map(Step::Close),
            _ => self.expectation(action, &section).map(Step::Expect),
        }
    }

    /// A step that is one word.
    fn word(&self, setting: Setting<'_>, word: &str) -> Option<Step> {
        match word {
            "checkpoint" => return Some(Step::Checkpoint),
            "restart" => return Some(Step::Restart),
            word if ACTIONS.contains(&word) => {
                setting.error(format!("`{word}` has nothing to do")).hint(format!("write `- {word}: …`"));
            }
            word => {
                let known = ACTIONS.into_iter().chain(WORDS);
                self.faults.unknown(setting, format!("there is no step `{word}`"), word, known);
            }
        }
        None
    }

    fn send(&self, setting: Setting<'_>, progress: &mut Progress) -> Option<Vec<Sent>> {
        let mut sent = Vec::new();
        let mut good = true;
        for to in setting.entries()? {
            let source = self.open_source(to, to.name, progress);
            let items = to.one_or_items();
            if items.is_empty() {
                to.error(format!("nothing is sent to `{}`", to.name));
            }
            for item in items {
                let payload = source.and_then(|source| payload(item, source));
                good &= payload.is_some();
                sent.extend(payload.map(|payload| Sent { source: to.name.to_owned(), payload }));
            }
        }
        good.then_some(sent)
    }

    fn watermark(&self, setting: Setting<'_>, progress: &mut Progress) -> Option<Vec<(String, Timestamp)>> {
        let mut all = Vec::new();
        for of in setting.entries()? {
            let (source, time) = (self.open_source(of, of.name, progress), time(of));
            let (Some(source), Some(time)) = (source, time) else { continue };
            let before = progress.watermarks.insert(source.name.clone(), (time, of.key));
            if let Some((_, place)) = before.filter(|(before, _)| *before > time) {
                let line = self.faults.file().mark(place.start).line;
                let reported = of.error(format!("the watermark of `{}` goes back", of.name));
                reported.hint(format!("it was set further in line {line}, and never goes back"));
            }
            all.push((source.name.clone(), time));
        }
        Some(all)
    }

    fn close(&self, setting: Setting<'_>, progress: &mut Progress) -> Option<Vec<String>> {
        let names = read::one_or_list(|setting| {
            let name = read::text(setting)?;
            let source = self.open_source(setting, name, progress)?;
            Some((source.name.clone(), setting.place()))
        })(setting)?;
        progress.closed.extend(names.iter().cloned());
        Some(names.into_iter().map(|(name, _)| name).collect())
    }

    /// The source of a name, if there is one and no step has closed it.
    fn open_source(
        &self,
        setting: Setting<'_>,
        name: &str,
        progress: &Progress,
    ) -> Option<&super::shape::SourceShape> {
        let keyed = setting.name == name;
        let place = if keyed { setting.key } else { setting.place() };
        if let Some(closed) = progress.closed.get(name) {
            let line = self.faults.file().mark(closed.start).line;
            self.faults
                .error(place, format!("`{name}` has ended"))
                .hint(format!("it was closed in line {line}"));
            return None;
        }
        self.shape.source(self.faults, place, name)
    }

    fn expectation(&self, setting: Setting<'_>, step: &Section<'_>) -> Option<Vec<Expected>> {
        let ordered = step.or("ordered", false, read::boolean);
        let exact = step.or("exact", false, read::boolean);
        let outputs = setting.entries()?;
        if outputs.is_empty() {
            setting.error("`expect` names no node").hint("write `expect: { node: [ … ] }`");
        }
        let expected = outputs.into_iter().map(|output| {
            let known = self.shape.check_output(output);
            // Of what is no output its value says nothing, unless it looks like one.
            let events = (known || output.node.items().is_some()).then(|| self.events(output))??;
            let (name, place, node) = (output.name.to_owned(), output.key, output.node.clone());
            known.then_some(Expected { output: name, place, node, events, ordered, exact })
        });
        let expected: Vec<Option<Expected>> = expected.collect();
        expected.into_iter().collect()
    }

    fn events(&self, setting: Setting<'_>) -> Option<Vec<serde_json::Value>> {
        let events = setting.one_or_items().into_iter().map(|event| match event.node.entries() {
            Some(_) => value(event.node, self.faults),
            None => {
                let reported = event.wrong("an event");
                reported.hint("write `[{ field: value }]`; `[]` means nothing");
                None
            }
        });
        let events: Vec<Option<serde_json::Value>> = events.collect();
        events.into_iter().collect()
    }
}

fn advance(setting: Setting<'_>) -> Option<Millis> {
    let span = read::positive_duration(setting)?;
    if span > MOST_ADVANCE {
        setting.wrong(&format!("at most {MOST_ADVANCE}"));
        return None;
    }
    Some(span)
}
