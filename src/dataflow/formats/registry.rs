//! Where a schema registry is, and which of its schemas events are written by.

use crate::config::{Meaning, Secrets, Section, Setting, read};
use crate::dataflow::{OptionKind, OptionSpec, open_options};
use std::fmt;
use std::path::PathBuf;

/// A schema registry, as an option of a format.
pub const REGISTRY: OptionSpec = OptionSpec::optional(
    "registry",
    OptionKind::Any(&[OptionKind::Text, OptionKind::Options(OPTIONS)]),
    "The schema registry (Confluent's, Apicurio's, Karapace) that knows the schemas by their numbers, for Kafka: \
     `https://registry:8081`, or a map.",
);

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("url", OptionKind::Text, "Where it is: `https://registry:8081`."),
    OptionSpec::optional("username", OptionKind::Text, "The user."),
    OptionSpec::optional(
        "password",
        OptionKind::Text,
        "The password; best as `${file:…}` or `${credential:…}`.",
    ),
    OptionSpec::optional("tls", OptionKind::Options(TLS), "Certificates, in PEM files."),
    OptionSpec::optional(
        "subject",
        OptionKind::Text,
        "Of a sink: whose schema events are written by, usually `TOPIC-value`: the latest, or the one in `schema`.",
    ),
    OptionSpec::or(
        "register",
        "false",
        OptionKind::Boolean,
        "Of a sink: whether the registry is given `schema` where the subject does not have it.",
    ),
];

const TLS: &[OptionSpec] = &[
    OptionSpec::optional("ca", OptionKind::Path, "Who may have signed the server's certificate."),
    OptionSpec::optional("cert", OptionKind::Path, "The client's own certificate."),
    OptionSpec::optional("key", OptionKind::Path, "Its key."),
];

/// A registry, as data.
#[derive(Clone)]
pub struct RegistryOptions {
    /// Where it is.
    pub url: String,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// Who may have signed its certificate.
    pub ca: Option<PathBuf>,
    /// Our own certificate with its key.
    pub own: Option<(PathBuf, PathBuf)>,
    /// Whose schema events are written by.
    pub subject: Option<String>,
    /// The schema that they are written by, where that is given; else the latest of the subject.
    pub schema: Option<String>,
    /// Whether that is put into the registry.
    pub register: bool,
    /// What must not be shown.
    pub secrets: Secrets,
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryOptions").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Reads the option [`REGISTRY`].
pub fn registry(setting: Setting<'_>) -> Option<RegistryOptions> {
    let secrets = setting.faults.secrets();
    let bare = |url: String| RegistryOptions {
        url,
        credentials: None,
        ca: None,
        own: None,
        subject: None,
        schema: None,
        register: false,
        secrets,
    };
    if !matches!(setting.node.meaning(), Meaning::Map(_)) {
        return address(setting).map(bare);
    }
    let section = open_options(setting, "`registry`", OPTIONS, &[]);
    let url = section.required("url", address);
    let (username, password) = (word(&section, "username"), word(&section, "password"));
    if let (Some(alone), None) | (None, Some(alone)) = (section.get("username"), section.get("password")) {
        alone.faults.error(alone.key, "`username` and `password` go together");
        return None;
    }
    let subject = word(&section, "subject");
    let register = section.or("register", false, read::boolean);
    let tls = section.get("tls").map(|tls| open_options(tls, "`tls`", TLS, &[]));
    let path = |setting: Setting<'_>| Some(setting.faults.folder().join(read::text(setting)?));
    let file = |name: &str| tls.as_ref().and_then(|tls| tls.optional(name, path));
    let (ca, cert, key) = (file("ca"), file("cert"), file("key"));
    if let Some(tls) = section.get("tls").filter(|_| cert.is_some() != key.is_some()) {
        tls.error("`cert` and `key` go together");
        return None;
    }
    let credentials = username.zip(password);
    Some(RegistryOptions { credentials, ca, own: cert.zip(key), subject, register, ..bare(url?) })
}

fn word(section: &Section<'_>, name: &'static str) -> Option<String> {
    section.optional(name, |setting| read::text(setting).map(str::to_owned))
}

fn address(setting: Setting<'_>) -> Option<String> {
    let url = read::text(setting)?;
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = host.map(|host| host.trim_end_matches('/'));
    if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '@'])) {
        setting.wrong("the address of a registry").hint("it is like `https://registry:8081`");
        return None;
    }
    Some(url.to_owned())
}
