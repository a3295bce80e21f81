//! Where a process listens, and who may ask it what.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::read;
use crate::config::secrets::Secrets;
use crate::config::section::{Keys, Section, Setting};

/// The keys of `auth`.
pub const AUTH: Keys<'static> = Keys::of(&["reader", "operator"]);
/// The keys of `tls`.
pub const TLS: Keys<'static> = Keys::of(&["cert", "key"]);

/// Where it listens if nobody says.
pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// What `listen` says where it is to listen nowhere.
pub const NOWHERE: &str = "none";

/// The shortest token: what is shorter can be guessed.
const SHORTEST_TOKEN: usize = 16;
/// The longest one, which fits into a request's head.
const LONGEST_TOKEN: usize = 4096;

/// What holds for the server of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// Where it listens; None where nobody says.
    pub listen: Option<Listen>,
    /// Who may ask.
    pub tokens: Tokens,
    /// Its certificate and key, as written: relative paths start at the working directory.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Where a process listens beside its control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Nowhere,
    /// There.
    At(SocketAddr),
}

/// Tokens by what they allow; none at all: whoever reaches the server may do everything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Those of readers.
    pub reader: Vec<String>,
    /// Those of operators.
    pub operator: Vec<String>,
}

impl Tokens {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.reader.is_empty() && self.operator.is_empty()
    }
}

/// Tokens are not shown.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} of readers, {} of operators)", self.reader.len(), self.operator.len())
    }
}

impl Listen {
    /// Reads `none`, or an address with a port.
    pub fn parse(text: &str) -> Option<Listen> {
        if text == NOWHERE {
            return Some(Listen::Nowhere);
        }
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let local = local.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        local.or_else(|| text.parse().ok()).map(Listen::At)
    }

    /// What is wrong with listening there without tokens; None if only this machine can reach it.
    pub fn unguarded(self) -> Option<String> {
        match self {
            Listen::At(address) if !address.ip().to_canonical().is_loopback() => {
                Some(format!("whoever can reach `{address}` could see and control pipelines"))
            }
            _ => None,
        }
    }
}

/// How to guard an address that others can reach.
pub const GUARD_IT: &str =
    "give tokens: `auth: { operator: \"${credential:name}\" }`; or listen on 127.0.0.1";

/// Reads what the file says of the server.
pub(super) fn serving(section: &Section<'_>) -> Serving {
    let listen = section.optional("listen", listen);
    let tokens = section.optional("auth", |setting| Some(tokens(setting)));
    let unguarded = listen.and_then(Listen::unguarded).filter(|_| tokens.is_none());
    if let (Some(message), Some(setting)) = (unguarded, section.get("listen")) {
        setting.error(message).hint(GUARD_IT);
    }
    Serving { listen, tokens: tokens.unwrap_or_default(), tls: section.optional("tls", tls) }
}

fn listen(setting: Setting<'_>) -> Option<Listen> {
    let listen = Listen::parse(read::text(setting)?);
    if listen.is_none() {
        let reported = setting.wrong("an address with a port, or `none`");
        reported
            .hint("`127.0.0.1:8080` listens for this machine alone, `0.0.0.0:8080` and `[::]:8080` for all");
    }
    listen
}

fn tokens(setting: Setting<'_>) -> Tokens {
    let section = setting.section("`auth`", AUTH);
    let read = |key: &str| section.optional(key, read::one_or_list(token)).unwrap_or_default();
    let (reader, operator) = (read("reader"), read("operator"));
    if !section.has("reader") && !section.has("operator") && !section.is_broken() {
        section
            .error("`auth` has no tokens")
            .hint("give `reader`, `operator` or both, each a token or a list");
    }
    Tokens { reader, operator }
}

fn token(setting: Setting<'_>) -> Option<String> {
    let text = read::any_text(setting)?.trim();
    // It may stand in the file itself, too.
    let mut secrets = Secrets::default();
    secrets.add(text);
    setting.faults.keep_secret(&secrets);
    if !(SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&text.len()) {
        let message =
            format!("a token has {SHORTEST_TOKEN} to {LONGEST_TOKEN} characters, this one {}", text.len());
        setting.error(message).hint("`openssl rand -hex 32` makes a good one");
        return None;
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        setting
            .error("a token needs letters, digits and signs without blanks, as they can stand in a header");
        return None;
    }
    Some(text.to_owned())
}

fn tls(setting: Setting<'_>) -> Option<(PathBuf, PathBuf)> {
    let section = setting.section("`tls`", TLS);
    let (cert, key) = (section.required("cert", read::text), section.required("key", read::text));
    Some((PathBuf::from(cert?), PathBuf::from(key?)))
}
