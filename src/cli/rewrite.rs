//! Replacing a file's text: at once or not at all.

use crate::config::SourceFile;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Gives a file a new text, by way of a new file beside it, if it still says what was read.
///
/// # Errors
/// Why the file stays as it is.
pub fn rewrite(file: &SourceFile, text: &str) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    // What a link leads to is replaced, not the link.
    let path = fs::canonicalize(file.name()).map_err(failed)?;
    let bytes = fs::read(&path).map_err(failed)?;
    let (mark, rest) = match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (BYTE_ORDER_MARK, rest),
        None => (&[][..], &bytes[..]),
    };
    if rest != file.text().as_bytes() {
        return Err("the file has changed meanwhile".to_owned());
    }
    let permissions = fs::metadata(&path).map_err(failed)?.permissions();
    let beside = beside(&path);
    let written = write(&beside, &[mark, text.as_bytes()].concat(), permissions);
    written.and_then(|()| fs::rename(&beside, &path)).map_err(|error| {
        // It may not even be there; what matters is why.
        let _ = fs::remove_file(&beside);
        error.to_string()
    })
}

/// A hidden file in the same folder, and so on the same disk.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

fn write(path: &Path, bytes: &[u8], permissions: Permissions) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_permissions(permissions)?;
    file.write_all(bytes)?;
    file.sync_all()
}
