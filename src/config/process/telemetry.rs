//! Who is told what is measured and said.

use std::fmt;

use crate::config::read;
use crate::config::secrets::Secrets;
use crate::config::section::{Keys, Setting};
use crate::time::Millis;

/// The keys of `telemetry`.
pub const TELEMETRY: Keys<'static> = Keys::of(&["endpoint", "headers", "interval", "resource"]);

/// The most headers, and the most attributes of the resource.
const MOST_PAIRS: usize = 64;

/// What the file says of it; the variables `OTEL_*` come before it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// The collector's address, without `/v1/metrics`.
    pub endpoint: Option<String>,
    /// Headers of all requests; they may be secrets.
    pub headers: Vec<(String, String)>,
    /// How often readings are told.
    pub interval: Option<Millis>,
    /// What is told of the process besides.
    pub resource: Vec<(String, String)>,
}

/// What headers say is not shown.
impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "Telemetry({:?} {headers:?} {:?} {:?})", self.endpoint, self.interval, self.resource)
    }
}

/// Reads `telemetry`.
pub(super) fn telemetry(setting: Setting<'_>) -> Telemetry {
    let section = setting.section("`telemetry`", TELEMETRY);
    let headers = section.optional("headers", pairs).unwrap_or_default();
    let mut secrets = Secrets::default();
    headers.iter().for_each(|(_, value)| secrets.add(value));
    setting.faults.keep_secret(&secrets);
    Telemetry {
        endpoint: section.optional("endpoint", super::endpoint),
        headers,
        interval: section.optional("interval", read::positive_duration),
        resource: section.optional("resource", pairs).unwrap_or_default(),
    }
}

fn pairs(setting: Setting<'_>) -> Option<Vec<(String, String)>> {
    let pairs = read::map(|value| read::any_text(value).map(str::to_owned))(setting)?;
    if pairs.len() > MOST_PAIRS {
        setting.error(format!("{} are too many: at most {MOST_PAIRS}", pairs.len()));
        return None;
    }
    Some(pairs.into_iter().map(|(key, value)| (key.name.to_owned(), value)).collect())
}
