//! The `postgres` sink: each event a row.

mod plan;
mod writing;

use crate::clients::postgres::{PASSWORD, URL};
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};
use crate::sinks::columns::COLUMNS;

pub use plan::plan;

/// The registry's entry.
pub static POSTGRES: ComponentSpec = ComponentSpec {
    name: "postgres",
    role: Role::Sink,
    summary: "Writes each event as a row of a PostgreSQL table: a field goes to the column of its name, and PostgreSQL reads \
              its text as a value of the column's type. So text takes anything, `jsonb` whole lists and maps, `bytea` \
              base64, arrays lists, and `timestamptz` text or milliseconds since the epoch. A field that is null gives \
              NULL, one that is missing the column's default. A row that the table refuses (a field without a column, a \
              value that does not fit, a constraint) leaves by `.rejected` and holds nothing up; everything else is \
              tried again until it goes. With `exactly_once` the rows of a checkpoint are written in one transaction with \
              how far the sink has come, in the table `headwater_epochs`: the user needs SELECT, INSERT and UPDATE on it, \
              and where it is not there yet the right to make it; one row there is one sink of one instance. Otherwise \
              rows may come twice behind a crash, which `mode: upsert` makes harmless.",
    short: None,
    options: &[
        URL,
        PASSWORD,
        OptionSpec::required(
            "table",
            OptionKind::Text,
            "The table, or `schema.table`, written just as PostgreSQL has it: `readings`.",
        ),
        OptionSpec::or(
            "mode",
            "insert",
            OptionKind::Word(&["insert", "upsert", "copy"]),
            "`insert` adds rows, `copy` does so by COPY, which is quicker; with `upsert` a row takes the place of the one \
             with the same `key`.",
        ),
        OptionSpec::optional(
            "key",
            OptionKind::OneOrList(&OptionKind::Text),
            "The columns that tell rows apart; `upsert` needs a primary key or unique index over them.",
        ),
        OptionSpec::optional(
            "columns",
            COLUMNS,
            "What is written: a list of fields, or a map of columns and expressions, where a field that is missing \
             is null; absent: all fields.",
        ),
        OptionSpec::or(
            "create",
            "false",
            OptionKind::Boolean,
            "Whether the table is made if it is not there, with `key` as its primary key; a column whose type is not \
             known is `jsonb`, which `CAST` in `columns` makes definite.",
        ),
        TLS,
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {} }
sinks:
  out:
    from: readings
    postgres:
      url: postgres://plant@localhost/plant
      password: ${PLANT_PASSWORD:-}
      table: readings
      mode: upsert
      key: [device, at]
      columns: { device: device, at: \"to_timestamp(ts, 'ms')\", temp: CAST(temp AS DOUBLE) }
",
};
