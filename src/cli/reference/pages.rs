//! The pages of `docs/reference/`.

use super::catalog::{self, AGGREGATES, Callable, FunctionGroup, Shelf};
use super::configuration::PROCESS;
use super::document::{HEAD, STEPS, TEST, WORDS};
use super::example;
use super::kinds::{rows, stands_under};
use super::markdown::{cell, code, table};
use super::verbs;
use crate::config::Role;
use crate::dataflow::{ComponentSpec, OptionSpec};

/// A page of the reference.
pub struct Page {
    /// The file's name.
    pub name: String,
    /// Its text, in Markdown.
    pub text: String,
}

/// What the index says of a page.
struct Entry {
    page: Page,
    about: &'static str,
}

/// What `test --update` does.
const UPDATE: &str = "
`headwater test --update` rewrites what failing steps expect to what came, in place; comments and layout stay. Of an event
that differs the fields that differ are changed; further fields are written only where `exact: true` stands. An event that
came unexpectedly is added with the fields of the first expected one, or with all that are not null where there is none. What
holds a secret, stands behind an alias, or is expected by no step at all is left to you.
";

/// When windows give what they have.
const TRIGGERS: &str = include_str!("triggers.md");

/// What scripts register.
const PLUGINS: &str = include_str!("plugins.md");

/// All pages, the index first. They are the same on every machine.
pub fn pages() -> Vec<Page> {
    let mut entries = vec![entry("pipeline", "what a file holds, and its tests", pipeline())];
    for shelf in catalog::shelves() {
        entries.push(entry(shelf.title, about(shelf.role), components(&shelf)));
        if shelf.role == Role::Window {
            entries.push(entry("triggers", "when windows give what they have", TRIGGERS.to_owned()));
            entries.push(entry("aggregates", "what windows compute", aggregates()));
        }
    }
    entries.push(entry("functions", "what expressions can call", functions()));
    entries.push(entry(
        "plugins",
        "functions, aggregates and triggers of one's own, in Lua",
        PLUGINS.to_owned(),
    ));
    entries.push(entry("configuration", "what holds for a process: `headwater.yaml`", configuration()));
    entries.push(entry("cli", "verbs, flags, exit status", verbs::page()));
    let index = Page { name: "README.md".to_owned(), text: index(&entries) };
    std::iter::once(index).chain(entries.into_iter().map(|entry| entry.page)).collect()
}

fn entry(name: &str, about: &'static str, text: String) -> Entry {
    Entry { page: Page { name: format!("{name}.md"), text }, about }
}

fn about(role: Role) -> &'static str {
    match role {
        Role::Source => "where events come from",
        Role::Transform => "what changes, chooses and multiplies events",
        Role::Window => "what gathers events by time",
        Role::Sink => "where results go",
        Role::Table => "rows by key that events are looked up in",
        Role::Format => "how events are read and written",
    }
}

fn index(entries: &[Entry]) -> String {
    let mut text = String::from(
        "# Reference\n\n\
         Printed from what the program itself knows: `headwater components`, `headwater functions` and `headwater schema` \
         say the same. Every example here is run as a test.\n\n",
    );
    for Entry { page, about } in entries {
        let title = page.name.trim_end_matches(".md");
        text.push_str(&format!("- [{title}]({}): {about}\n", page.name));
    }
    text
}

/// The heading of a page.
fn title(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("# {first}{}\n", chars.as_str())
}

fn components(shelf: &Shelf) -> String {
    let mut text = title(shelf.title);
    let rows: Vec<[String; 2]> = shelf
        .components
        .iter()
        .map(|spec| [format!("[`{0}`](#{0})", spec.name), cell(spec.summary)])
        .collect();
    text.push_str(&format!("\n{}", table([shelf.role.noun(), ""], &rows)));
    if !shelf.beside().is_empty() {
        text.push_str(&format!(
            "\n## What may stand beside a {}\n\n{}",
            shelf.role.noun(),
            options(shelf.beside())
        ));
    }
    text.extend(shelf.components.iter().map(|spec| component(spec)));
    text
}

fn component(spec: &ComponentSpec) -> String {
    let name = spec.name;
    let mut text = format!("\n## {name}\n\n{}\n\n`{name}`: {}\n", spec.summary, stands_under(spec));
    if !spec.options.is_empty() {
        text.push_str(&format!("\n{}", options(spec.options)));
    }
    text.push_str(&format!("\n{}", code("yaml", &example::whole(spec))));
    text
}

fn options(options: &'static [OptionSpec]) -> String {
    let cells = rows(options)
        .into_iter()
        .map(|row| [format!("`{}`", row.name), cell(&row.kind), cell(&row.default), cell(row.summary)]);
    table(["option", "value", "default", ""], &cells.collect::<Vec<_>>())
}

fn pipeline() -> String {
    let mut text = title("pipeline");
    text.push_str("\nOne file is one pipeline. Beside its nodes it holds:\n\n");
    text.push_str(&options(HEAD));
    text.push_str(
        "\n`sources`, `transforms`, `windows` and `sinks` map names to nodes. A source has one connector, a window one \
         kind, a transform one operator (`where`, `set`, `select` and `drop` may stand together), a sink one connector.\n",
    );
    text.push_str("\n## Tests\n\n`tests` is a list of them. A test has `steps`, and:\n\n");
    text.push_str(&options(TEST));
    text.push_str("\nA step is one of:\n\n");
    let steps = STEPS.iter().chain(WORDS).map(|(name, summary)| [format!("`{name}`"), cell(summary)]);
    text.push_str(&table(["step", ""], &steps.collect::<Vec<_>>()));
    text.push_str(UPDATE);
    text
}

