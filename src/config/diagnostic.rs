//! What is wrong with a text, and where: collected all at once, shown in the order of the file.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::render;
use super::secrets::Secrets;
use super::source::{Mark, Place, SourceFile};
use crate::event::nearest;

/// More faults than this in one file help nobody; the rest is counted.
const MAX_DIAGNOSTICS: usize = 200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// It can run, and is probably not what was meant.
    Warning,
}

impl Severity {
    /// The word that people and programs read.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One fault at its place.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file it is about.
    pub file: Arc<SourceFile>,
    /// Where in the file; `None` where the file as a whole is meant.
    pub place: Option<Place>,
    /// One sentence without a full stop, names in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(file: Arc<SourceFile>, place: impl Into<Place>, message: impl Into<String>) -> Diagnostic {
        let place = Some(place.into());
        Diagnostic { severity: Severity::Error, file, place, message: message.into(), hint: None }
    }

    /// An error about the file as a whole.
    pub fn of_file(file: Arc<SourceFile>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Error, file, place: None, message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// Line and column.
    pub fn mark(&self) -> Option<Mark> {
        self.place.map(|place| self.file.mark(place.start))
    }

    /// The number of characters that are meant; 1 at least, and never beyond the first line.
    pub fn width(&self) -> usize {
        let text = self.place.map(|place| self.file.slice(place)).unwrap_or_default();
        let first = text.split(['\n', '\r']).next().unwrap_or_default();
        first.trim_end().chars().count().max(1)
    }

    /// As people read it: what, the line with the place underlined, the hint; ends with a line break.
    pub fn render(&self, color: bool) -> String {
        render::for_people(self, color)
    }

    /// As programs read it.
    pub fn to_json(&self) -> serde_json::Value {
        render::for_programs(self)
    }
}

/// The first line of [`Diagnostic::render`], without colour.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::headline(self, false))
    }
}

impl std::error::Error for Diagnostic {}

/// The faults of one file. Reporting takes `&self`, so that every reader can hold the collector.
#[derive(Debug)]
pub struct Faults {
    file: Arc<SourceFile>,
    secrets: RefCell<Secrets>,
    found: RefCell<Vec<Diagnostic>>,
    /// How many did not fit, errors and warnings.
    left_out: Cell<usize>,
    errors: Cell<usize>,
}

impl Faults {
    /// No faults yet.
    pub fn new(file: Arc<SourceFile>) -> Faults {
        Faults {
            file,
            secrets: RefCell::default(),
            found: RefCell::default(),
            left_out: Cell::new(0),
            errors: Cell::new(0),
        }
    }

    /// The folder that relative paths in the file start at.
    pub fn folder(&self) -> &Path {
        Path::new(self.file.name()).parent().unwrap_or(Path::new(""))
    }

