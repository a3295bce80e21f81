//! What is told to whom: the variables `OTEL_*`, which come before what the configuration says.
//!
//! As their specification has it, an empty variable is none, and what a variable says wrong is told and is no reason not
//! to run.

use crate::clients::hidden::Hidden;
use crate::clients::http::{HttpUrl, is_header_value};
use crate::clients::tls::TlsFiles;
use crate::config::{Environment, Telemetry};
use crate::event::percent_decode;
use crate::time::Millis;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, TRANSFER_ENCODING};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How often readings are told if nobody says.
const INTERVAL: Millis = Millis(60_000);
/// How long a request may take if nobody says.
const TIMEOUT: Millis = Millis(10_000);
/// How often lines are told if nobody says.
const DELAY: Millis = Millis(1_000);
/// How many of them may wait if nobody says.
const QUEUE: usize = 2048;
/// The most that may be said.
const MOST_WAITING: usize = 65_536;
/// How many go into a request if nobody says.
const BATCH: usize = 512;
/// The longest of all times.
const LONGEST: i64 = 86_400_000;
/// The most attributes of the resource, and the most headers.
const MOST_PAIRS: usize = 64;
/// The longest list of them.
const LONGEST_LIST: usize = 16 << 10;

/// What is told to whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where readings go.
    pub metrics: Option<Target>,
    /// How often.
    pub interval: Millis,
    /// Where lines of the log go.
    pub logs: Option<Target>,
    /// How they are gathered.
    pub gathering: Gathering,
    /// What is told of the process besides, and in place of what would be told.
    pub resource: Vec<(String, String)>,
}

/// How what is said is gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// How often it is told.
    pub every: Millis,
    /// How much of it may wait; what comes then is lost.
    pub queue: usize,
    /// How much goes into one request.
    pub batch: usize,
}

/// Where a signal goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// To which it is posted.
    pub url: HttpUrl,
    /// Headers of all requests.
    pub headers: Vec<(HeaderName, Hidden)>,
    /// How long a request may take.
    pub timeout: Millis,
    /// Whether requests are packed.
    pub gzip: bool,
    /// Certificates.
    pub tls: TlsFiles,
}

impl Settings {
    /// Reads the variables, and takes what they do not say from the configuration. None if nothing is told to anybody, as it
    /// is where nobody names an endpoint.
    pub fn read(
        environment: &dyn Environment,
        file: &Telemetry,
        said: &mut dyn FnMut(String),
    ) -> Option<Settings> {
        let mut reader = Reader { environment, file, said, told: BTreeSet::new() };
        if reader.variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        let metrics = reader.target("METRICS", "v1/metrics");
        let logs = reader.target("LOGS", "v1/logs");
        if metrics.is_none() && logs.is_none() {
            return None;
        }
        reader.refuse_other_sums();
        let interval = reader.millis("OTEL_METRIC_EXPORT_INTERVAL").or(file.interval).unwrap_or(INTERVAL);
        let gathering = reader.gathering("OTEL_BLRP");
        Some(Settings { metrics, interval, logs, gathering, resource: reader.resource() })
    }
}

struct Reader<'a> {
    environment: &'a dyn Environment,
    file: &'a Telemetry,
    said: &'a mut dyn FnMut(String),
    /// What was said, as a variable may be that of all signals.
    told: BTreeSet<String>,
}

