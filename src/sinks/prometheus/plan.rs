//! The options of a `prometheus` sink.

use super::PROMETHEUS;
use super::sample::{SamplePlan, is_label, is_metric};
use super::write::{OWN, WriteSamples};
use crate::clients::http::{self, FixedHeaders, HttpUrl, PostingPlan};
use crate::config::{Setting, read};
use crate::dataflow::{Binding, NodePlanner, Scope, SinkPlan, Template};
use crate::event::Slot;
use crate::expr::Type;
use crate::sinks::columns::{Column, read_columns, read_value};
use std::sync::Arc;

/// Plans a `prometheus` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = PROMETHEUS.open(setting);
    let url = section.required("url", |setting| {
        let parsed = HttpUrl::parse(read::text(setting)?);
        parsed.map_err(|why| setting.error(why).hint("it is like `http://host:9090/api/v1/write`")).ok()
    });
    let headers = FixedHeaders::read(&section, &OWN);
    // What is left away is as if it stood in place of the URL, which must be there.
    let place = section.get("url")?;
    let name = match section.get("name") {
        Some(setting) => Template::plan(planner, setting, |text, _| is_metric(text)),
        None => Template::of_text(planner, place, "name", |text, _| is_metric(text)),
    };
    let value = match section.get("value") {
        Some(setting) => number(planner, setting, None),
        None => number(planner, place, Some("value")),
    };
    let labels = section.get("labels").map(|setting| read_columns(planner, setting, is_label));
    let time = read_value(planner, place, Some("event_time()"));
    let (url, headers, name, value, time) = (url?, headers?, name?, value?, time?.1);
    let mut labels = labels.unwrap_or_else(|| Some(Vec::new()))?;
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    bind(planner, &labels, value);
    let labels = labels.into_iter().map(|label| (label.name, label.slot)).collect();
    let text = format!("prometheus {}", name.written());
    let samples = SamplePlan { name, labels, value: value.0, time };
    let compose = WriteSamples { url, headers };
    let (shown, rehearsal) = (compose.url.server.to_string(), compose.rehearsal());
    let job = http::read_posting(planner, &section, Some(&shown), Arc::new(compose));
    Some(Box::new(PostingPlan::new(job, text, Arc::new(samples), rehearsal, &[])))
}

/// The value of samples: the expression that stands there, or another in its place.
fn number(planner: &mut NodePlanner<'_>, setting: Setting<'_>, usual: Option<&str>) -> Option<(Slot, Type)> {
    let (_, slot, ty) = read_value(planner, setting, usual)?;
    if !ty.meets(Type::NUMBER.or(Type::BOOL)) {
        setting.error(format!("the value is {}, not a number", ty.noun()));
        return None;
    }
    Some((slot, ty))
}

/// Lets events have just what a sample holds.
fn bind(planner: &mut NodePlanner<'_>, labels: &[Column], (value, ty): (Slot, Type)) {
    if let Some(entry) = &mut planner.entry {
        let mut scope = Scope::default();
        for label in labels {
            scope = scope.with(label.name.clone(), Binding::Slot(label.slot, label.ty));
        }
        entry.scope = scope.with("value", Binding::Slot(value, ty));
    }
}
