//! The options of a connection.

use super::server::{Server, parse, set_tls, shown};
use crate::clients::tls::read_tls;
use crate::config::{Section, read};
use crate::dataflow::{NodePlanner, OptionKind, OptionSpec};

/// The server.
pub const URL: OptionSpec = OptionSpec::required(
    "url",
    OptionKind::Text,
    "The server, user and database: `postgres://user@host:5432/database`. With `?sslmode=verify-full` (or `tls` beside it) \
     the connection is encrypted and the server's certificate is checked, its name too.",
);
/// The password.
pub const PASSWORD: OptionSpec = OptionSpec::optional(
    "password",
    OptionKind::Text,
    "The user's password, as it is (inside `url` it must be percent-encoded); best as `${file:…}` or `${credential:…}`.",
);

/// Reads [`URL`], [`PASSWORD`] and the option `tls`.
pub fn read_server(planner: &NodePlanner<'_>, section: &Section<'_>) -> Option<Server> {
    let files = section.optional("tls", |setting| read_tls(planner, setting));
    let password = section.optional("password", |setting| read::any_text(setting).map(str::to_owned));
    let (mut config, tls) = section.required("url", |setting| {
        let text = read::text(setting)?;
        // A password may stand in it, so it is not shown.
        parse(text).map_err(|hint| setting.error("this is no URL of a PostgreSQL").hint(hint)).ok()
    })?;
    if let Some(password) = password {
        config.password(password);
    }
    if let (Some(setting), Some(false)) = (section.get("tls"), tls) {
        setting.faults.error(setting.key, "`tls` does not go with `sslmode=disable`");
    }
    let has_tls = tls.unwrap_or(section.has("tls"));
    set_tls(&mut config, has_tls);
    Some(Server {
        who: format!("`{}` of `{}`", planner.name, planner.pipeline),
        shown: shown(&config),
        config,
        tls: has_tls.then(|| files.unwrap_or_default()),
        secrets: planner.faults.secrets().clone(),
    })
}
