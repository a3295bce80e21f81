//! One connection.

use super::reason::{Failure, Need, explain};
use super::server::Server;
use std::sync::Arc;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A transaction of ours that stands still for so long is ended by the server: a connection that was cut must not hold up
/// the next one.
const STANDSTILL: &str = "SET idle_in_transaction_session_timeout = '60s'";

/// Connects. The connection is served by a task of the runtime at hand, and ends with the client.
///
/// # Errors
/// Why that failed, in words that say what to do.
pub async fn connect(server: &Server) -> Result<Client, Failure> {
    let explained = |error: tokio_postgres::Error| explain(&error, server, Need::Connection);
    let client = match &server.tls {
        None => {
            let (client, connection) = server.config.connect(NoTls).await.map_err(explained)?;
            tokio::spawn(connection);
            client
        }
        Some(files) => {
            let tls = files.load().map_err(Failure::of_connection)?;
            let tls = MakeRustlsConnect::new(Arc::unwrap_or_clone(tls));
            let (client, connection) = server.config.connect(tls).await.map_err(explained)?;
            tokio::spawn(connection);
            client
        }
    };
    client.batch_execute(STANDSTILL).await.map_err(explained)?;
    Ok(client)
}
