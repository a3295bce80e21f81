//! Options that sinks share which post.

use super::request::{Compose, Job};
use crate::clients::hidden::Hidden;
use crate::clients::tls::read_tls;
use crate::config::{Section, Setting, read};
use crate::dataflow::{Batching, NodePlanner, OptionKind, OptionSpec, Retry, open_options};
use crate::time::Millis;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// How long a request may take.
pub const TIMEOUT: OptionSpec = OptionSpec::or(
    "timeout",
    "30s",
    OptionKind::Duration,
    "How long it may take from sending a request to the end of its answer.",
);

/// Who we are.
pub const AUTH: OptionSpec = OptionSpec::optional(
    "auth",
    OptionKind::Options(AUTH_OPTIONS),
    "Who we are: `{ bearer: TOKEN }` or `{ basic: { username: NAME, password: … } }`; secrets best as `${file:…}` or \
     `${credential:…}`.",
);

const AUTH_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional("bearer", OptionKind::Text, "A token."),
    OptionSpec::optional("basic", OptionKind::Options(BASIC_OPTIONS), "A name and a password."),
];

const BASIC_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("username", OptionKind::Text, "The name."),
    OptionSpec::required("password", OptionKind::Text, "The password."),
];

/// The value of the header that says who we are, if any is sent.
#[derive(Clone, Debug, Default)]
pub struct Authorisation(Option<Hidden>);

impl Authorisation {
    /// One of that scheme: `Bearer`, `Token`.
    pub fn of(scheme: &str, secret: &str) -> Authorisation {
        Authorisation(Some(Hidden(format!("{scheme} {secret}"))))
    }

    /// Adds the header.
    pub fn write(&self, headers: &mut HeaderMap) {
        // Whoever read it has looked whether it can be one.
        if let Some(Ok(mut value)) = self.0.as_ref().map(|text| HeaderValue::try_from(&text.0)) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
    }
}

/// Reads [`AUTH`].
pub fn read_auth(setting: Setting<'_>) -> Option<Authorisation> {
    let section = open_options(setting, "`auth`", AUTH_OPTIONS, &[]);
    let one = section.exactly_one(&["bearer", "basic"], "way")?;
    if one.name == "bearer" {
        return Some(Authorisation::of("Bearer", secret(one)?));
    }
    let basic = open_options(one, "`basic`", BASIC_OPTIONS, &[]);
    let username = basic.required("username", read::text);
    let password = basic.required("password", read::any_text);
    let (username, password) = (username?, password?);
    if let Some(setting) = basic.get("username").filter(|_| username.contains(':')) {
        setting.error("the name cannot hold a colon");
        return None;
    }
    Some(Authorisation::of("Basic", &STANDARD.encode(format!("{username}:{password}"))))
}

/// Reads a text that can stand in a header.
pub fn secret(setting: Setting<'_>) -> Option<&str> {
    let text = read::text(setting)?.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        setting.error(format!("`{}` must be printable ASCII: it becomes a header", setting.name));
        return None;
    }
    Some(text)
}

/// Reads what all sinks that post have, around what makes the requests. Refuses `tls` where no server speaks it.
pub fn read_posting(
    planner: &NodePlanner<'_>,
    section: &Section<'_>,
    url: Option<&str>,
    compose: Arc<dyn Compose>,
) -> Job {
    let tls = section.optional("tls", |setting| read_tls(planner, setting));
    if let (Some(setting), true) = (section.get("tls"), url.is_some_and(|url| url.starts_with("http://"))) {
        setting.faults.error(setting.key, "`tls` goes with a URL that starts with `https://`");
    }
    let timeout = section.or("timeout", Millis(30_000), read::positive_duration);
    Job {
        who: format!("`{}` of `{}`", planner.name, planner.pipeline),
        compose,
        batching: Batching::default(),
        retry: Retry::default(),
        timeout: Duration::from_millis(timeout.0 as u64),
        tls: tls.unwrap_or_default(),
        secrets: planner.faults.secrets().clone(),
        ids: false,
        is_one_place: url.is_some(),
    }
}
