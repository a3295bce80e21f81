//! A look at a server: for `check --connect`.

use super::answer::{Verdict, judge};
use super::request::{Job, Outgoing};
use super::sender::ANSWER_LIMIT;
use super::{HttpLink, HttpOptions, HttpServer};
use crate::clients::tls::TlsFiles;
use crate::dataflow::Probed;
use crate::time::Timestamp;
use hyper::StatusCode;
use std::time::Duration;
use tokio::runtime::Builder;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects, with TLS where the URL says so, and sends nothing: nobody knows what a request would do there.
pub fn reach(tls: &TlsFiles, server: &HttpServer) -> Probed {
    with_link(tls, server, async |link| link.connect().await.map_err(|failed| failed.text))?;
    Ok(format!("{server} can be reached"))
}

/// Sends a request that changes nothing and would fail where a real one would. Answers of these statuses are as good as
/// success: they are about what is not in the request.
pub fn rehearse(job: &Job, outgoing: &Outgoing, expected: &[StatusCode]) -> Probed {
    let server = &outgoing.url.server;
    let request = outgoing.request()?;
    let ask = async |link: &mut HttpLink| link.ask(request).await.map_err(|failed| failed.text);
    let answer = with_link(&job.tls, server, ask)?;
    if expected.contains(&answer.status) {
        return Ok(format!("{server} lets us write"));
    }
    match judge(&answer, &*job.compose, true, Timestamp(0)) {
        Verdict::Taken => Ok(format!("{server} lets us write")),
        Verdict::Refused(why) | Verdict::Away(why, _) => Err(format!("{server}: {why}")),
    }
}

fn with_link<T>(
    tls: &TlsFiles,
    server: &HttpServer,
    ask: impl AsyncFnOnce(&mut HttpLink) -> Result<T, String>,
) -> Result<T, String> {
    let tls = server.secure.then(|| tls.load()).transpose().map_err(|why| format!("{server}: {why}"))?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("{server}: {error}"))?;
    let options = HttpOptions { timeout: PATIENCE, tries: 1, answer_limit: ANSWER_LIMIT };
    let mut link = HttpLink::new(server.clone(), options, tls);
    let outcome = runtime.block_on(ask(&mut link));
    drop(link);
    runtime.shutdown_background();
    outcome
}
