//! Who we are: user and password, or a token.

use crate::clients::hidden::Hidden;
use crate::config::{Setting, read};
use crate::dataflow::{OptionKind, OptionSpec, open_options};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;

/// How we prove who we are, as an option of a connector.
pub const SASL: OptionSpec = OptionSpec::optional(
    "sasl",
    OptionKind::Options(SASL_OPTIONS),
    "Who we are. Give `tls` as well, unless the network is trusted: else whoever listens reads along.",
);

const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

const SASL_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("mechanism", OptionKind::Word(MECHANISMS), "How it is proved."),
    OptionSpec::optional("username", OptionKind::Text, "The user; not with `OAUTHBEARER`."),
    OptionSpec::optional(
        "password",
        OptionKind::Text,
        "The password; best as `${file:…}` or `${credential:…}`.",
    ),
    OptionSpec::optional(
        "token",
        OptionKind::Text,
        "The token for `OAUTHBEARER`: a JWT, or what the broker takes in its place.",
    ),
];

/// What stands for a token without an end of its own: the last millisecond of the year 9999.
const NO_END: i64 = 253_402_300_799_999;

/// How we prove who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// By user and password.
    Password {
        /// The mechanism, as the protocol calls it.
        mechanism: &'static str,
        /// The user.
        username: String,
        /// The password.
        password: Hidden,
    },
    /// By a token (OAUTHBEARER).
    Token(Hidden),
}

impl Sasl {
    /// What the protocol calls the mechanism.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Sasl::Password { mechanism, .. } => mechanism,
            Sasl::Token(_) => "OAUTHBEARER",
        }
    }
}

/// Reads the option [`SASL`].
pub fn read_sasl(setting: Setting<'_>) -> Option<Sasl> {
    let section = open_options(setting, "`sasl`", SASL_OPTIONS, &[]);
    let words: Vec<(&'static str, &'static str)> = MECHANISMS.iter().map(|name| (*name, *name)).collect();
    let mechanism = section.required("mechanism", read::word(&words, &[]))?;
    let (needed, other): (&[&str], &[&str]) = match mechanism {
        "OAUTHBEARER" => (&["token"], &["username", "password"]),
        _ => (&["username", "password"], &["token"]),
    };
    for name in other {
        if let Some(setting) = section.get(name) {
            let message = format!("`{name}` does not go with `{mechanism}`");
            setting.faults.error(setting.key, message).hint(format!("it takes `{}`", needed.join("` and `")));
        }
    }
    let hidden = |setting| read::any_text(setting).map(|text| Hidden(text.to_owned()));
    if mechanism == "OAUTHBEARER" {
        return section.required("token", hidden).map(Sasl::Token);
    }
    let username = section.required("username", read::text);
    let password = section.required("password", hidden);
    Some(Sasl::Password { mechanism, username: username?.to_owned(), password: password? })
}

/// A token as librdkafka takes it. It has an end where it is a JWT that says so.
pub fn token(text: &Hidden) -> OAuthToken {
    let token = text.0.trim().to_owned();
    let claims = claims(&token).unwrap_or_default();
    let end = claims["exp"].as_f64().map_or(NO_END, |seconds| (seconds * 1000.0) as i64);
    let principal_name = claims["sub"].as_str().unwrap_or_default().replace('\0', "");
    OAuthToken { token, principal_name, lifetime_ms: end }
}

/// What the second part of a JWT says.
fn claims(token: &str) -> Option<serde_json::Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_when_it_ends() {
        let body = URL_SAFE_NO_PAD.encode(r#"{"sub":"edge","exp":1700000000}"#);
        let jwt = Hidden(format!("e30.{body}.x\n"));
        assert_eq!(token(&jwt).principal_name, "edge");
        assert_eq!(token(&jwt).lifetime_ms, 1_700_000_000_000);
        assert_eq!(token(&Hidden("opaque".to_owned())).lifetime_ms, NO_END);
    }
}
