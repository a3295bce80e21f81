//! Verbs that ask the process which uses the data directory.

use super::exit::Exit;
use crate::server::ask_with;
use serde_json::Value;
use std::path::Path;

/// What the process says.
///
/// # Errors
/// None listens, or it refuses.
pub fn ask(data_dir: Option<&Path>, method: &str, path: &str) -> Result<Value, Exit> {
    let hint = "which process? give its `--data-dir`, or `data_dir` in headwater.yaml";
    let data_dir = data_dir.ok_or_else(|| Exit::usage(hint))?;
    let none = || Exit::failed(format!("no process runs with the data directory `{}`", data_dir.display()));
    ask_some(data_dir, method, path, String::new())?.ok_or_else(none)
}

/// The same; None if none listens.
///
/// # Errors
/// It refuses, or there is no answer.
pub fn ask_some(data_dir: &Path, method: &str, path: &str, body: String) -> Result<Option<Value>, Exit> {
    let answered = ask_with(data_dir, method, path, body).map_err(Exit::failed)?;
    let said = |answered: crate::server::Answered| match answered.status {
        200 => Ok(answered.body),
        status => {
            let why = answered.body["error"].as_str().map(str::to_owned);
            Err(Exit::failed(why.unwrap_or_else(|| format!("the process answered with status {status}"))))
        }
    };
    answered.map(said).transpose()
}