const CONFIGURATION_NOTE: &str = "
A process reads the file that `--config FILE` names, or else `headwater.yaml` in the working directory, if it is there. All
of it may be left away. A flag or its variable comes before the file. `${VAR}`, `${file:path}` and `${credential:name}`
stand for what is not in the file, as in a pipeline; `headwater check` says what is wrong, and `headwater schema --of config`
prints the schema for editors.

";

const CONFIGURATION_EXAMPLE: &str = "
```yaml
data_dir: /var/lib/headwater
limits: { memory: 64MiB, disk: 2GiB, writes_per_day: 5GB }
snapshots: { every: 6h, keep: 8, to: /mnt/usb/headwater }
telemetry: { endpoint: \"http://127.0.0.1:4318\", resource: { site: berlin } }
params: { minimum: 0.5 }
```

A collector is told what `/metrics` tells, and what is logged, by OTLP over HTTP (`http/protobuf`). These variables come before
`telemetry`, as OpenTelemetry's specification has them; one that is empty is none, and one that is wrong is told and not used.

- `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS`, `_TIMEOUT`, `_COMPRESSION`, `_CERTIFICATE`, `_CLIENT_CERTIFICATE`, `_CLIENT_KEY`,
  `_PROTOCOL`: for all signals; with `METRICS_` or `LOGS_` behind `OTLP_` for one, whose endpoint is the whole URL.
- `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`: the process.
- `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_BLRP_SCHEDULE_DELAY`, `OTEL_BLRP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE`:
  how often, and how much.
- `OTEL_METRICS_EXPORTER=none`, `OTEL_LOGS_EXPORTER=none`, `OTEL_SDK_DISABLED=true`: what is not told.
";

fn configuration() -> String {
    let mut text = title("configuration");
    text.push_str(CONFIGURATION_NOTE);
    text.push_str(&options(PROCESS));
    text.push_str(CONFIGURATION_EXAMPLE);
    text
}

/// What holds for all functions of a group.
const GROUP_NOTES: &[(&str, &str)] = &[
    (
        "geo",
        "Places are given in degrees, the latitude (north is positive) before the longitude (east is positive).",
    ),
    ("source", "Where an event came from. They are null where the source cannot say it, and behind windows."),
    (
        "keyed history",
        "What a key's earlier events said: `previous(temp) OVER (PARTITION BY device)`, and without OVER in a node that has \
         a `key`. The events of a key come in order of event time, for which they wait for the watermark; with \
         `ordered: false` in the node they come as they arrive. What is kept for a key is never forgotten.",
    ),
    (
        "panes",
        "They stand in a window's `aggregate` and `having` only. The results are those for the pane on time of the minute \
         from 60000 to 120000 with `trigger: { watermark: { early: { count: 2 } } }`, behind an early one.",
    ),
    ("generate", "They stand in the `fields` of a `generate` source only."),
];

const AGGREGATES_NOTE: &str = "
Nulls are skipped where nothing else is said; where there are no values the result is null, that of `count` 0. Arithmetic
over aggregates, `count(DISTINCT x)` and `sum(x) FILTER (WHERE condition)` may be written.

The results below are those for events whose `x` has these values, a millisecond apart.
";

fn functions() -> String {
    let groups = catalog::function_groups();
    let groups: Vec<&FunctionGroup> = groups.iter().filter(|group| group.name != AGGREGATES).collect();
    let mut text = title("functions");
    text.push_str(
        "\nA null argument gives null where nothing else is said; names may be in upper or lower case.\n\n",
    );
    for group in &groups {
        let names: Vec<String> =
            group.functions.iter().map(|function| format!("`{}`", function.name)).collect();
        text.push_str(&format!("- *{}*: {}\n", group.name, names.join(" ")));
    }
    for group in groups {
        text.push_str(&format!("\n## {}\n", group.name));
        if let Some((_, note)) = GROUP_NOTES.iter().find(|(name, _)| *name == group.name) {
            text.push_str(&format!("\n{note}\n"));
        }
        text.extend(group.functions.iter().map(callable));
    }
    text
}

fn aggregates() -> String {
    let mut text = title("aggregates");
    text.push_str(AGGREGATES_NOTE);
    let groups = catalog::function_groups();
    let aggregates = groups.iter().filter(|group| group.name == AGGREGATES);
    text.extend(aggregates.flat_map(|group| group.functions.iter().map(callable)));
    text
}

fn callable(function: &Callable) -> String {
    let mut text = format!("\n### {}\n\n{}\n", function.name, function.signature);
    if !function.arguments.is_empty() {
        let arguments = function.arguments.iter().map(|(name, takes)| format!("`{name}`: {takes}"));
        text.push_str(&format!("({})\n", arguments.collect::<Vec<_>>().join("; ")));
    }
    text.push_str(&format!("\n{}\n\n", function.summary));
    let with_values = function.examples.iter().any(|example| example.values.is_some());
    let code_cell = |text: &str| if text.contains('`') { cell(text) } else { format!("`{}`", cell(text)) };
    if with_values {
        let cells = function.examples.iter().map(|example| {
            [code_cell(example.call), code_cell(example.values.unwrap_or("")), code_cell(example.result)]
        });
        text.push_str(&table(["call", "values of `x`", "result"], &cells.collect::<Vec<_>>()));
    } else {
        let cells =
            function.examples.iter().map(|example| [code_cell(example.call), code_cell(example.result)]);
        text.push_str(&table(["call", "result"], &cells.collect::<Vec<_>>()));
    }
    text
}
