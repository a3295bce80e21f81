//! What `headwater.yaml` holds, as data: for the schema and the reference.

use crate::dataflow::{OptionKind, OptionSpec};

const LIMITS: &[OptionSpec] = &[
    OptionSpec::optional(
        "memory",
        OptionKind::Size,
        "Memory for state, beside what the process takes without any, divided among pipelines: keys in memory, changes on their way to the disk, and pages of it. Keys that there is no room for are on the disk until an event of theirs comes or they are due. What changes at one moment is held until it is saved, and `explain` names nodes that keep all in memory.",
    ),
    OptionSpec::optional("disk", OptionKind::Size, "How large the data directory may become."),
    OptionSpec::optional(
        "writes_per_day",
        OptionKind::Size,
        "How much may be written to the data directory a day, which wears flash out: checkpoints are taken more rarely \
         to stay within it.",
    ),
];

const S3: &[OptionSpec] = &[
    OptionSpec::required("bucket", OptionKind::Text, "The bucket."),
    OptionSpec::optional("prefix", OptionKind::Text, "What the names of all objects begin with."),
    OptionSpec::optional(
        "endpoint",
        OptionKind::Text,
        "The address of the server, such as `https://minio.local:9000`; absent: Amazon's of the region.",
    ),
    OptionSpec::or("region", "us-east-1", OptionKind::Text, "The region that requests are signed for."),
    OptionSpec::required("access_key", OptionKind::Text, "The name of the key."),
    OptionSpec::required(
        "secret_key",
        OptionKind::Text,
        "The key: best `${credential:name}` or `${file:path}`.",
    ),
];

const SNAPSHOTS: &[OptionSpec] = &[
    OptionSpec::required("every", OptionKind::Duration, "How often one is taken."),
    OptionSpec::or("keep", "7", OptionKind::Integer, "How many are kept."),
    OptionSpec::required(
        "to",
        OptionKind::Any(&[
            OptionKind::Path,
            OptionKind::Options(&[OptionSpec::required(
                "s3",
                OptionKind::Options(S3),
                "Storage that speaks the protocol of S3.",
            )]),
        ]),
        "Where they go: a directory, or `s3`.",
    ),
];

const TOKENS: OptionKind = OptionKind::OneOrList(&OptionKind::Text);

const AUTH: &[OptionSpec] = &[
    OptionSpec::optional(
        "reader",
        TOKENS,
        "Whoever has one of these tokens may see: 16 characters or more, best `${credential:name}` or `${file:path}`.",
    ),
    OptionSpec::optional("operator", TOKENS, "Whoever has one of these may change as well."),
];

const TLS: &[OptionSpec] = &[
    OptionSpec::required(
        "cert",
        OptionKind::Path,
        "Our certificate, with those between it and its root behind it; a relative path starts at the working directory.",
    ),
    OptionSpec::required("key", OptionKind::Path, "Its key."),
];

const TELEMETRY: &[OptionSpec] = &[
    OptionSpec::optional(
        "endpoint",
        OptionKind::Text,
        "The address of a collector that speaks OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/metrics` is added. \
         Absent: nothing is told.",
    ),
    OptionSpec::optional(
        "headers",
        OptionKind::Map(&OptionKind::Text),
        "Headers of all requests: `{ Authorization: \"Bearer ${credential:otlp}\" }`.",
    ),
    OptionSpec::or("interval", "1m", OptionKind::Duration, "How often readings are told."),
    OptionSpec::optional(
        "resource",
        OptionKind::Map(&OptionKind::Text),
        "Attributes of this process besides `service.name`, `service.version` and `service.instance.id`, or in place of \
         them: `{ site: berlin }`.",
    ),
];

/// The keys of the file.
pub const PROCESS: &[OptionSpec] = &[
    OptionSpec::optional(
        "data_dir",
        OptionKind::Path,
        "Where what must last is kept; a relative path starts at the working directory. `--data-dir` and \
         `HEADWATER_DATA_DIR` come first; absent everywhere: `$STATE_DIRECTORY`, or nothing lasts.",
    ),
    OptionSpec::optional(
        "instance",
        OptionKind::Text,
        "The id of this gateway among others that run the same files: letters, digits, `-` and `_`. It is part of the \
         client ids at brokers. Absent: one that is made once in the data directory.",
    ),
    OptionSpec::optional(
        "listen",
        OptionKind::Text,
        "Where HTTP is answered, an address with a port, or `none`: health, metrics and the API, see `/api/v1/openapi.json`. \
         An address that others can reach needs `auth`. `--listen` comes first. Absent: 127.0.0.1:8080 where a source \
         never ends by itself; that somebody else has it is a warning then, else an error.",
    ),
    OptionSpec::optional(
        "auth",
        OptionKind::Options(AUTH),
        "Bearer tokens; every request needs one then. Absent: none is needed, and only this machine can ask. \
         `control.sock` needs none: its file is for the user of the process alone.",
    ),
    OptionSpec::optional(
        "tls",
        OptionKind::Options(TLS),
        "Speaks TLS there. The files are PEM; they are watched, and a change is taken up.",
    ),
    OptionSpec::optional("limits", OptionKind::Options(LIMITS), "What the process may use."),
    OptionSpec::optional(
        "snapshots",
        OptionKind::Options(SNAPSHOTS),
        "Copies of the data directory while it is in use; absent: none.",
    ),
    OptionSpec::optional(
        "params",
        OptionKind::Map(&OptionKind::Any(&[OptionKind::Text, OptionKind::Number, OptionKind::Boolean])),
        "Values of pipelines' parameters in place of their defaults; `--set name=value` overrides them.",
    ),
    OptionSpec::optional(
        "telemetry",
        OptionKind::Options(TELEMETRY),
        "Who is told what is measured, by OpenTelemetry. The variables `OTEL_*` come before it.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Keys};

    fn assert_same(documented: &[OptionSpec], keys: Keys<'_>) {
        let mut documented: Vec<&str> = documented.iter().map(|option| option.name).collect();
        let mut known = keys.known.to_vec();
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(documented, known);
    }

    #[test]
    fn every_key_is_documented() {
        assert_same(PROCESS, config::PROCESS);
        assert_same(AUTH, config::AUTH);
        assert_same(TLS, config::TLS);
        assert_same(LIMITS, config::LIMITS);
        assert_same(SNAPSHOTS, config::SNAPSHOTS);
        assert_same(S3, config::S3);
        assert_same(TELEMETRY, config::TELEMETRY);
    }
}
