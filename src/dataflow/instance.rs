//! Who runs a pipeline.

/// One gateway among many that run the same files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its id: letters, digits, `-` and `_`.
    pub id: String,
    /// Whether the id stays the same from run to run, so that servers may keep things for it.
    pub lasting: bool,
}

impl Default for Instance {
    /// The one that stands for all where nothing runs: in `check`, `explain` and `test`.
    fn default() -> Instance {
        Instance { id: "instance".to_owned(), lasting: false }
    }
}
