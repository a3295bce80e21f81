//! A look at a server: for `check --connect`.

use super::connect;
use super::job::Job;
use super::lease::{EPOCHS, Lease};
use super::reason::{Need, explain};
use super::session::look;
use super::table::Table;
use crate::dataflow::Probed;
use std::time::Duration;

/// How long looking at the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects and looks, and changes nothing.
pub fn probe(job: &Job) -> Probed {
    let server = job.server.secrets.mask(&job.server.shown).into_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("{server}: {error}"))?;
    let looked = async {
        let client = connect(&job.server).await.map_err(|failure| failure.text)?;
        let explained = |need: &str, error| explain(&error, &job.server, Need::Table(need)).text;
        let found = Table::find(&client, &job.table).await.map_err(|error| explained(&job.table, error))?;
        let table = match (job.creates && job.columns.is_some(), found) {
            (true, None) => format!("the table {} will be made", job.table),
            _ => {
                let table = look(&client, job).await.map_err(|failure| failure.text)?;
                format!("{} has {} columns", job.table, table.columns.len())
            }
        };
        let own = |error| explained(EPOCHS, error);
        if job.exactly_once && !Lease::can_be_made(&client).await.map_err(own)? {
            Lease::rehearse(&client).await.map_err(own)?;
        }
        let shown = client.query_one("SHOW server_version", &[]).await;
        let version: String = shown.and_then(|row| row.try_get(0)).unwrap_or_default();
        Ok(format!("PostgreSQL {version}; {table}"))
    };
    let outcome: Result<String, String> = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    });
    outcome.map(|found| format!("{server}: {found}")).map_err(|why| format!("{server}: {why}"))
}
