//! `http`: rows that a server is asked for, one at a time.

use crate::clients::http::{AUTH, FixedHeaders, HEADERS, HttpClient, HttpOptions, HttpServer, reach};
use crate::clients::tls::{TLS, TlsFiles, read_tls};
use crate::config::{Role, Setting, read};
use crate::dataflow::{
    Address, AskedTable, ComponentSpec, NodePlanner, OpenTable, OptionKind, OptionSpec, Probed, SharedTable,
    TableHead, TableKeeper, TableLayout, TablePlan, TableSpec,
};
use crate::time::{Millis, Timestamp};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The registry entry.
pub const HTTP: TableSpec = TableSpec { spec: &SPEC, decodes: false, plan };

const SPEC: ComponentSpec = ComponentSpec {
    name: "http",
    role: Role::Table,
    summary: "Rows that a server is asked for, one at a time: it answers GET with a JSON object, or with 404 where there is \
              no row. Answers are kept for a while, at most 10,000 of them and 64 MiB. Events wait for theirs in the order in which \
              they came, and nothing more is read meanwhile. Where the server is away or says that it cannot just now \
              (401, 403, 408, 429, 5xx), it is asked again and again, and events wait; any other answer rejects the event. \
              `lookup` must `select` what it adds.",
    short: None,
    options: &[
        OptionSpec::required(
            "url",
            OptionKind::Text,
            "Where, with each column of the key in braces: `http://host:8000/devices/{device}`. Values are percent-encoded.",
        ),
        OptionSpec::or(
            "cache",
            "5m",
            OptionKind::Duration,
            "How long an answer holds, also that there is no row.",
        ),
        HEADERS,
        AUTH,
        OptionSpec::or("timeout", "10s", OptionKind::Duration, "How long an answer may take."),
        OptionSpec::or("concurrency", "4", OptionKind::Integer, "How many calls may be under way at a time."),
        TLS,
    ],
    later: &[],
    example: "\
transforms:
  placed:
    from: readings
    lookup: { table: devices, match: device = device, select: [site], missing: reject }
tables:
  devices:
    http: { url: \"http://inventory:8000/devices/{device}\", cache: 10m }
    key: [device]
tests:
  - name: a test connects to nothing, and states what the table holds
    tables: { devices: [{ device: d1, site: Berlin }] }
    steps:
      - send: { readings: { device: d1, temp: 20.5 } }
      - expect: { out: [{ device: d1, site: Berlin }] }
",
};

/// The longest answer.
const MOST_BYTES: usize = 1 << 20;
/// How long a thread waits for something to ask before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(500);
/// The wait behind the first call that failed; each further one doubles it.
const FIRST_WAIT: Millis = Millis(250);
const LONGEST_WAIT: Millis = Millis(30_000);

fn plan(planner: &NodePlanner<'_>, head: &TableHead<'_>, setting: Setting<'_>) -> Option<Box<dyn TablePlan>> {
    let section = SPEC.open(setting);
    let cache = section.or("cache", Millis(300_000), read::positive_duration);
    let timeout = section.or("timeout", Millis(10_000), read::positive_duration);
    let threads = section.or("concurrency", 4, read::integer(1..=64));
    let tls = section.optional("tls", |setting| read_tls(planner, setting)).unwrap_or_default();
    let headers = FixedHeaders::read(&section, &[]);
    let (server, address) = section.required("url", |setting| url(setting, head.key))?;
    let who = format!("`{}` of `{}`", planner.name, planner.pipeline);
    Some(Box::new(HttpPlan {
        who,
        server,
        address,
        headers: headers?,
        cache,
        timeout,
        threads: threads as usize,
        tls,
    }))
}

/// Reads the server and what is asked of it.
fn url(setting: Setting<'_>, key: &[String]) -> Option<(HttpServer, Address)> {
    let text = read::text(setting)?;
    let behind = text.find("://").map_or(0, |at| at + 3);
    let (base, path) = text.split_at(text[behind..].find('/').map_or(text.len(), |at| behind + at));
    let server = HttpServer::parse(base).map_err(|why| setting.error(why)).ok()?;
    let address = Address::parse(path, key);
    let address = address.map_err(|why| {
        setting.error(why).hint("each column of the key stands in the path: `http://host/devices/{device}`");
    });
    let plain: String = path.chars().filter(|c| !matches!(c, '{' | '}')).collect();
    if request(&server, &plain, &FixedHeaders::default()).is_err() {
        setting
            .error("this is no URL")
            .hint("what is no letter, digit or one of `-._~/?=&` is percent-encoded");
        return None;
    }
    Some((server, address.ok()?))
}

fn request(server: &HttpServer, path: &str, headers: &FixedHeaders) -> Result<Request<Bytes>, String> {
    let mut request =
        Request::get(path).header("host", server.authority()).header("accept", "application/json");
    request.headers_mut().into_iter().for_each(|all| headers.write(all));
    request.body(Bytes::new()).map_err(|error| error.to_string())
}

/// A server as a table.
#[derive(Clone, Debug)]
struct HttpPlan {
    /// The table, for messages.
    who: String,
    server: HttpServer,
    address: Address,
    headers: FixedHeaders,
    cache: Millis,
    timeout: Millis,
    threads: usize,
    tls: TlsFiles,
}

impl TablePlan for HttpPlan {
    fn describe(&self) -> String {
        format!("{}, answers hold for {}", self.server, self.cache)
    }

    fn columns(&self) -> Option<&[String]> {
        None
    }

    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }

    /// What a server says of a key that nobody has is known only to whoever runs it.
    fn probe(&self, _layout: &TableLayout) -> Option<Probed> {
        Some(reach(&self.tls, &self.server))
    }

    fn open(&self, layout: &TableLayout) -> Result<OpenTable, String> {
        let asked = AskedTable::new(layout.columns.clone(), self.cache);
        let trouble = Arc::new(Mutex::new(String::new()));
        let caller = || Caller {
            plan: self.clone(),
            asked: asked.clone(),
            client: None,
            failures: 0,
            trouble: trouble.clone(),
        };
        let callers = (0..self.threads).map(|_| Box::new(caller()) as Box<dyn TableKeeper>);
        Ok(OpenTable::asked(asked.clone(), callers.collect()))
    }
}

