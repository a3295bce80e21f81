//! The options of a connection, which source and sink share.

use super::{Address, Connecting, Qos, Transport, Version};
use crate::clients::hidden::Hidden;
use crate::clients::tls::read_tls;
use crate::config::{Section, Setting, read};
use crate::dataflow::{NodePlanner, OptionKind, OptionSpec, Retry};
use crate::time::Millis;

/// The broker.
pub const URL: OptionSpec = OptionSpec::required(
    "url",
    OptionKind::Text,
    "The broker: `mqtt://host:1883`, `mqtts://host:8883`, or `ws://host:80/path`.",
);
/// The version of the protocol.
pub const VERSION: OptionSpec =
    OptionSpec::or("version", "5", OptionKind::Word(&["5", "3.1.1"]), "The version of the protocol.");
/// How often a message may arrive.
pub const QOS: OptionSpec = OptionSpec::or(
    "qos",
    "1",
    OptionKind::Integer,
    "How often a message may arrive: 0 at most once, 1 at least once, 2 exactly once within a session.",
);
/// The user.
pub const USERNAME: OptionSpec = OptionSpec::optional("username", OptionKind::Text, "Who we are.");
/// The password.
pub const PASSWORD: OptionSpec = OptionSpec::optional(
    "password",
    OptionKind::Text,
    "Proves it; best as `${file:…}` or `${credential:…}`.",
);
/// The client id.
pub const CLIENT_ID: OptionSpec = OptionSpec::optional(
    "client_id",
    OptionKind::Text,
    "What the broker knows the client by; absent: `headwater-<instance>-<pipeline>-<node>`.",
);
/// The keep-alive.
pub const KEEP_ALIVE: OptionSpec = OptionSpec::or(
    "keep_alive",
    "30s",
    OptionKind::Duration,
    "A connection on which nothing moves for so long is tried.",
);
/// Characters of a client id that is made up.
fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// The longest pause between two tries to connect, unless something else is said.
const LONGEST_PAUSE: Millis = Millis(30_000);

/// The longest text that the protocol carries, in bytes.
const LONGEST_TEXT: usize = 65_535;

/// Reads what a connection needs. What belongs to a session is as a client without one has it.
pub fn read_connecting(planner: &NodePlanner<'_>, section: &Section<'_>) -> Option<Connecting> {
    let address = section.required("url", address);
    let versions = [("5", Version::Five), ("3.1.1", Version::Three)];
    let version = section.or("version", Version::Five, read::word(&versions, &[]));
    let credentials = credentials(section);
    let client_id = section.optional("client_id", client_id);
    let keep_alive = section.or("keep_alive", Millis(30_000), seconds);
    let tls = section.optional("tls", |setting| read_tls(planner, setting));
    let address = address?;
    if let (Some(setting), true) = (section.get("tls"), address.transport != Transport::Tls) {
        setting.faults.error(setting.key, "`tls` goes with a URL that starts with `mqtts://`");
    }
    let made_up = format!("headwater-{}-{}-{}", planner.instance.id, planner.pipeline, planner.name);
    let made_up = made_up.chars().map(|c| if is_safe(c) { c } else { '_' }).take(LONGEST_TEXT).collect();
    Some(Connecting {
        who: format!("`{}` of `{}`", planner.name, planner.pipeline),
        address,
        version,
        credentials,
        client_id: client_id.unwrap_or(made_up),
        keep_alive: u16::try_from(keep_alive.0 / 1000).unwrap_or(u16::MAX),
        tls: tls.unwrap_or_default(),
        clean_start: true,
        session_expiry: 0,
        receive_maximum: 1,
        under_way: 1,
        largest_packet: 1 << 20,
        retry: Retry { max: LONGEST_PAUSE, ..Retry::default() },
        secrets: planner.faults.secrets().clone(),
    })
}

/// What the protocol counts in whole seconds; less than five serve nobody.
fn seconds(setting: Setting<'_>) -> Option<Millis> {
    let span = read::duration(setting)?;
    if !(5_000..=65_535_000).contains(&span.0) || span.0 % 1000 != 0 {
        setting.wrong("whole seconds from 5s to 65535s");
        return None;
    }
    Some(span)
}

fn address(setting: Setting<'_>) -> Option<Address> {
    let text = read::text(setting)?;
    match Address::parse(text) {
        Ok(address) => Some(address),
        Err(hint) => {
            setting.wrong("the URL of a broker").hint(hint);
            None
        }
    }
}

fn client_id(setting: Setting<'_>) -> Option<String> {
    let text = read::text(setting)?;
    if text.len() > LONGEST_TEXT || text.contains('\0') {
        setting.wrong("a text of at most 65535 bytes without null characters");
        return None;
    }
    Some(text.to_owned())
}

fn credentials(section: &Section<'_>) -> Option<(String, Hidden)> {
    let username = section.optional("username", |setting| read::text(setting).map(str::to_owned));
    let password = section.optional("password", |setting| read::any_text(setting).map(str::to_owned));
    if let (Some(setting), None) = (section.get("password"), section.get("username")) {
        setting.faults.error(setting.key, "`password` needs `username`");
    }
    Some((username?, Hidden(password.unwrap_or_default())))
}

/// How often a message may arrive.
pub fn qos(section: &Section<'_>) -> Qos {
    let number = section.or("qos", 1, read::integer(0..=2));
    match number {
        0 => Qos::AtMostOnce,
        2 => Qos::ExactlyOnce,
        _ => Qos::AtLeastOnce,
    }
}

/// Whether a text can be the topic of a message.
///
/// # Errors
/// Why not.
pub fn is_topic(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("a topic cannot be empty"),
        _ if text.len() > LONGEST_TEXT => Err("a topic has at most 65535 bytes"),
        _ if text.contains(['+', '#']) => Err("a message goes to one topic: `+` and `#` cannot stand in it"),
        _ if text.contains('\0') => Err("a topic cannot hold null characters"),
        _ => Ok(()),
    }
}
