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
    ask_with_body(data_dir, method, path, String::new())
}

/// The same with a body.
///
/// # Errors
/// None listens, or it refuses.
pub fn ask_with_body(data_dir: Option<&Path>, method: &str, path: &str, body: String) -> Result<Value, Exit> {
    let data_dir = whose(data_dir)?;
    let none = || Exit::failed(format!("no process runs with the data directory `{}`", data_dir.display()));
    ask_some(data_dir, method, path, body)?.ok_or_else(none)
}

/// The data directory of the process that is meant.
///
/// # Errors
/// Nobody says which it is.
pub fn whose(data_dir: Option<&Path>) -> Result<&Path, Exit> {
    let hint = "which process? give its `--data-dir`, or `data_dir` in headwater.yaml";
    data_dir.ok_or_else(|| Exit::usage(hint))
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

/// Asks for the same of one pipeline of the process, or of all; `act` is told of each. False if no process listens.
///
/// # Errors
/// One of them is refused or `act` fails: the first reason, after all were asked.
pub fn ask_each(
    data_dir: &Path,
    pipeline: Option<&str>,
    (method, what): (&str, &str),
    mut act: impl FnMut(&str, Value) -> Result<(), Exit>,
) -> Result<bool, Exit> {
    let Some(all) = ask_some(data_dir, "GET", "/api/v1/pipelines", String::new())? else { return Ok(false) };
    let all = all["pipelines"].as_array().into_iter().flatten();
    let names: Vec<String> = match pipeline {
        Some(name) => vec![name.to_owned()],
        None => all.filter_map(|status| status["name"].as_str()).map(str::to_owned).collect(),
    };
    let gone = || Exit::failed("the process that uses the data directory has gone meanwhile");
    let mut outcome = Ok(true);
    for name in names {
        let path = format!("/api/v1/pipelines/{name}/{what}");
        let asked = ask_some(data_dir, method, &path, String::new()).and_then(|said| said.ok_or_else(gone));
        let done = asked.and_then(|said| act(&name, said));
        if outcome.is_ok() {
            outcome = done.map(|()| true);
        }
    }
    outcome
}
