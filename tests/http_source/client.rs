//! A client that sends what it is told to, right or wrong.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server said.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, in lower case.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// A connection, which is kept.
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client(BufReader::new(stream)))
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    /// Reads an answer.
    pub fn read(&mut self) -> io::Result<Answer> {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut headers)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let headers = headers.to_lowercase();
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: status.ok_or(ErrorKind::InvalidData)?, headers, body })
    }

    /// Sends a request to `/in`, with headers that each end a line, and reads the answer.
    pub fn post(&mut self, headers: &str, body: &[u8]) -> io::Result<Answer> {
        let length = body.len();
        let head = format!("POST /in HTTP/1.1\r\nHost: here\r\n{headers}Content-Length: {length}\r\n\r\n");
        self.write([head.as_bytes(), body].concat())?;
        self.read()
    }
}

/// Sends a request to `/in` on a connection of its own.
pub fn post(port: u16, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    Client::connect(port).unwrap().post(headers, body.as_ref()).unwrap()
}

/// Sends bytes as they are, and reads the answer.
pub fn send(port: u16, request: &str) -> Answer {
    let mut client = Client::connect(port).unwrap();
    client.write(request).unwrap();
    client.read().unwrap()
}

/// Packs by gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}
