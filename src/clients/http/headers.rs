//! Headers that are written in the configuration.

use super::options::{Authorisation, read_auth};
use crate::clients::hidden::Hidden;
use crate::config::{Section, Setting, read};
use crate::dataflow::{OptionKind, OptionSpec};
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};

/// Headers of all requests.
pub const HEADERS: OptionSpec = OptionSpec::optional(
    "headers",
    OptionKind::Map(&OptionKind::Text),
    "Further headers, the same in all requests: `{ X-Scope-OrgID: plant }`.",
);

/// Headers that are the same in all requests, and who we are. They may be secrets.
#[derive(Clone, Debug, Default)]
pub struct FixedHeaders {
    headers: Vec<(HeaderName, Hidden)>,
    auth: Authorisation,
}

impl FixedHeaders {
    /// Reads [`HEADERS`] and [`AUTH`](super::AUTH); `own` are headers that follow from what is sent.
    pub fn read(section: &Section<'_>, own: &[HeaderName]) -> Option<FixedHeaders> {
        let auth = section.get("auth").map_or_else(|| Some(Authorisation::default()), read_auth);
        let headers = section.get("headers").map_or(Some(Vec::new()), |setting| {
            read_headers(setting, own, |entry| {
                let text = read::any_text(entry)?;
                is_header_value(text).map_err(|why| entry.error(why)).ok()?;
                Some(Hidden(text.to_owned()))
            })
        });
        let (auth, headers) = (auth?, headers?);
        refuse_two_authorisations(section, headers.iter().map(|(name, _)| name));
        Some(FixedHeaders { headers, auth })
    }

    /// Adds them.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, Hidden(text)) in &self.headers {
            // Whoever read it has looked whether it can be one.
            if let Ok(mut value) = HeaderValue::from_bytes(text.as_bytes()) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        self.auth.write(headers);
    }
}

/// Reads a map of headers; `own` are some that follow from what is sent.
pub fn read_headers<T>(
    setting: Setting<'_>,
    own: &[HeaderName],
    mut value: impl FnMut(Setting<'_>) -> Option<T>,
) -> Option<Vec<(HeaderName, T)>> {
    let read = setting.entries()?.into_iter().map(|entry| {
        let name = HeaderName::try_from(entry.name).ok();
        if name.is_none() {
            entry.faults.error(entry.key, format!("`{}` can be no header", entry.name));
        }
        let name = name.filter(|name| is_free_header(entry, name, own));
        let value = value(entry);
        Some((name?, value?))
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

/// Whether a header is not one of those that follow from everything else; reports it if it is.
pub fn is_free_header(setting: Setting<'_>, name: &HeaderName, own: &[HeaderName]) -> bool {
    let is_free = ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) && !own.contains(name);
    if !is_free {
        setting.faults.error(setting.key, format!("the header `{name}` follows from the request"));
    }
    is_free
}

/// Whether a header can hold a text.
///
/// # Errors
/// Why it cannot.
pub fn is_header_value(text: &str) -> Result<(), &'static str> {
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    if text.bytes().any(is_control) { Err("a header cannot hold control characters") } else { Ok(()) }
}

/// Reports a header that says who we are beside `auth`.
pub fn refuse_two_authorisations<'h>(
    section: &Section<'_>,
    mut headers: impl Iterator<Item = &'h HeaderName>,
) {
    if let (Some(setting), true) = (section.get("auth"), headers.any(|name| name == AUTHORIZATION)) {
        let reported = setting.faults.error(setting.key, "`headers` has `Authorization` as well as `auth`");
        reported.hint("keep one of them");
    }
}