    /// The file whose faults these are.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// Reports an error.
    pub fn error(&self, place: impl Into<Place>, message: impl Into<String>) -> Reported<'_> {
        self.report(Diagnostic::error(self.file.clone(), place, message))
    }

    /// Reports an error about the file as a whole.
    pub fn file_error(&self, message: impl Into<String>) -> Reported<'_> {
        self.report(Diagnostic::of_file(self.file.clone(), message))
    }

    /// Reports an error in a line of another file, which this one names.
    pub fn error_in(&self, file: Arc<SourceFile>, line: u32, message: impl Into<String>) {
        let text = file.line(line);
        let start = file.line_place(line).start as usize + text.len() - text.trim_start().len();
        let place = file.place(start, start + text.trim().len());
        self.report(Diagnostic::error(file, place, message));
    }

    /// Reports a warning.
    pub fn warning(&self, place: impl Into<Place>, message: impl Into<String>) -> Reported<'_> {
        let severity = Severity::Warning;
        self.report(Diagnostic { severity, ..Diagnostic::error(self.file.clone(), place, message) })
    }

    /// Reports nothing: for what follows from a fault that was reported.
    pub(super) fn nothing(&self) -> Reported<'_> {
        Reported { faults: self, index: None }
    }

    /// Reports a name that nothing has, with the nearest of the names that there are, and some of the others.
    pub fn unknown<'c>(
        &self,
        place: impl Into<Place>,
        message: impl Into<String>,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) {
        self.error(place, message).suggest(name, candidates);
    }

    /// Reports something that the language has and this version has not.
    pub fn later(&self, place: impl Into<Place>, name: &str) -> Reported<'_> {
        self.error(place, format!("`{name}` is not in this version"))
    }

    /// Whether there is an error, so that what was read must not be used.
    pub fn has_errors(&self) -> bool {
        self.errors.get() > 0
    }

    /// Texts that nothing may show: diagnostics mask them by themselves, whatever else prints parts of the pipeline
    /// must do the same.
    pub fn secrets(&self) -> Secrets {
        self.secrets.borrow().clone()
    }

    /// Adds texts that no diagnostic may show, in what was reported before as well.
    pub fn keep_secret(&self, secrets: &Secrets) {
        self.secrets.borrow_mut().merge(secrets);
    }

    /// All faults in the order of the file, each once; behind them those of other files.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let secrets = self.secrets.borrow();
        let mut found = self.found.borrow().clone();
        let elsewhere =
            |file: &Arc<SourceFile>| (!Arc::ptr_eq(file, &self.file)).then(|| file.name().to_owned());
        found.sort_by_key(|diagnostic| (elsewhere(&diagnostic.file), diagnostic.place));
        found.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        for diagnostic in &mut found {
            diagnostic.message = secrets.mask(&diagnostic.message).into_owned();
            diagnostic.hint = diagnostic.hint.as_deref().map(|hint| secrets.mask(hint).into_owned());
        }
        if self.left_out.get() > 0 {
            let message = format!("has {} further faults that are not shown", self.left_out.get());
            let severity = if self.errors.get() > 0 { Severity::Error } else { Severity::Warning };
            found.push(Diagnostic { severity, ..Diagnostic::of_file(self.file.clone(), message) });
        }
        found
    }

    fn report(&self, diagnostic: Diagnostic) -> Reported<'_> {
        if diagnostic.severity == Severity::Error {
            self.errors.set(self.errors.get() + 1);
        }
        let mut found = self.found.borrow_mut();
        if found.len() >= MAX_DIAGNOSTICS {
            self.left_out.set(self.left_out.get() + 1);
            return Reported { faults: self, index: None };
        }
        found.push(diagnostic);
        Reported { faults: self, index: Some(found.len() - 1) }
    }
}

/// A fault that was just reported and may still get a hint.
pub struct Reported<'f> {
    faults: &'f Faults,
    index: Option<usize>,
}

impl Reported<'_> {
    /// Says what to do about it.
    pub fn hint(self, hint: impl Into<String>) {
        let mut found = self.faults.found.borrow_mut();
        if let Some(diagnostic) = self.index.and_then(|index| found.get_mut(index)) {
            diagnostic.hint = Some(hint.into());
        }
    }

    /// Says which of the names that there are was probably meant.
    pub fn suggest<'c>(self, name: &str, candidates: impl IntoIterator<Item = &'c str>) {
        if let Some(hint) = suggestion(name, candidates) {
            self.hint(hint);
        }
    }
}

/// `did you mean …?` where a name is near, else the names that there are.
pub fn suggestion<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    const SHOWN: usize = 12;
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if candidates.is_empty() {
        return None;
    }
    let listed: Vec<String> = candidates.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if candidates.len() > SHOWN { ", …" } else { "" };
    let list = format!("{}{more}", listed.join(", "));
    Some(match nearest(name, candidates.iter().copied()) {
        Some(near) if candidates.len() == 1 => format!("did you mean `{near}`?"),
        Some(near) => format!("did you mean `{near}`? There are {list}"),
        None if candidates.len() == 1 => format!("there is only {list}"),
        None => format!("there are {list}"),
    })
}
