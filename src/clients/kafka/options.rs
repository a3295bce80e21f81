//! The options of a connection, which source and sink share.

use super::address;
use super::connection::Connection;
use super::properties::read_properties;
use super::sasl::read_sasl;
use crate::clients::tls::read_tls;
use crate::config::{Role, Section, Setting, read};
use crate::dataflow::{NodePlanner, OptionKind, OptionSpec};

pub use super::sasl::SASL;

/// The brokers that are asked first.
pub const BROKERS: OptionSpec = OptionSpec::required(
    "brokers",
    OptionKind::OneOrList(&OptionKind::Text),
    "Brokers that are asked first, `host:9092`; a list, or several with commas between. They name the others.",
);

/// The most brokers that may be named.
const MOST_BROKERS: usize = 100;
/// The longest client id, in bytes.
const LONGEST_ID: usize = 249;

/// Reads what a connection of a source or sink needs: [`BROKERS`], [`crate::clients::tls::TLS`], [`SASL`] and
/// [`super::PROPERTIES`].
pub fn read_connection(planner: &NodePlanner<'_>, section: &Section<'_>, role: Role) -> Option<Connection> {
    let brokers = section.required("brokers", brokers);
    let tls = section.optional("tls", |setting| read_tls(planner, setting));
    let sasl = section.optional("sasl", read_sasl);
    let properties = read_properties(section, role);
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let client_id = format!("headwater-{}-{}-{}", planner.instance.id, planner.pipeline, planner.name);
    let client_id = client_id.chars().map(|c| if is_safe(c) { c } else { '_' }).take(LONGEST_ID);
    Some(Connection {
        who: format!("`{}` of `{}`", planner.name, planner.pipeline),
        brokers: brokers?,
        client_id: client_id.collect(),
        tls,
        sasl,
        properties,
        secrets: planner.faults.secrets(),
    })
}

fn brokers(setting: Setting<'_>) -> Option<Vec<String>> {
    let brokers = read::one_or_list(broker)(setting)?.concat();
    if brokers.len() > MOST_BROKERS {
        setting.error(format!("more than {MOST_BROKERS} brokers")).hint("a few do: they name the others");
        return None;
    }
    Some(brokers)
}

/// One, or several with commas between.
fn broker(setting: Setting<'_>) -> Option<Vec<String>> {
    let parsed: Result<_, &str> =
        read::text(setting)?.split(',').map(|text| address::parse(text.trim())).collect();
    match parsed {
        Ok(brokers) => Some(brokers),
        Err(hint) => {
            setting.wrong("the address of a broker").hint(hint);
            None
        }
    }
}
