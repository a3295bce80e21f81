//! `postgres`: the rows that a query gives, asked for again every now and then.

use crate::clients::postgres::{Asking, PASSWORD, Server, URL, read_server};
use crate::clients::tls::TLS;
use crate::config::{Role, Setting, read};
use crate::dataflow::{
    ComponentSpec, NodePlanner, OpenTable, OptionKind, OptionSpec, Probed, SharedTable, TableHead,
    TableKeeper, TableLayout, TablePlan, TableRows, TableSpec, column_names, formats, read_rows,
};
use crate::time::{Millis, Timestamp};

/// The registry entry.
pub const POSTGRES: TableSpec = TableSpec { spec: &SPEC, decodes: false, plan };

const SPEC: ComponentSpec = ComponentSpec {
    name: "postgres",
    role: Role::Table,
    summary: "The rows that a query gives, at most 64 MiB and a million of them, held in memory and asked for again every now \
              and then. At the start the pipeline reads nothing until they are there; where the server is away later, or \
              the answer holds two rows of one key, the old rows stay, and an error says so. Values are what \
              `row_to_json` makes of them: times are text. `lookup` must `select` what it adds.",
    short: None,
    options: &[
        URL,
        PASSWORD,
        TLS,
        OptionSpec::required("query", OptionKind::Text, "The query; it cannot change anything."),
        OptionSpec::or("refresh", "1m", OptionKind::Duration, "After what time it is asked again."),
    ],
    later: &[],
    example: "\
transforms:
  placed:
    from: readings
    lookup: { table: machines, match: machine = device, select: [line] }
tables:
  machines:
    postgres:
      url: postgres://reader@db:5432/plant
      query: SELECT machine, line FROM machines
      refresh: 5m
    key: [machine]
tests:
  - name: a test connects to nothing, and states what the table holds
    tables: { machines: [{ machine: d1, line: L7 }] }
    steps:
      - send: { readings: { device: d1, temp: 20.5 } }
      - expect: { out: [{ device: d1, line: L7 }] }
",
};

/// The longest answer.
const MOST_BYTES: usize = 64 << 20;
/// The wait behind the first attempt that failed; each further one doubles it.
const FIRST_WAIT: Millis = Millis(1_000);
const LONGEST_WAIT: Millis = Millis(60_000);

fn plan(
    planner: &NodePlanner<'_>,
    _head: &TableHead<'_>,
    setting: Setting<'_>,
) -> Option<Box<dyn TablePlan>> {
    let section = SPEC.open(setting);
    let server = read_server(planner, &section);
    let query = section.required("query", read::text);
    let refresh = section.or("refresh", Millis(60_000), read::positive_duration);
    Some(Box::new(PostgresPlan { server: server?, query: query?.to_owned(), refresh }))
}

/// A query as a table.
#[derive(Clone, Debug)]
struct PostgresPlan {
    server: Server,
    query: String,
    refresh: Millis,
}

impl TablePlan for PostgresPlan {
    fn describe(&self) -> String {
        format!("postgres {}, every {}", self.server.secrets.mask(&self.server.shown), self.refresh)
    }

    fn columns(&self) -> Option<&[String]> {
        None
    }

    fn probe(&self, layout: &TableLayout) -> Option<Probed> {
        let mut asking = Asking::new(self.server.clone(), self.query.clone(), MOST_BYTES);
        let server = asking.server();
        let columns = asking.columns().map_err(|why| format!("{server}: {why}"));
        Some(columns.and_then(|columns| {
            missing_of(layout, &columns).map_or_else(
                || Ok(format!("{server}: the query gives {}", columns.join(", "))),
                |missing| Err(format!("{server}: {missing}")),
            )
        }))
    }

    fn open(&self, layout: &TableLayout) -> Result<OpenTable, String> {
        let keeper = Refresh {
            who: self.server.who.clone(),
            asking: Asking::new(self.server.clone(), self.query.clone(), MOST_BYTES),
            layout: layout.clone(),
            refresh: self.refresh,
            held: None,
            failures: 0,
            said: String::new(),
        };
        Ok(OpenTable::of(None, Some(Box::new(keeper))))
    }
}

/// What is wrong with a query that gives these columns, if anything is.
fn missing_of(layout: &TableLayout, columns: &[String]) -> Option<String> {
    let missing = layout.columns.iter().find(|wanted| !columns.contains(wanted))?;
    Some(format!("the query gives no column `{missing}`, but {}", columns.join(", ")))
}

/// Asks again and again.
struct Refresh {
    /// The table, for messages.
    who: String,
    asking: Asking,
    layout: TableLayout,
    refresh: Millis,
    /// What was answered last.
    held: Option<Vec<u8>>,
    /// Attempts that failed since one succeeded.
    failures: u32,
    /// What was told of the last failure.
    said: String,
}

impl Refresh {
    /// The new rows; None where nothing has changed.
    fn rows(&mut self) -> Result<Option<TableRows>, String> {
        let lines = self.asking.ask()?;
        if self.held.as_ref() == Some(&lines) {
            return Ok(None);
        }
        let format = formats::json();
        let columns = column_names(&*format, &lines)?;
        if let Some(missing) = missing_of(&self.layout, &columns).filter(|_| !lines.is_empty()) {
            return Err(missing);
        }
        let rows = read_rows(&*format, &self.layout, lines.clone())?;
        self.held = Some(lines);
        Ok(Some(rows))
    }

    fn failed(&mut self, error: String) -> Millis {
        let wait = Millis((FIRST_WAIT.0 << self.failures.min(6)).min(LONGEST_WAIT.0));
        self.failures += 1;
        let (who, server) = (&self.who, self.asking.server());
        let then = match self.held {
            Some(_) => "the rows that it held stay",
            None => "nothing is read until there are rows",
        };
        if self.said == error {
            tracing::debug!("table {who}: still nothing from {server}: {error}");
        } else {
            tracing::warn!("table {who}: nothing from {server}: {error}; {then}; next attempt in {wait}");
            self.said = error;
        }
        wait
    }
}

impl TableKeeper for Refresh {
    fn keep(&mut self, table: &SharedTable, _now: (Timestamp, Millis)) -> Millis {
        match self.rows() {
            Ok(rows) => {
                if self.failures > 0 || !table.is_loaded() {
                    tracing::info!("table {}: has the rows of {}", self.who, self.asking.server());
                }
                self.failures = 0;
                self.said.clear();
                rows.into_iter().for_each(|rows| table.replace(rows));
                self.refresh
            }
            Err(error) => self.failed(error),
        }
    }
}
