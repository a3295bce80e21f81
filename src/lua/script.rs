//! The text of a script, and where its modules are.

use super::{LoadedFile, Mask, Usage};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest script or module, in bytes.
pub const MAX_SCRIPT: u64 = 1 << 20;

/// The text of a script.
#[derive(Clone, Debug)]
pub struct Script {
    /// How errors name it: the path as it was given, or the node that has it inline.
    pub name: String,
    /// The file it was read from; None for inline scripts.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: Arc<str>,
    /// The folder in which `require` finds modules.
    pub modules: Option<PathBuf>,
    /// What its machines use.
    pub usage: Arc<Usage>,
    /// What it logs goes through this.
    pub mask: Mask,
}

/// Why a script cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl Script {
    /// Reads a file. Modules are in the nearest folder called `plugins` above it, or one beside it.
    pub fn read(path: &Path) -> Result<Script, ScriptError> {
        let text = read_text(path)?;
        let name = path.display().to_string();
        let (path, modules) = (Some(path.to_owned()), modules_of(path));
        Ok(Script { name, path, text: text.into(), modules, usage: Arc::default(), mask: Mask::default() })
    }

    /// A script that stands in another file. `beside` is that file, if there is one: modules are found as for a
    /// script that lies next to it.
    pub fn inline(name: &str, text: &str, beside: Option<&Path>) -> Script {
        let modules = beside.and_then(modules_of);
        let (name, text) = (name.to_owned(), text.into());
        Script { name, path: None, text, modules, usage: Arc::default(), mask: Mask::default() }
    }

    /// The script as its file has it now; one without a file is as it was.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reread(&self) -> Result<Script, ScriptError> {
        let Some(path) = &self.path else { return Ok(self.clone()) };
        Ok(Script { text: read_text(path)?.into(), ..self.clone() })
    }

    /// Its file, if it has one.
    pub fn file(&self) -> Option<LoadedFile> {
        Some(LoadedFile::new(self.path.clone()?, &self.text))
    }

    /// Whether what stands under `lua:` is a script itself: a path has neither line breaks, spaces nor parentheses.
    pub fn is_inline(text: &str) -> bool {
        text.contains(['\n', ' ', '('])
    }
}

/// The text of a file, if it is text and not too long.
pub(super) fn read_text(path: &Path) -> Result<String, ScriptError> {
    let fault = |why: String| ScriptError { path: path.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
    if length > MAX_SCRIPT {
        return Err(fault(format!("longer than {MAX_SCRIPT} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    if bytes.len() as u64 > MAX_SCRIPT {
        return Err(fault(format!("longer than {MAX_SCRIPT} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| fault("is not UTF-8 text".to_owned()))
}

/// The folder of modules for a file.
fn modules_of(file: &Path) -> Option<PathBuf> {
    // A relative path has no parents to look through.
    let file = std::path::absolute(file).ok()?;
    let folders = file.ancestors().skip(1);
    let above = folders.clone().find(|folder| folder.file_name().is_some_and(|name| name == "plugins"));
    let beside = || Some(file.parent()?.join("plugins")).filter(|folder| folder.is_dir());
    above.map(Path::to_owned).or_else(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_a_script() {
        assert!(!Script::is_inline("plugins/units.lua"));
        assert!(Script::is_inline("function process(event) return event end"));
        assert!(Script::is_inline("return\n"));
    }

    #[test]
    fn modules_are_in_the_nearest_plugins_folder() {
        let modules = |path| modules_of(Path::new(path));
        assert_eq!(modules("/etc/plugins/a/b.lua"), Some(PathBuf::from("/etc/plugins")));
        assert_eq!(modules("/plugins/x/plugins/b.lua"), Some(PathBuf::from("/plugins/x/plugins")));
        assert_eq!(modules("/nowhere/b.lua"), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = Script::read(Path::new("no-such-folder/x.lua")).unwrap_err();
        assert!(error.to_string().starts_with("no-such-folder/x.lua: "));
    }
}
