//! Where a field stands inside an event: `pos.lat`, `samples[0].value`.

use std::fmt;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A field of a map.
    Field(String),
    /// An element of a list, counted from 0.
    Index(u32),
}

/// A non-empty path; the first step is always a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

impl Path {
    /// A top-level field.
    pub fn field(name: impl Into<String>) -> Path {
        Path(vec![Step::Field(name.into())])
    }

    /// The path one step further in.
    pub fn then(mut self, step: Step) -> Path {
        self.0.push(step);
        self
    }

    /// All steps.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The top-level field.
    pub fn root(&self) -> &str {
        match &self.0[0] {
            Step::Field(name) => name,
            Step::Index(_) => unreachable!("a path starts with a field"),
        }
    }

    /// The steps behind the top-level field.
    pub fn rest(&self) -> &[Step] {
        &self.0[1..]
    }

    /// The name that a field selected by this path gets: its last named step.
    pub fn name(&self) -> &str {
        let last = self.0.iter().rev().find_map(|s| match s {
            Step::Field(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        last.unwrap_or_default()
    }

    /// This path with another's first step replaced: the path of `rest` inside `self`.
    pub fn join(&self, rest: &[Step]) -> Path {
        Path(self.0.iter().chain(rest).cloned().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if i == 0 => write!(f, "{name}")?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(n) => write!(f, "[{n}]")?,
            }
        }
        Ok(())
    }
}
