//! The rows that a query gives, as lines of JSON.

use super::connect;
use super::reason::{Need, explain};
use super::server::Server;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Error};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a look may take.
const LOOK: Duration = Duration::from_secs(10);
/// How many rows are fetched at a time.
const AT_A_TIME: u32 = 5_000;

/// A query that is asked again and again, over a connection that is kept.
pub struct Asking {
    server: Server,
    query: String,
    /// The most bytes of an answer.
    limit: usize,
    runtime: Option<Runtime>,
    client: Option<Client>,
}

impl Asking {
    /// The query must give rows, and stand by itself. Nothing is connected yet.
    pub fn new(server: Server, query: String, limit: usize) -> Asking {
        Asking { server, query, limit, runtime: None, client: None }
    }

    /// The server, as messages may show it.
    pub fn server(&self) -> String {
        self.server.secrets.mask(&self.server.shown).into_owned()
    }

    /// All rows, as they are now: a line each, `row_to_json` says how values are written. Blocks for up to a minute.
    ///
    /// # Errors
    /// Why there are none, in words that say what to do.
    pub fn ask(&mut self) -> Result<Vec<u8>, String> {
        self.run(PATIENCE, async |asking| asking.rows().await)
    }

    /// The names of the columns of these rows, asked without having any of them made. Blocks for some ten seconds at the
    /// most.
    ///
    /// # Errors
    /// Why there would be no rows.
    pub fn columns(&mut self) -> Result<Vec<String>, String> {
        self.run(LOOK, async |asking| {
            let client = asking.connected().await?;
            let failed = |error: Error| explain(&error, &asking.server, Need::Connection).text;
            let query = asking.from("*");
            // Rights are looked at only by what begins to execute.
            client.batch_execute(&format!("EXPLAIN {query}")).await.map_err(failed)?;
            let statement = client.prepare(&query).await.map_err(failed)?;
            Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
        })
    }

    /// Waits for an answer, for so long at the most.
    fn run<T>(
        &mut self,
        patience: Duration,
        ask: impl AsyncFnOnce(&mut Asking) -> Result<T, String>,
    ) -> Result<T, String> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?,
        };
        let asked = runtime.block_on(async {
            let patient = tokio::time::timeout(patience, ask(self)).await;
            patient.unwrap_or_else(|_| Err(format!("no answer within {} s", patience.as_secs())))
        });
        if asked.is_err() {
            // Whatever state the connection is in, the next one is fresh.
            self.client = None;
        }
        self.runtime = Some(runtime);
        asked
    }

    async fn rows(&mut self) -> Result<Vec<u8>, String> {
        let client = self.connected().await?;
        let rows = self.fetch(&client).await?;
        self.client = Some(client);
        Ok(rows)
    }

    /// That of all rows, by one statement.
    fn from(&self, what: &str) -> String {
        format!("SELECT {what} FROM (\n{}\n) given", self.query.trim().trim_end_matches(';'))
    }

    async fn connected(&mut self) -> Result<Client, String> {
        match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => Ok(client),
            None => connect(&self.server).await.map_err(|failure| failure.text),
        }
    }

    /// Reads by a cursor, so that no more than the limit is ever in memory.
    async fn fetch(&self, client: &Client) -> Result<Vec<u8>, String> {
        let failed = |error: Error| explain(&error, &self.server, Need::Connection).text;
        let begin = format!(
            "BEGIN READ ONLY; DECLARE headwater_rows NO SCROLL CURSOR FOR {}",
            self.from("row_to_json(given)::text")
        );
        client.batch_execute(&begin).await.map_err(failed)?;
        let (mut lines, fetch) = (Vec::new(), format!("FETCH {AT_A_TIME} FROM headwater_rows"));
        loop {
            let rows = client.query(&fetch, &[]).await.map_err(failed)?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let line: &str = row.try_get(0).map_err(failed)?;
                lines.extend_from_slice(line.as_bytes());
                lines.push(b'\n');
            }
            if lines.len() > self.limit {
                return Err(format!("the query gives more than {} MiB", self.limit >> 20));
            }
        }
        client.batch_execute("COMMIT").await.map_err(failed)?;
        Ok(lines)
    }
}
