//! The `http` source: events that clients send, each request a record by itself.

mod body;
mod form;
mod frame;
mod inbox;
mod plan;
mod rate;
mod receiving;
mod service;

use crate::clients::tls::SERVER_TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};

pub use plan::plan;

/// The registry's entry.
pub static HTTP: ComponentSpec = ComponentSpec {
    name: "http",
    role: Role::Source,
    summary: "Listens for events that clients send. A request is answered 202 when it is safe in the journal, or as \
              `durable` says, and 503 with `Retry-After` while too much waits. Its body is read as `format` says, so it may \
              hold many events, and may be packed by gzip; `json` also reads forms, whose fields become texts (lists of \
              texts where a field is given several times), unless the body begins with a bracket. What cannot be read is \
              rejected and not refused: the client gets 202. `source_header(name)` is a header of the request, and \
              `source_topic()` the path. With `id: source_header('Idempotency-Key')` a request that is repeated is dropped; \
              of its events the first has the key itself, the others have a line break and their number behind it.",
    short: None,
    options: &[
        OptionSpec::required(
            "listen",
            OptionKind::Text,
            "Address and port, such as `127.0.0.1:8088`. One that others can reach needs `token`, or `tls` with `ca`.",
        ),
        OptionSpec::or("path", "/", OptionKind::Text, "The path that takes events; others are answered 404."),
        OptionSpec::or(
            "method",
            "POST",
            OptionKind::Word(&["POST", "PUT"]),
            "The method; others are answered 405.",
        ),
        OptionSpec::optional(
            "token",
            OptionKind::Text,
            "What clients must send as `Authorization: Bearer TOKEN`, or are answered 401; best as `${file:…}` or \
             `${credential:…}`. Without it, what a browser sends for a page (with `Origin`, or `Sec-Fetch-Site: cross-site`) \
             is answered 403: any page could send events to this machine.",
        ),
        OptionSpec::or(
            "max_body",
            "1MiB",
            OptionKind::Size,
            "A longer body is answered 413, also where it is longer only when it is unpacked; at most 16MiB.",
        ),
        OptionSpec::optional(
            "rate_limit",
            OptionKind::Integer,
            "Requests a second, of all clients together; what is beyond is answered 429 with `Retry-After`. A second's \
             worth may come at once.",
        ),
        SERVER_TLS,
    ],
    later: &[],
    example: "\
sources:
  readings:
    http: { listen: \"127.0.0.1:8088\", path: /readings, max_body: 256KiB, rate_limit: 500 }
    id: source_header('Idempotency-Key')
sinks:
  out: { from: readings, stdout: {} }
",
};
