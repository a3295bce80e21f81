//! The options of an `http` source.

use super::HTTP;
use super::receiving::Receiving;
use super::service::Terms;
use crate::clients::hidden::Hidden;
use crate::clients::http_server::Listening;
use crate::clients::tls::{TlsFiles, read_server_tls};
use crate::config::{Section, Setting, read};
use crate::dataflow::{
    Durable, FormatPlan, Handover, Journal, NodePlanner, PlannedSource, Probed, PushSource, Replay,
    RowSource, SourcePlan, Upkeep,
};
use crate::event::Slot;
use crate::expr::SourceField;
use crate::formats::Decoder;
use hyper::Method;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// What the one partition is called among positions.
const PARTITION: &[u8] = b"http";
/// Connections at a time.
const CONNECTIONS: usize = 512;
/// The most bytes that a body may be allowed to have: with what surrounds it, it must fit into a record of the log.
const LARGEST_BODY: u64 = 16 << 20;
/// The most requests a second that may be written.
const FASTEST: i64 = 1_000_000;

/// Plans an `http` source.
pub fn plan(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    format: &dyn FormatPlan,
) -> Option<PlannedSource> {
    let section = HTTP.open(setting);
    let address = section.required("listen", address);
    let methods = [("POST", Method::POST), ("PUT", Method::PUT)];
    let names: Vec<(&str, usize)> = methods.iter().enumerate().map(|(i, (name, _))| (*name, i)).collect();
    let method = section.or("method", 0, read::word(&names, &[]));
    let terms = Terms {
        path: section.or("path", "/".to_owned(), path),
        method: methods[method].1.clone(),
        token: section.optional("token", token),
        max_body: section.or("max_body", 1 << 20, body_limit) as usize,
        rate_limit: section.optional("rate_limit", read::integer(1..=FASTEST)).map(i64::unsigned_abs),
        reads_forms: format.describe().split(' ').next() == Some("json"),
    };
    let tls = section.optional("tls", |setting| read_server_tls(planner, setting));
    let who = format!("`{}` of `{}`", planner.name, planner.pipeline);
    let listening = Listening { who, address: address?, tls, connections: CONNECTIONS };
    guard(&section, &listening)?;
    let stage = planner.decoded_stage(format);
    let (provided, upkeep, journal) = (Vec::new(), Upkeep::default(), None);
    let plan = HttpSourcePlan { listening, terms, provided, upkeep, journal };
    Some(PlannedSource { plan: Box::new(plan), stage })
}

fn address(setting: Setting<'_>) -> Option<SocketAddr> {
    let text = read::text(setting)?;
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = local.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = local.or_else(|| text.parse().ok());
    if address.is_none() {
        let reported = setting.wrong("an address with a port");
        reported
            .hint("`127.0.0.1:8088` listens for this machine alone, `0.0.0.0:8088` and `[::]:8088` for all");
    }
    address
}

fn path(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    let may_stand = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
    if !text.starts_with('/') || !text.bytes().all(may_stand) {
        let reported = setting.wrong("a path such as `/events`");
        reported
            .hint("it begins with `/`; what a URL cannot hold is written with `%`; a query is not looked at");
        return None;
    }
    Some(text.to_owned())
}

fn token(setting: Setting<'_>) -> Option<Hidden> {
    let text = read::any_text(setting)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        // It may be a secret with a fault in it.
        setting
            .error("`token` needs letters, digits and signs without blanks, as they can stand in a header");
        return None;
    }
    Some(Hidden(text.to_owned()))
}

fn body_limit(setting: Setting<'_>) -> Option<u64> {
    let size = read::size(setting)?;
    if size == 0 || size > LARGEST_BODY {
        setting.wrong("a size above 0 and of at most 16MiB");
        return None;
    }
    Some(size)
}

