//! The `http` sink: events posted to a server.

mod body;
mod bulk;
mod plan;

use crate::clients::http::{AUTH, TIMEOUT};
use crate::clients::tls::TLS;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionKind, OptionSpec};

pub use plan::plan;

/// The registry's entry.
pub static HTTP: ComponentSpec = ComponentSpec {
    name: "http",
    role: Role::Sink,
    summary: "Posts events to a server, at least once and in order: one request after the other, each sent again until it \
              is answered. Events with the same URL and headers go together as `batch` says; with `body: object` or a \
              template each goes alone (a template with `batch`: texts one behind the other). Where nobody answers, or \
              with 408, 425, 429 or 5xx, the request is tried again as `retry` says, and not before the time that \
              `Retry-After` asks for (an hour at the most). So it is with 401, 403 and redirects (which are not followed), \
              and with 404, 405 and 410 where the URL is the same for all events: they say that something is wrong here, \
              not with an event, so nothing is thrown away; it is told, and what comes waits until somebody has mended it. \
              Any other 4xx is about the events: of several the halves are sent by themselves, until those that the \
              server does not take are known; they leave by `.rejected`, and the others arrive. A server that keeps a \
              part of what it refuses gets that part twice. A 2xx is success, but where its \
              body tells of each event by itself, as Elasticsearch's bulk does (`errors: true`, and an item an event): those \
              that were refused leave by `.rejected`, and those that it had no room for are sent again.",
    short: None,
    options: &[
        OptionSpec::required(
            "url",
            OptionKind::Template,
            "Where each event goes: `https://host/path?query`. What a URL cannot hold, such as a blank, is percent-encoded. \
             So is all else but letters, digits and `-._~` in values of events that stand behind the server: one in the \
             path is one part of it, also where it holds a `/`, which stays as it is in the query; `.` and `..` are refused. \
             A value that stands in front of the path is the server, or a whole URL, and is not changed.",
        ),
        OptionSpec::or("method", "POST", OptionKind::Word(&["POST", "PUT", "PATCH"]), "The method."),
        OptionSpec::optional(
            "headers",
            OptionKind::Map(&OptionKind::Template),
            "Headers. `Content-Type` is that of JSON, or `application/x-ndjson`, unless it stands here.",
        ),
        OptionSpec::or(
            "body",
            "object",
            OptionKind::Any(&[OptionKind::Word(&["object", "array", "ndjson"]), OptionKind::Template]),
            "What a request holds: one event, a list of events, events a line each, or a text for each event. A template \
             must give JSON, unless `Content-Type` says otherwise: `{json_text(x)}` writes a text with its quotes.",
        ),
        AUTH,
        OptionSpec::optional(
            "idempotency_header",
            OptionKind::Text,
            "A header, such as `Idempotency-Key`, that holds an id of the request: the same when it is sent again, also \
             after a restart; what was sent together stays together then. Events that are read and computed again after a \
             crash are new ones; a server that must know those needs an id that events bring along, in `headers`.",
        ),
        TIMEOUT,
        TLS,
    ],
    later: &[],
    example: "\
sources:
  readings: { stdin: {} }
sinks:
  clickhouse:
    from: readings
    http:
      url: https://localhost:8443/?query=INSERT INTO readings FORMAT JSONEachRow
      body: ndjson
      auth: { basic: { username: plant, password: \"${CLICKHOUSE_PASSWORD:-}\" } }
    batch: { events: 10000, every: 1s }
  elasticsearch:
    from: readings
    http:
      url: http://localhost:9200/readings/_bulk
      headers: { Content-Type: application/x-ndjson }
      body: |
        {{\"create\": {{}}
        {{\"device\": {json_text(device)}, \"temp\": {temp}}
    batch: { events: 500 }
  webhook:
    from: readings
    http:
      url: \"https://hooks.example/{device}\"
      body: '{{\"text\": {json_text(device || '' is at '' || temp)}}'
      idempotency_header: Idempotency-Key
",
};
