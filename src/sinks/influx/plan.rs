//! The options of an `influx` sink.

use super::INFLUX;
use super::line::{LinePlan, is_measurement};
use super::write::WriteLines;
use crate::clients::http::{self, Authorisation, HttpUrl, PostingPlan};
use crate::config::{Section, Setting, read};
use crate::dataflow::{Binding, NodePlanner, Scope, SinkPlan, Template};
use crate::event::percent_encode;
use crate::expr::Type;
use crate::formats::influx::{MEASUREMENT, TIME};
use crate::sinks::columns::{Column, field_of, read_columns, read_value};
use hyper::StatusCode;
use std::sync::Arc;

/// What a server that takes no request without points says only to those who may write there.
const NO_POINTS: &[StatusCode] = &[StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY];

/// Plans an `influx` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = INFLUX.open(setting);
    let url = section.required("url", |setting| url(setting, &section));
    let auth = section
        .get("token")
        .map(|setting| http::secret(setting).map(|token| Authorisation::of("Token", token)));
    // What is left away is as if it stood in place of the URL, which must be there.
    let place = section.get("url")?;
    let measurement = match section.get("measurement") {
        Some(setting) => Template::plan(planner, setting, |text, _| is_measurement(text)),
        None => Template::of_text(planner, place, MEASUREMENT, |text, _| is_measurement(text)),
    };
    let tags = section.get("tags").map(|setting| read_columns(planner, setting, is_name));
    let fields = section.get("fields").map(|setting| read_columns(planner, setting, is_name));
    let time = match section.get("time") {
        Some(setting) => time(planner, setting, None),
        None => time(planner, place, Some("event_time()")),
    };
    let auth = auth.unwrap_or_else(|| Some(Authorisation::default()));
    let (url, measurement, auth, time) = (url?, measurement?, auth?, time?);
    let mut tags = tags.unwrap_or_else(|| Some(Vec::new()))?;
    // Servers take them quickest like that.
    tags.sort_by(|a, b| a.name.cmp(&b.name));
    let fields = fields.map_or(Some(None), |fields| fields.map(Some))?;
    let twice = fields.iter().flatten().find(|field| tags.iter().any(|tag| tag.name == field.name));
    if let (Some(setting), Some(field)) = (section.get("fields"), twice) {
        setting.error(format!("`{}` is a tag and a field", field.name)).hint("a point has one value a name");
        return None;
    }
    let lines =
        LinePlan { measurement, tags: tags.iter().map(|tag| tag.name.clone()).collect(), time: time.slot };
    bind(planner, &lines.measurement, &tags, fields.as_deref(), &time);
    let text = format!("influx {}", lines.measurement.written());
    let compose = WriteLines { url, auth };
    let (shown, rehearsal) = (compose.url.server.to_string(), compose.rehearsal());
    let job = http::read_posting(planner, &section, Some(&shown), Arc::new(compose));
    Some(Box::new(PostingPlan::new(job, text, Arc::new(lines), rehearsal, NO_POINTS)))
}

/// Where lines are written to.
fn url(setting: Setting<'_>, section: &Section<'_>) -> Option<HttpUrl> {
    let text = read::text(setting)?;
    let bucket = section.optional("bucket", read::text);
    let org = section.optional("org", read::text);
    if let (Some(setting), None) = (section.get("org"), section.get("bucket")) {
        setting.faults.error(setting.key, "`org` needs `bucket`");
    }
    let mut whole = text.trim_end_matches('/').to_owned();
    if let Some(bucket) = bucket {
        whole += "/api/v2/write";
        if text.contains('?') {
            setting.error("with `bucket`, `url` is the server alone").hint("`http://host:8086`");
            return None;
        }
        whole += &format!("?bucket={}", percent_encode(bucket, true));
        whole += &org.map(|org| format!("&org={}", percent_encode(org, true))).unwrap_or_default();
    }
    whole.push(if whole.contains('?') { '&' } else { '?' });
    whole += "precision=ms";
    let parsed = HttpUrl::parse(&whole);
    parsed.map_err(|why| setting.error(why).hint("it is like `http://host:8086`")).ok()
}

/// The time of points: the expression that stands there, or another in its place.
fn time(planner: &mut NodePlanner<'_>, setting: Setting<'_>, usual: Option<&str>) -> Option<Column> {
    let (expr, slot, ty) = read_value(planner, setting, usual)?;
    if !ty.meets(Type::TIMESTAMP.or(Type::INT)) {
        setting.error(format!("the time is {}, not a timestamp or milliseconds", ty.noun()));
        return None;
    }
    Some(Column { name: TIME.to_owned(), slot, ty, field: field_of(&expr) })
}

fn is_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is empty"),
        TIME => Err("the time of a point stands by itself, as `time` says"),
        _ if name.starts_with('_') => Err("names that start with `_` are InfluxDB's own"),
        _ if name.ends_with('\\') || name.contains(['\n', '\r']) => {
            Err("it holds a line end, or ends with a backslash")
        }
        _ => Ok(()),
    }
}

/// Lets events have just what a line holds.
fn bind(
    planner: &mut NodePlanner<'_>,
    measurement: &Template,
    tags: &[Column],
    fields: Option<&[Column]>,
    time: &Column,
) {
    let Some(mut entry) = planner.entry.take() else { return };
    let mut scope = match fields {
        Some(_) => Scope::default(),
        None => {
            let named = measurement.written().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let taken = tags.iter().chain([time]).filter_map(|column| column.field.as_deref()).chain(named);
            taken.fold(entry.scope.clone(), Scope::without)
        }
    };
    let columns = tags.iter().chain(fields.unwrap_or_default()).chain([time]);
    for column in columns {
        scope = scope.with(column.name.clone(), Binding::Slot(column.slot, column.ty));
    }
    entry.scope = scope;
    planner.entry = Some(entry);
}