impl Reader<'_> {
    fn say(&mut self, fault: String) {
        if self.told.insert(fault.clone()) {
            (self.said)(fault);
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let text = self.environment.variable(name)?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// `OTEL_EXPORTER_OTLP_<SIGNAL>_<NAME>`, or that for all signals, with its name.
    fn exporter(&self, signal: &str, name: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{signal}_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
        names
            .into_iter()
            .find_map(|name| Some((self.variable(&name)?, name)))
            .map(|(text, name)| (name, text))
    }

    fn target(&mut self, signal: &str, path: &str) -> Option<Target> {
        match self.variable(&format!("OTEL_{signal}_EXPORTER")).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(_) => {
                self.say(format!("`OTEL_{signal}_EXPORTER` is neither `otlp` nor `none`: `otlp` is taken"));
            }
        }
        let (name, url) = self.url(signal, path)?;
        let url = match HttpUrl::parse(&url) {
            Ok(url) => url,
            Err(why) => {
                // It may hold a password.
                self.say(format!("`{name}` is not used: {why}"));
                return None;
            }
        };
        if let Some((name, protocol)) = self.exporter(signal, "PROTOCOL")
            && protocol != "http/protobuf"
        {
            self.say(format!("`{name}` is not used: only `http/protobuf` is spoken here"));
        }
        let timeout = self.exporter(signal, "TIMEOUT");
        let timeout = timeout.and_then(|(name, text)| self.positive(&name, &text)).unwrap_or(TIMEOUT);
        let (headers, gzip) = (self.headers(signal), self.gzip(signal));
        Some(Target { url, headers, timeout, gzip, tls: self.tls(signal) })
    }

    /// Who names it, and the whole URL. That of a signal is taken as it is.
    fn url(&self, signal: &str, path: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        if let Some(url) = self.variable(&own) {
            return Some((own, url));
        }
        let all = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let base = self.variable(all).map(|base| (all.to_owned(), base));
        let (name, base) =
            base.or_else(|| Some(("telemetry.endpoint".to_owned(), self.file.endpoint.clone()?)))?;
        Some((name, format!("{}/{path}", base.trim_end_matches('/'))))
    }

    fn gzip(&mut self, signal: &str) -> bool {
        match self.exporter(signal, "COMPRESSION") {
            Some((_, text)) if text == "gzip" => true,
            Some((name, text)) if text != "none" => {
                self.say(format!("`{name}` is neither `gzip` nor `none`: nothing is packed"));
                false
            }
            _ => false,
        }
    }

    fn tls(&self, signal: &str) -> TlsFiles {
        let path = |name: &str| self.exporter(signal, name).map(|(_, path)| PathBuf::from(path));
        let own = path("CLIENT_CERTIFICATE").zip(path("CLIENT_KEY"));
        TlsFiles { ca: path("CERTIFICATE"), own }
    }

    /// Those of the configuration, then those of the variable; a later one stands in the place of an earlier.
    fn headers(&mut self, signal: &str) -> Vec<(HeaderName, Hidden)> {
        let pairs = match self.exporter(signal, "HEADERS") {
            Some((name, text)) => self.pairs(&name, &text),
            None => Vec::new(),
        };
        let own = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONTENT_TYPE, CONTENT_ENCODING];
        let mut headers = Vec::new();
        for (key, value) in self.file.headers.clone().into_iter().chain(pairs) {
            match HeaderName::try_from(key.as_str()) {
                Ok(header) if !own.contains(&header) && is_header_value(&value).is_ok() => {
                    headers.retain(|(known, _)| *known != header);
                    headers.push((header, Hidden(value)));
                }
                // What is wrong with it may be that it is the secret.
                _ => self.say(
                    "a header of telemetry can be none, or follows from the request: it is not sent"
                        .to_owned(),
                ),
            }
        }
        headers
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let mut resource = self.file.resource.clone();
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        if let Some(text) = self.variable(name) {
            resource.extend(self.pairs(name, &text));
        }
        resource.extend(self.variable("OTEL_SERVICE_NAME").map(|text| ("service.name".to_owned(), text)));
        resource
    }

    /// `a=b,c=d`, percent-encoded as in the header `baggage`.
    fn pairs(&mut self, name: &str, text: &str) -> Vec<(String, String)> {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            let (key, value) = (percent_decode(key.trim())?, percent_decode(value.trim())?);
            (!key.is_empty()).then_some((key, value))
        };
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        let pairs: Option<Vec<_>> = parts.map(pair).collect();
        match pairs {
            Some(pairs) if pairs.len() <= MOST_PAIRS && text.len() <= LONGEST_LIST => pairs,
            _ => {
                self.say(format!(
                    "`{name}` is not used: expected `name=value,name=value`, {MOST_PAIRS} at the most"
                ));
                Vec::new()
            }
        }
    }

    fn millis(&mut self, name: &str) -> Option<Millis> {
        let text = self.variable(name)?;
        self.positive(name, &text)
    }

    /// How many, up to a limit.
    fn count(&mut self, name: &str, usual: usize, most: usize) -> usize {
        let Some(text) = self.variable(name) else { return usual };
        let count = text.parse().ok().filter(|count| (1..=most).contains(count));
        if count.is_none() {
            self.say(format!("`{name}` is not used: expected a number from 1 to {most}"));
        }
        count.unwrap_or(usual)
    }

    fn gathering(&mut self, prefix: &str) -> Gathering {
        let every = self.millis(&format!("{prefix}_SCHEDULE_DELAY")).unwrap_or(DELAY);
        let queue = self.count(&format!("{prefix}_MAX_QUEUE_SIZE"), QUEUE, MOST_WAITING);
        let batch = self.count(&format!("{prefix}_MAX_EXPORT_BATCH_SIZE"), BATCH.min(queue), queue);
        Gathering { every, queue, batch }
    }

    fn positive(&mut self, name: &str, text: &str) -> Option<Millis> {
        let millis = text.parse().ok().filter(|millis| (1..=LONGEST).contains(millis)).map(Millis);
        if millis.is_none() {
            self.say(format!("`{name}` is not used: expected milliseconds"));
        }
        millis
    }

    /// What is counted is counted since the start.
    fn refuse_other_sums(&mut self) {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        if self.variable(name).is_some_and(|text| !text.eq_ignore_ascii_case("cumulative")) {
            self.say(format!("`{name}` is not used: sums are `cumulative` here"));
        }
    }
}

#[cfg(test)]
mod tests;
