//! One connection that writes.

use super::connect;
use super::job::Job;
use super::lease::{CREATE, EPOCHS, Found, Lease, LeaseError};
use super::queue::{Chunk, Queue};
use super::reason::{Failure, Kind, Need, explain, kind_of};
use super::row::{Row, row};
use super::statement::{self, Mode};
use super::table::Table;
use crate::dataflow::{Marker, RefusedEvent, read_addressed};
use bytes::Bytes;
use futures_sink::Sink as _;
use std::future::poll_fn;
use std::pin::pin;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

/// How many statements of different columns are kept.
const MOST_STATEMENTS: usize = 64;
/// Bytes of `COPY` that are sent at once.
const PIECE: usize = 256 << 10;

/// A connection with a table that we may write to.
pub struct Session<'j> {
    job: &'j Job,
    client: Client,
    table: Table,
    /// The columns of `key`.
    key: Vec<usize>,
    statements: Vec<(Vec<usize>, Statement)>,
}

/// Why a batch was not written.
#[derive(Debug)]
pub enum WriteError {
    /// It is tried again.
    Again(Failure),
    /// Nothing must be written any more.
    Over(String),
}

/// An event with its row.
type Given<'c> = (Row, Event<'c>);

/// An event, and which record it is of what has a marker.
#[derive(Clone, Copy)]
struct Event<'c> {
    bytes: &'c [u8],
    record: Option<(Marker, u32)>,
}

impl<'j> Session<'j> {
    /// Connects, and looks whether the table is as it should be.
    pub async fn open(job: &'j Job) -> Result<Session<'j>, Failure> {
        let client = connect(&job.server).await?;
        let explained = |error: Error| explain(&error, &job.server, Need::Table(&job.table));
        if job.creates
            && let Some(columns) = &job.columns
            && Table::find(&client, &job.table).await.map_err(explained)?.is_none()
        {
            let create = statement::create(&job.table, columns, &job.key);
            let made = client.batch_execute(&create).await;
            made.map_err(|error| explain(&error, &job.server, Need::Making(&create)))?;
            tracing::info!("{}: made the table {}", job.server.who, job.table);
        }
        if job.exactly_once {
            let made = Lease::create(&client).await;
            made.map_err(|error| explain(&error, &job.server, Need::Making(CREATE)))?;
            let own = |error: Error| explain(&error, &job.server, Need::Table(EPOCHS));
            Lease::rehearse(&client).await.map_err(own)?;
        }
        let table = look(&client, job).await?;
        let key = job.key.iter().filter_map(|name| table.place(name)).collect();
        Ok(Session { job, client, table, key, statements: Vec::new() })
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Looks what has arrived.
    pub async fn look(&self, lease: &mut Lease) -> Result<Found, WriteError> {
        lease.look(&self.client).await.map_err(|error| self.of_lease(error))
    }

    /// What a fault of the lease means for what is written.
    pub fn of_lease(&self, error: LeaseError) -> WriteError {
        match error {
            LeaseError::Failed(error) => {
                WriteError::Again(explain(&error, &self.job.server, Need::Table(EPOCHS)))
            }
            LeaseError::Changed => WriteError::Again(Failure::of_connection(error.to_string())),
            LeaseError::Lost(why) => WriteError::Over(format!("{why} ({})", self.job.server.shown)),
        }
    }

    /// Writes chunks and the marker of the last of them in one transaction. Returns what the table refuses.
    pub async fn write(
        &mut self,
        chunks: &[Chunk],
        lease: &mut Option<Lease>,
        queue: &Queue,
    ) -> Result<Vec<RefusedEvent>, WriteError> {
        let marker = chunks.last().and_then(|chunk| chunk.marker);
        if let (Some(_), Some(lease)) = (marker, &mut *lease) {
            lease.claim(&self.client).await.map_err(|error| self.of_lease(error))?;
        }
        let mut refused = Vec::new();
        let rows = self.rows(chunks, &mut refused);
        let before = refused.len();
        for careful in [false, true] {
            // Constraints are to speak while it is known which row is meant.
            self.run("BEGIN; SET CONSTRAINTS ALL IMMEDIATE").await?;
            if let (Some(marker), Some(lease)) = (marker, &*lease) {
                lease.advance(&self.client, marker).await.map_err(|error| self.of_lease(error))?;
            }
            match self.write_rows(&rows, careful, &mut refused).await {
                Ok(()) => {
                    if marker.is_some() {
                        // Behind the commit nobody would know of them.
                        queue.keep(std::mem::take(&mut refused)).await;
                    }
                    self.run("COMMIT").await?;
                    if let (Some(marker), Some(lease)) = (marker, lease) {
                        lease.advanced(marker);
                    }
                    return Ok(refused);
                }
                // The same once more, looking which row it is.
                Err(error) if kind_of(&error) == Kind::Rows && !careful => {
                    refused.truncate(before);
                    self.run("ROLLBACK").await?;
                }
                Err(error) => return Err(self.again(&error)),
            }
        }
        Err(WriteError::Again(Failure::of_connection("rows were refused though each was tried by itself")))
    }

    /// The rows of chunks; events that make none are refused.
    fn rows<'c>(&self, chunks: &'c [Chunk], refused: &mut Vec<RefusedEvent>) -> Vec<Given<'c>> {
        let mut rows = Vec::new();
        for chunk in chunks {
            let mut rest: &'c [u8] = &chunk.bytes;
            let mut number = 0;
            while let Some(bytes) = read_addressed(&mut rest, &mut [""]) {
                let event = Event { bytes, record: chunk.marker.map(|marker| (marker, number)) };
                number += 1;
                match row(&self.table, bytes).and_then(|row| self.with_key(row)) {
                    Ok(row) => rows.push((row, event)),
                    Err(why) => refused.push(self.refusal(&why, event)),
                }
            }
        }
        rows
    }

