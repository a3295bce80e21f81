//! A small HTTP server that answers what a test says, and remembers what it was sent.

use crate::common::{pause, until};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A request that came whole.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// By names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// When it was there.
    pub at: Instant,
    /// What it was answered; 0 where it was not.
    pub status: u16,
}

impl Seen {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What a request is answered.
pub enum Answer {
    /// A status, further header lines, and a body.
    Of(u16, &'static str, &'static str),
    /// A beginning only, then the connection ends.
    Cut,
    /// None: the connection stays open.
    Silence,
}

/// Well received.
pub const TAKEN: Answer = Answer::Of(202, "", "");

/// Decides about a request, given how many came before it.
type Decide = dyn Fn(&Seen, usize) -> Answer + Send + Sync;

/// The server; it lasts as long as the test's process.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers as it is told.
    pub fn start(decide: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (into, decide): (_, Arc<Decide>) = (seen.clone(), Arc::new(decide));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (into, decide) = (into.clone(), decide.clone());
                std::thread::spawn(move || serve(stream, &into, &*decide));
            }
        });
        Server { port, seen }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Those that were taken.
    pub fn taken(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| (200..300).contains(&seen.status)).collect()
    }

    /// Waits until so many were there.
    pub fn until_seen(&self, count: usize) -> Vec<Seen> {
        until(&format!("{count} requests"), || self.seen().len() >= count);
        self.seen()
    }
}

#[expect(clippy::disallowed_methods, reason = "a process of its own lives in real time")]
fn now() -> Instant {
    Instant::now()
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Seen>>, decide: &Decide) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read(&mut reader) {
        let (at, answer) = {
            let mut seen = seen.lock().unwrap();
            let answer = decide(&request, seen.len());
            let status = match answer {
                Answer::Of(status, _, _) => status,
                Answer::Cut | Answer::Silence => 0,
            };
            seen.push(Seen { status, ..request });
            (seen.len(), answer)
        };
        let sent = match answer {
            Answer::Of(status, headers, body) => {
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
            }
            Answer::Cut => {
                // Nobody may be there any more.
                let _ = write!(stream, "HTTP/1.1 200 Said\r\ncontent-length: 100\r\n\r\nno {at}");
                return;
            }
            Answer::Silence => {
                pause(60_000);
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The next request; None if it does not come whole.
fn read(reader: &mut impl BufRead) -> Option<Seen> {
    let line = |reader: &mut dyn BufRead| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.ends_with('\n').then(|| line.trim_end().to_owned())
    };
    let first = line(reader)?;
    let (method, rest) = first.split_once(' ')?;
    let path = rest.split(' ').next()?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let header = line(reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { method: method.to_owned(), path, headers, body, at: now(), status: 0 })
}
