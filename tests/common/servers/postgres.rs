//! A real PostgreSQL, see `tests/servers/postgres.sh`.

use super::{Server, free_port, is_there};
use crate::common::{pause, until};
use rustix::process::Signal;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// A server.
pub struct Postgres {
    server: Server,
    /// Where it listens, with and without TLS.
    pub port: u16,
}

/// A database of its own for one test.
pub struct Database {
    /// Where its server listens.
    pub port: u16,
    /// What it is called.
    pub name: String,
}

impl Postgres {
    /// Who may do everything.
    pub const USER: &str = "postgres";
    /// The password of [`Postgres::USER`].
    pub const PASSWORD: &str = "postgres-secret";

    /// A server of one's own, to be stopped and killed; None where there is none.
    pub fn start() -> Option<Postgres> {
        let find = "ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null";
        if !is_there("PostgreSQL", Command::new("sh").args(["-c", find]).status().unwrap().success()) {
            return None;
        }
        // A port may be taken between looking and starting.
        (0..3).find_map(|_| {
            let port = free_port();
            let mut postgres =
                Postgres { server: Server::start("postgres.sh", vec![port.to_string()]), port };
            postgres.becomes_ready().then_some(postgres)
        })
    }

    /// The server that the tests of this binary share, with databases of their own.
    pub fn shared() -> Option<&'static Postgres> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Postgres::start).as_ref()
    }

    /// A new database.
    pub fn database(&self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("plant{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.maintenance().execute(&format!("CREATE DATABASE {name}"));
        Database { port: self.port, name }
    }

    /// The database that is always there.
    pub fn maintenance(&self) -> Database {
        Database { port: self.port, name: "postgres".to_owned() }
    }

    /// Where `ca.pem`, `client.pem` and `client.key` are.
    pub fn certificates(&self) -> &Path {
        self.server.folder()
    }

    /// Shows this certificate from now on: `server` or `expired`.
    pub fn show_certificate(&self, name: &str) {
        let place = self.server.folder();
        for ending in ["pem", "key"] {
            // Overwritten, so that owner and rights stay.
            let text = std::fs::read(place.join(format!("{name}.{ending}"))).unwrap();
            std::fs::write(place.join(format!("data/server.{ending}")), text).unwrap();
        }
        self.server.signal(Signal::HUP);
    }

    fn becomes_ready(&mut self) -> bool {
        let mut alive = true;
        until("PostgreSQL answers", || {
            pause(20);
            alive = self.server.is_alive();
            !alive || self.maintenance().try_query("SELECT 1").is_ok()
        });
        alive
    }

    /// Ends it in good order; who is connected is thrown out.
    pub fn stop(&mut self) {
        self.server.end(Signal::INT);
    }

    /// Ends it at once; it recovers when it starts again.
    pub fn kill(&mut self) {
        self.server.end(Signal::QUIT);
    }

    /// Starts it again after [`Postgres::stop`] or [`Postgres::kill`], and waits until it answers.
    pub fn start_again(&mut self) {
        self.server.run();
        assert!(self.becomes_ready(), "{}", self.server.log());
    }
}

impl Database {
    /// Its address for [`Postgres::USER`].
    pub fn url(&self) -> String {
        self.url_of(Postgres::USER, Postgres::PASSWORD)
    }

    /// Its address for somebody else.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// Runs statements.
    pub fn execute(&self, statements: &str) {
        self.query(statements);
    }

    /// The rows that statements give, each value as text.
    pub fn query(&self, statements: &str) -> Vec<Vec<Option<String>>> {
        self.try_query(statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"))
    }

    /// The rows as lines of values, `|` between them, `-` for null.
    pub fn lines(&self, statements: &str) -> Vec<String> {
        let line = |row: Vec<Option<String>>| {
            let values: Vec<String> = row.into_iter().map(|value| value.unwrap_or("-".into())).collect();
            values.join("|")
        };
        self.query(statements).into_iter().map(line).collect()
    }

    /// The one value that a statement gives.
    pub fn number(&self, statement: &str) -> i64 {
        self.query(statement)[0][0].as_ref().expect("a value").parse().unwrap()
    }

    /// The rows that statements give, or why they fail.
    pub fn try_query(&self, statements: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
            let connection = tokio::spawn(connection);
            let messages = client.simple_query(statements).await;
            drop(client);
            // It ends with the client; what went wrong the messages say.
            let _ = connection.await;
            let row = |message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
                }
                _ => None,
            };
            Ok(messages?.into_iter().filter_map(row).collect())
        })
    }
}
