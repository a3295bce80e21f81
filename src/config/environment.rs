//! What surrounds the process: environment variables, secret files, credentials.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::source::SourceFile;

/// The largest file that is put into a scalar: 64 KiB.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// Where substitutions come from. Tests give their own.
pub trait Environment {
    /// The value of an environment variable; one that is not UTF-8 counts as not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The bytes of a file, or why they cannot be had.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The text of a file without its last line break. Relative paths start at the pipeline's file.
    fn file(&self, pipeline: &SourceFile, path: &str) -> Result<String, String> {
        let beside = Path::new(pipeline.name()).parent().map(Path::to_path_buf).unwrap_or_default();
        self.read(&beside.join(path)).and_then(text)
    }

    /// The text of a credential, a file in `$CREDENTIALS_DIRECTORY`, without its last line break.
    fn credential(&self, name: &str) -> Result<String, String> {
        if name.contains('/') || name == "." || name == ".." {
            return Err("a credential's name is no path".to_owned());
        }
        let directory = self.variable("CREDENTIALS_DIRECTORY");
        let directory = directory.ok_or_else(|| "`$CREDENTIALS_DIRECTORY` is not set".to_owned())?;
        self.read(&PathBuf::from(directory).join(name)).and_then(text)
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.ends_with('\n') {
        text.truncate(text.len() - 1);
        text.truncate(text.strip_suffix('\r').map_or(text.len(), str::len));
    }
    Ok(text)
}

/// The environment of this process.
#[derive(Clone, Debug, Default)]
pub struct ProcessEnvironment {
    /// Variables that hold where the process has none of that name.
    defaults: Vec<(String, String)>,
}

impl ProcessEnvironment {
    /// Adds the variables of a file of `NAME=value` lines, for names that the process's environment does not
    /// have. Blank lines and those that start with `#` or `;` are skipped; a value may stand in quotes. The
    /// first fault is returned.
    pub fn add_file(&mut self, file: &Arc<SourceFile>) -> Result<(), Diagnostic> {
        for number in 1..=file.text().lines().count() as u32 {
            let line = file.line(number).trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let (name, value) = (name.trim(), value.trim());
            if !line.contains('=') || !is_variable(name) {
                let refused =
                    Diagnostic::error(file.clone(), file.line_place(number), "this is no `NAME=value`");
                return Err(refused.with_hint("a name is letters, digits and `_`, and starts with no digit"));
            }
            self.defaults.push((name.to_owned(), unquoted(value).to_owned()));
        }
        Ok(())
    }
}

/// Whether it can name a variable.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        let default =
            || self.defaults.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        std::env::var(name).ok().or_else(default)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_SECRET_BYTES {
            return Err("it is larger than 64 KiB".to_owned());
        }
        Ok(bytes)
    }
}

/// An environment of given variables and files, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct FixedEnvironment {
    /// Names and values.
    pub variables: Vec<(String, String)>,
    /// Paths and contents.
    pub files: Vec<(PathBuf, String)>,
}

impl Environment for FixedEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let found = self.files.iter().find(|(known, _)| known == path);
        found.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| "there is no such file".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_variables_that_the_process_has_not() {
        let text = "# comment\n\nHEADWATER_A=1\nHEADWATER_B = \"two words\"\nHEADWATER_C='x'\r\nPATH=mine\n\
                    HEADWATER_A=2\nHEADWATER_D=a=b\nHEADWATER_E=\n";
        let mut environment = ProcessEnvironment::default();
        environment.add_file(&SourceFile::new("e.env", text.as_bytes().to_vec()).unwrap()).unwrap();
        let variable = |name: &str| environment.variable(&format!("HEADWATER_{name}"));
        let values = ["A", "B", "C", "D", "E"].map(|name| variable(name).unwrap());
        assert_eq!(values, ["2", "two words", "x", "a=b", ""]);
        assert_eq!(variable("F"), None);
        assert_ne!(environment.variable("PATH").as_deref(), Some("mine"));
    }

    #[test]
    fn lines_that_are_no_variables_are_refused() {
        for line in ["export A=1", "A", "1A=2", "=x"] {
            let file = SourceFile::new("e.env", format!("B=1\n{line}\n").into_bytes()).unwrap();
            let refused = ProcessEnvironment::default().add_file(&file).unwrap_err();
            assert_eq!(refused.to_string(), "e.env:2:1: error: this is no `NAME=value`");
        }
    }

    #[test]
    fn files_are_read_up_to_a_limit() {
        let directory = std::env::temp_dir();
        let path = directory.join(format!("headwater-environment-{}", std::process::id()));
        let pipeline = SourceFile::new(directory.join("p.yaml").display().to_string(), Vec::new()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let environment = ProcessEnvironment::default();
        std::fs::write(&path, "secret\n\n").unwrap();
        assert_eq!(environment.file(&pipeline, name).unwrap(), "secret\n");
        std::fs::write(&path, vec![b'x'; 64 * 1024 + 1]).unwrap();
        assert_eq!(environment.file(&pipeline, name).unwrap_err(), "it is larger than 64 KiB");
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(environment.file(&pipeline, name).unwrap_err(), "it is not UTF-8");
        std::fs::remove_file(&path).unwrap();
        assert!(environment.file(&pipeline, name).is_err());
    }
}