    fn with_key(&self, row: Row) -> Result<Row, String> {
        let missing = self.key.iter().find(|key| !row.iter().any(|(at, _)| at == *key));
        match missing {
            Some(at) => {
                Err(format!("the event has no `{}`, which is in `key`", self.table.columns[*at].name))
            }
            None => Ok(row),
        }
    }

    fn refusal(&self, why: &str, event: Event<'_>) -> RefusedEvent {
        let (table, server) = (&self.job.table, &self.job.server.shown);
        RefusedEvent {
            reason: format!("{table} at {server} does not take the row: {why}"),
            bytes: event.bytes.to_vec(),
            record: event.record,
        }
    }

    /// Writes rows in statements of at most so many as make a batch, of neighbours with the same columns.
    async fn write_rows(
        &mut self,
        mut rows: &[Given<'_>],
        careful: bool,
        refused: &mut Vec<RefusedEvent>,
    ) -> Result<(), Error> {
        while let Some((first, _)) = rows.first() {
            let same = |row: &Row| row.iter().map(|(at, _)| at).eq(first.iter().map(|(at, _)| at));
            let alike = rows.iter().take_while(|(row, _)| same(row)).count();
            let (run, rest) = rows.split_at(alike.min(self.job.batching.events));
            match careful {
                false => self.write_run(run).await?,
                true => self.write_carefully(run, refused).await?,
            }
            rows = rest;
        }
        Ok(())
    }

    /// Writes rows with the same columns, halving them until the rows are found that the table refuses.
    async fn write_carefully(
        &mut self,
        rows: &[Given<'_>],
        refused: &mut Vec<RefusedEvent>,
    ) -> Result<(), Error> {
        let mut open = vec![rows];
        while let Some(rows) = open.pop() {
            self.client.batch_execute("SAVEPOINT run").await?;
            match (self.write_run(rows).await, rows) {
                (Ok(()), _) => self.client.batch_execute("RELEASE run").await?,
                (Err(error), _) if kind_of(&error) != Kind::Rows => return Err(error),
                (Err(error), [(_, event)]) => {
                    self.client.batch_execute("ROLLBACK TO run").await?;
                    let why = explain(&error, &self.job.server, Need::Table(&self.job.table)).text;
                    refused.push(self.refusal(&why, *event));
                }
                (Err(_), rows) => {
                    self.client.batch_execute("ROLLBACK TO run").await?;
                    let (first, second) = rows.split_at(rows.len() / 2);
                    open.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// Writes rows with the same columns by one statement.
    async fn write_run(&mut self, rows: &[Given<'_>]) -> Result<(), Error> {
        let Some((first, _)) = rows.first() else { return Ok(()) };
        let columns: Vec<usize> = first.iter().map(|(at, _)| *at).collect();
        let statement = self.statement(&columns).await?;
        if self.job.mode == Mode::Copy {
            return self.copy(&statement, rows).await;
        }
        let mut rows: Vec<&Row> = rows.iter().map(|(row, _)| row).collect();
        if self.job.mode == Mode::Upsert {
            statement::last_of_each_key(&mut rows, &self.key);
        }
        let arrays: Vec<Vec<Option<&str>>> =
            (0..columns.len()).map(|n| rows.iter().map(|row| row[n].1.as_deref()).collect()).collect();
        let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            arrays.iter().map(|array| array as _).collect();
        self.client.execute(&statement, &parameters).await.map(|_| ())
    }

    async fn copy(&self, statement: &Statement, rows: &[Given<'_>]) -> Result<(), Error> {
        let mut sink = pin!(self.client.copy_in::<_, Bytes>(statement).await?);
        let mut bytes = Vec::new();
        for (n, (row, _)) in rows.iter().enumerate() {
            statement::write_copied(row, &mut bytes);
            if bytes.len() >= PIECE || n + 1 == rows.len() {
                poll_fn(|context| sink.as_mut().poll_ready(context)).await?;
                sink.as_mut().start_send(std::mem::take(&mut bytes).into())?;
            }
        }
        sink.finish().await.map(|_| ())
    }

    async fn statement(&mut self, columns: &[usize]) -> Result<Statement, Error> {
        if let Some((_, statement)) = self.statements.iter().find(|(known, _)| known == columns) {
            return Ok(statement.clone());
        }
        let key = (self.job.mode == Mode::Upsert).then_some(self.job.key.as_slice());
        let statement = match self.job.mode {
            Mode::Copy => self.client.prepare(&statement::copy(&self.table, columns)).await?,
            _ => {
                let types = vec![Type::TEXT_ARRAY; columns.len()];
                let text = statement::insert(&self.table, columns, key);
                self.client.prepare_typed(&text, &types).await?
            }
        };
        if self.statements.len() >= MOST_STATEMENTS {
            self.statements.clear();
        }
        self.statements.push((columns.to_vec(), statement.clone()));
        Ok(statement)
    }

    async fn run(&self, statement: &str) -> Result<(), WriteError> {
        self.client.batch_execute(statement).await.map_err(|error| self.again(&error))
    }

    fn again(&self, error: &Error) -> WriteError {
        WriteError::Again(explain(error, &self.job.server, Need::Table(&self.job.table)))
    }
}

/// The table, if we may write to it as the plan wants.
pub async fn look(client: &Client, job: &Job) -> Result<Table, Failure> {
    let explained = |error: Error| explain(&error, &job.server, Need::Table(&job.table));
    let named = job.columns.iter().flatten().map(|(name, _)| name.clone());
    let columns: Vec<String> = if job.columns.is_some() { named.collect() } else { job.key.clone() };
    let key = (job.mode == Mode::Upsert).then_some(job.key.as_slice());
    let table = Table::find(client, &job.table).await.map_err(explained)?;
    // The server says best what is missing.
    let rehearsed = table.clone().unwrap_or_else(|| Table::new(&job.table, Vec::new()));
    let rehearsal = statement::rehearsal(&rehearsed, &columns, key);
    client.simple_query(&rehearsal).await.map_err(explained)?;
    Ok(table.unwrap_or(rehearsed))
}
