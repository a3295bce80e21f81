//! The row in the target that says how far a sink's output has come, and which connection may write.

use crate::dataflow::Marker;
use std::error::Error as StdError;
use std::fmt;
use tokio_postgres::{Client, Error};

/// The table that holds it.
pub const EPOCHS: &str = "headwater_epochs";

/// How it is made.
pub const CREATE: &str = "\
    CREATE TABLE IF NOT EXISTS headwater_epochs (sink text PRIMARY KEY, marker text NOT NULL, writer text NOT NULL, \
    changed timestamptz NOT NULL DEFAULT now())";
/// Changes nothing, but waits for a transaction that is still under way, which may be ours.
const FIND: &str = "SELECT marker, writer FROM headwater_epochs WHERE sink = $1 FOR UPDATE";
const CLAIM: &str = "UPDATE headwater_epochs SET writer = $2 WHERE sink = $1 AND marker = $3";
const INSERT: &str = "\
    INSERT INTO headwater_epochs (sink, marker, writer) VALUES ($1, $2, $3) ON CONFLICT (sink) DO NOTHING";
const MOVE: &str = "\
    UPDATE headwater_epochs SET marker = $2, changed = now() WHERE sink = $1 AND writer = $3 AND marker = $4";
const CAN_BE_MADE: &str = "\
    SELECT to_regclass('headwater_epochs') IS NULL AND has_schema_privilege(current_schema(), 'CREATE')";
/// Whether we may do all that; changes nothing.
const REHEARSAL: &str = "EXPLAIN UPDATE headwater_epochs SET marker = '' WHERE sink = ''";

/// Who may write for a sink. Every connection has a name of its own, so that an earlier one, whose end the server may not
/// have noticed, is shut out: not when it connects, but when it writes first. Until then what stands in the target has been
/// judged, so that a process that finds it has no business there stops nobody who has.
#[derive(Debug)]
pub struct Lease {
    /// What the row is called: `instance/pipeline/sink`.
    sink: String,
    /// The beginning of the names of all connections of this process.
    run: String,
    connections: u64,
    /// What stood there when we looked or wrote last.
    stands: Option<Marker>,
    /// Whether this connection may write.
    is_claimed: bool,
    /// Whether this process has written.
    has_written: bool,
}

/// What stands in the target.
#[derive(Debug)]
pub struct Found {
    /// The marker; None where there is no row.
    pub marker: Option<Marker>,
    /// Whether another process has put it there.
    pub is_foreign: bool,
}

/// Why the row was not changed.
#[derive(Debug)]
pub enum LeaseError {
    /// The server did not do it.
    Failed(Error),
    /// Somebody else writes under our name.
    Lost(String),
    /// The row has come about meanwhile, or is another one.
    Changed,
}

impl From<Error> for LeaseError {
    fn from(error: Error) -> LeaseError {
        LeaseError::Failed(error)
    }
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseError::Failed(error) => error.fmt(f),
            LeaseError::Lost(why) => f.write_str(why),
            LeaseError::Changed => f.write_str("its row has changed meanwhile"),
        }
    }
}

impl StdError for LeaseError {}

impl Lease {
    /// Nothing is known yet. `run` is a number that no other process has.
    pub fn new(sink: String, run: u64) -> Lease {
        Lease {
            sink,
            run: format!("{run:016x}"),
            connections: 0,
            stands: None,
            is_claimed: false,
            has_written: false,
        }
    }

    fn writer(&self) -> String {
        format!("{}-{}", self.run, self.connections)
    }

    /// Makes the table if it is not there, which needs no right where it is.
    pub async fn create(client: &Client) -> Result<(), Error> {
        let found = client.query_one("SELECT to_regclass('headwater_epochs') IS NOT NULL", &[]).await?;
        if found.get(0) { Ok(()) } else { client.batch_execute(CREATE).await }
    }

    /// Whether the table is not there, and we may make it.
    pub async fn can_be_made(client: &Client) -> Result<bool, Error> {
        client.query_one(CAN_BE_MADE, &[]).await.map(|row| row.get(0))
    }

    /// Whether the table is there and we may write to it.
    pub async fn rehearse(client: &Client) -> Result<(), Error> {
        client.simple_query(REHEARSAL).await.map(|_| ())
    }

    /// Looks what stands there, on a new connection.
    pub async fn look(&mut self, client: &Client) -> Result<Found, LeaseError> {
        (self.connections, self.is_claimed) = (self.connections + 1, false);
        let Some(row) = client.query_opt(FIND, &[&self.sink]).await? else {
            return match self.stands {
                None => Ok(Found { marker: None, is_foreign: false }),
                Some(_) => Err(LeaseError::Lost(format!(
                    "the row `{}` of `{EPOCHS}` was deleted while this process wrote: it is unknown what has arrived; \
                     start again to decide",
                    self.sink
                ))),
            };
        };
        let (text, writer): (String, String) = (row.get(0), row.get(1));
        let marker = Marker::parse(&text).ok_or_else(|| {
            LeaseError::Lost(format!("the row `{}` of `{EPOCHS}` holds no marker: `{text}`", self.sink))
        })?;
        let is_foreign = writer.split('-').next() != Some(&self.run);
        if is_foreign && self.has_written {
            return Err(self.lost());
        }
        Ok(Found { marker: Some(marker), is_foreign })
    }

    /// What was found is as it should be: from there this process goes on.
    pub fn accept(&mut self, found: &Found) {
        self.stands = found.marker;
    }

    /// Shuts out who wrote before under this name, if what stands there is still what was accepted.
    pub async fn claim(&mut self, client: &Client) -> Result<(), LeaseError> {
        if let Some(stands) = self.stands.filter(|_| !self.is_claimed) {
            let claimed = client.execute(CLAIM, &[&self.sink, &self.writer(), &stands.to_string()]).await?;
            if claimed == 0 {
                return Err(LeaseError::Changed);
            }
            (self.is_claimed, self.has_written) = (true, true);
        }
        Ok(())
    }

    /// Within a transaction, puts `next` in place of what stands there.
    pub async fn advance(&self, client: &Client, next: Marker) -> Result<(), LeaseError> {
        let (next, writer) = (next.to_string(), self.writer());
        let Some(stands) = self.stands else {
            let made = client.execute(INSERT, &[&self.sink, &next, &writer]).await?;
            return if made == 1 { Ok(()) } else { Err(LeaseError::Changed) };
        };
        let moved = client.execute(MOVE, &[&self.sink, &next, &writer, &stands.to_string()]).await?;
        if moved == 1 { Ok(()) } else { Err(self.lost()) }
    }

    /// The transaction is committed.
    pub fn advanced(&mut self, to: Marker) {
        (self.stands, self.is_claimed, self.has_written) = (Some(to), true, true);
    }

    /// What stood there when we looked or wrote last.
    pub fn stands(&self) -> Option<Marker> {
        self.stands
    }

    /// What is to be said where somebody else writes under our name.
    pub fn lost(&self) -> LeaseError {
        LeaseError::Lost(format!(
            "another process writes as `{}`: two that run the same pipeline need an `instance` each (in headwater.yaml)",
            self.sink
        ))
    }
}