/// Makes one call at a time.
struct Caller {
    plan: HttpPlan,
    asked: AskedTable,
    client: Option<HttpClient>,
    /// Calls that failed since one succeeded.
    failures: u32,
    /// What was told of the last failure; all callers of a table share it.
    trouble: Arc<Mutex<String>>,
}

impl Caller {
    /// # Errors
    /// Why there is no answer for now.
    fn call(&mut self, path: &str) -> Result<Result<Option<Bytes>, String>, String> {
        let HttpPlan { server, headers, timeout, tls, .. } = &self.plan;
        // What is asked for was checked, and values are encoded; what is no path all the same has no row.
        let Ok(first) = request(server, path, headers) else { return Ok(Ok(None)) };
        let client = match &mut self.client {
            Some(client) => client,
            empty => {
                let timeout = Duration::from_millis(timeout.0.max(0) as u64);
                let options = HttpOptions { timeout, tries: 1, answer_limit: MOST_BYTES };
                empty.insert(HttpClient::new(server.clone(), options, tls)?)
            }
        };
        let answer = client.send(&mut || first.clone())?;
        match answer.status {
            StatusCode::OK => Ok(Ok(Some(answer.body))),
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::NO_CONTENT => Ok(Ok(None)),
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => Err(format!("{server} answers {}", answer.status)),
            status if status.is_server_error() => Err(format!("{server} answers {status}")),
            status => Ok(Err(format!("{server} answers {status}"))),
        }
    }

    fn failed(&mut self, why: String) -> Millis {
        // A connection that was kept may be the fault.
        self.client = None;
        let wait = Millis((FIRST_WAIT.0 << self.failures.min(10)).min(LONGEST_WAIT.0));
        self.failures += 1;
        let mut told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_empty() {
            tracing::warn!("table {}: no answer: {why}; events wait, and it is asked again", self.plan.who);
            *told = why;
        }
        wait
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        let mut told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.is_empty() {
            tracing::info!("table {}: {} answers again", self.plan.who, self.plan.server);
            told.clear();
        }
    }
}

impl TableKeeper for Caller {
    fn keep(&mut self, _table: &SharedTable, _now: (Timestamp, Millis)) -> Millis {
        let Some(path) = self.asked.next(LOOK) else { return Millis::ZERO };
        match self.call(&path) {
            Ok(answer) => {
                self.succeeded();
                self.asked.answer(path, answer.as_ref().map(Option::as_deref).map_err(Clone::clone));
                Millis::ZERO
            }
            Err(why) => {
                self.asked.again(path);
                self.failed(why)
            }
        }
    }
}