/// Refuses to let anybody in who can reach us over a network.
fn guard(section: &Section<'_>, listening: &Listening) -> Option<()> {
    // What is faulty is told where it stands.
    let knows_clients = section.has("tls") && listening.tls.as_ref().is_none_or(|tls| tls.ca.is_some());
    let is_guarded =
        section.has("token") || knows_clients || listening.address.ip().to_canonical().is_loopback();
    if !is_guarded && let Some(setting) = section.get("listen") {
        let address = listening.address;
        let reported = setting.error(format!("whoever can reach `{address}` could send events"));
        reported.hint(
            "give a `token`, or `tls` with `ca`, which asks clients for certificates; or listen on 127.0.0.1",
        );
        return None;
    }
    Some(())
}

#[derive(Clone, Debug)]
struct HttpSourcePlan {
    listening: Listening,
    terms: Terms,
    provided: Vec<(SourceField, Slot)>,
    upkeep: Upkeep,
    journal: Option<Arc<Journal>>,
}

impl SourcePlan for HttpSourcePlan {
    fn describe(&self) -> String {
        let Terms { path, method, token, .. } = &self.terms;
        let Listening { address, tls, .. } = &self.listening;
        let (tls, ca) = (tls.is_some(), tls.as_ref().is_some_and(|tls| tls.ca.is_some()));
        let scheme = if tls { "https" } else { "http" };
        let guards = [(token.is_some(), ", with a token"), (ca, ", with certificates of clients")];
        let guards: String = guards.iter().filter(|(is_on, _)| *is_on).map(|(_, text)| *text).collect();
        format!("http {method} {scheme}://{address}{path}{guards}")
    }

    fn is_live(&self) -> bool {
        true
    }

    fn handover(&self) -> Option<Handover> {
        Some(Handover { name: "HTTP", loses: false })
    }

    fn replay(&self) -> Replay {
        Replay::Gone
    }

    fn listens(&self) -> Option<SocketAddr> {
        Some(self.listening.address)
    }

    fn partitions(&self) -> usize {
        1
    }

    fn is_one_partition(&self) -> bool {
        true
    }

    fn upkeep(&mut self) -> Option<&mut Upkeep> {
        Some(&mut self.upkeep)
    }

    fn durable(&self) -> Durable {
        self.upkeep.durable
    }

    fn journal(&mut self, journal: Arc<Journal>) {
        self.journal = Some(journal);
    }

    fn under_way(&self) -> Option<u64> {
        Some(CONNECTIONS as u64)
    }

    fn misfit(&self) -> Option<(String, &'static str)> {
        let message = "`stale_after` means nothing at `http`: it makes no connections";
        let hint = "`idle_after` beside `event_time` is about input that is silent";
        self.upkeep.stale_after.map(|_| (message.to_owned(), hint))
    }

    fn gives_inputs(&self) -> bool {
        true
    }

    fn provide(&mut self, wanted: Vec<(SourceField, Slot)>) {
        self.provided = wanted;
    }

    fn probe(&self) -> Option<Probed> {
        Some(probe(&self.listening))
    }

    fn partition(&self, _number: usize, decoder: &dyn Fn() -> Box<dyn Decoder>) -> Box<dyn RowSource> {
        let (listening, terms) = (self.listening.clone(), self.terms.clone());
        let (provided, journal) = (self.provided.clone(), self.journal.clone());
        let journaled = journal.is_some();
        let receiving = Receiving::new(listening, terms, provided, self.upkeep, journal);
        Box::new(PushSource::new(receiving, PARTITION, self.upkeep, journaled, decoder()))
    }
}

/// Looks whether we could listen. Where somebody does already, that may be the pipeline itself, which runs.
fn probe(listening: &Listening) -> Probed {
    listening.tls.as_ref().map(TlsFiles::load_for_server).transpose()?;
    let address = listening.address;
    match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Ok(format!("{address} is taken, which is right if this pipeline runs already"))
        }
        Err(error) => Err(listening.failure(&error)),
    }
}
