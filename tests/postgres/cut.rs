//! A connection that is cut around a commit: nobody knows then whether it was one.

use crate::common::Folder;
use crate::common::pause;
use crate::servers::postgres::Postgres;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// When a connection is cut that commits.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// Before the server hears of it.
    Before,
    /// When the server has done it, and has not been heard.
    Behind,
}

/// Stands before a server and cuts a connection at every third commit. Returns its port, and how often it has cut.
fn cutting(server: u16, cut: Cut) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let cuts = Arc::new(AtomicU32::new(0));
    let (counted, mut commits) = (cuts.clone(), 0);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let back = std::thread::spawn(move || {
                // It ends when either side does.
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            forward(client, server, cut, &mut commits, &counted);
            back.join().unwrap();
        }
    });
    (port, cuts)
}

/// Lets a connection's bytes through until it is cut.
fn forward(mut client: TcpStream, mut server: TcpStream, cut: Cut, commits: &mut u32, cuts: &AtomicU32) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read) = client.read(&mut bytes) {
        let commits_now = bytes[..read].windows(6).any(|word| word == b"COMMIT");
        *commits += u32::from(commits_now);
        let is_cut = commits_now && commits.is_multiple_of(3);
        if is_cut && cut == Cut::Behind {
            let _ = client.shutdown(Shutdown::Both);
        }
        if read == 0 || (is_cut && cut == Cut::Before) || server.write_all(&bytes[..read]).is_err() {
            cuts.fetch_add(u32::from(is_cut), Ordering::Relaxed);
            break;
        }
        if is_cut {
            cuts.fetch_add(1, Ordering::Relaxed);
            // The server is to commit before it sees that nobody is there any more.
            pause(30);
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

fn rows_behind(cut: Cut, delivery: &str) -> Option<(Vec<String>, u32)> {
    let postgres = Postgres::shared()?;
    let database = postgres.database();
    database.execute("CREATE TABLE t (n int)");
    let (port, cuts) = cutting(postgres.port, cut);
    let url = database.url().replace(&postgres.port.to_string(), &port.to_string());
    let folder = Folder::empty();
    let text = format!(
        "pipeline: p\noptions: {{ checkpoint: 20ms, delivery: {delivery} }}\n\
         sources: {{ in: {{ generate: {{ count: 2000, rate: 2000, fields: {{ n: sequence() }} }} }} }}\n\
         sinks:\n  out:\n    from: in\n    batch: {{ events: 50, every: 10ms }}\n    \
         postgres: {{ url: '{url}', table: t }}\n"
    );
    folder.write("p.yaml", text);
    folder.run(&["run", "p.yaml", "--data-dir", "data"]).succeeded();
    let rows = "SELECT count(*) - count(DISTINCT n), count(DISTINCT n), min(n), max(n) FROM t";
    Some((database.lines(rows), cuts.load(Ordering::Relaxed)))
}

#[test]
fn a_commit_of_unknown_outcome_is_found_out() {
    for cut in [Cut::Before, Cut::Behind] {
        let Some((rows, cuts)) = rows_behind(cut, "exactly_once") else { return };
        assert_eq!(rows, ["0|2000|0|1999"]);
        assert!(cuts > 2, "{cuts} cuts");
    }
}

#[test]
fn without_a_marker_it_is_repeated() {
    let Some((rows, cuts)) = rows_behind(Cut::Behind, "at_least_once") else { return };
    assert!(rows[0].ends_with("|2000|0|1999") && !rows[0].starts_with("0|"), "{rows:?}");
    assert!(cuts > 2, "{cuts} cuts");
}
