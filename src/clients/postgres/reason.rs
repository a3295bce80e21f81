//! Why something failed, in words that say what to do.

use super::server::Server;
use crate::clients::tls::explain_certificate;
use std::error::Error as _;
use std::io;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

/// What a failure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of the rows is at fault: it will never be taken.
    Rows,
    /// Time may heal it, or somebody: it is tried again.
    Passing,
}

/// A failure in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it asks for.
    pub kind: Kind,
    /// What is wrong, and what can be done.
    pub text: String,
}

impl Failure {
    /// A connection that was not made, or is lost.
    pub fn of_connection(text: impl Into<String>) -> Failure {
        Failure { kind: Kind::Passing, text: text.into() }
    }
}

/// What was being done, for remedies.
#[derive(Clone, Copy, Debug)]
pub enum Need<'a> {
    /// Connecting.
    Connection,
    /// Writing to this table.
    Table(&'a str),
    /// Making a table by this statement.
    Making(&'a str),
}

/// What a failure asks for.
pub fn kind_of(error: &Error) -> Kind {
    error.code().map_or(Kind::Passing, kind_of_state)
}

/// Values that do not fit (22), constraints (23, 44), one row twice in a statement (21), what triggers raise (P0).
fn kind_of_state(state: &SqlState) -> Kind {
    match state.code().get(..2) {
        Some("21" | "22" | "23" | "44" | "P0") => Kind::Rows,
        _ => Kind::Passing,
    }
}

/// A failure in words.
pub fn explain(error: &Error, server: &Server, need: Need<'_>) -> Failure {
    let text = match error.as_db_error() {
        Some(error) => said(error) + &remedy(error.code(), server, need),
        None => outside(error),
    };
    Failure { kind: kind_of(error), text: server.secrets.mask(&text).into_owned() }
}

/// What the server said.
fn said(error: &DbError) -> String {
    let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{}{detail}", error.message())
}

fn remedy(state: &SqlState, server: &Server, need: Need<'_>) -> String {
    let user = server.config.get_user().unwrap_or_default();
    match (state.code(), need) {
        ("28P01", _) => format!("; is the password of `{user}` right?"),
        ("28000", _) if server.tls.is_none() => {
            format!("; may `{user}` connect from here without TLS? `sslmode=verify-full` asks for it")
        }
        ("28000", _) => format!("; may `{user}` connect from here, and with this certificate?"),
        ("3D000", _) => "; make it with `CREATE DATABASE`, or correct `url`".to_owned(),
        ("42P01", Need::Table(table)) => format!("; make `{table}`, or write `create: true`"),
        ("42703", Need::Table(table)) => {
            format!("; add it to `{table}`, or name in `columns` what is to be written")
        }
        ("42501", Need::Table(table)) => {
            format!("; `GRANT SELECT, INSERT, UPDATE ON {table} TO {user}` allows it")
        }
        ("42501", Need::Making(statement)) => {
            format!(
                "; somebody who may must run `{statement}`, and let `{user}` SELECT, INSERT and UPDATE there"
            )
        }
        ("42P10", Need::Table(table)) => {
            format!("; `key` needs a primary key or a unique index of `{table}` over just these columns")
        }
        _ => String::new(),
    }
}

/// What went wrong on the way.
fn outside(error: &Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let io = inner.downcast_ref::<io::Error>();
        let tls = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(fault)) = tls {
            return explain_certificate(fault);
        }
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return "nothing listens there".to_owned(),
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => return closed(),
            _ => {}
        }
        let text = inner.to_string();
        if text.contains("does not support TLS") {
            return "the server has no TLS; switch it on there, or write `sslmode=disable`".to_owned();
        }
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        cause = inner.source();
    }
    if error.is_closed() { closed() } else { causes.join(": ") }
}

fn closed() -> String {
    "the server closed the connection".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_at_fault_are_told_from_what_time_heals() {
        for code in ["22P02", "23505", "21000", "P0001"] {
            assert_eq!(kind_of_state(&SqlState::from_code(code)), Kind::Rows, "{code}");
        }
        for code in ["40001", "53100", "57P01", "28P01", "42P01"] {
            assert_eq!(kind_of_state(&SqlState::from_code(code)), Kind::Passing, "{code}");
        }
    }
}
