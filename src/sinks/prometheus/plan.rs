//! The options of a `prometheus` sink.

use super::PROMETHEUS;
use super::sample::{SamplePlan, is_label, is_metric};
use super::write::WriteSamples;
use crate::clients::http::{self, Authorisation, HttpUrl, Job, Posting};
use crate::config::{Setting, read};
use crate::dataflow::{
    Batching, Binding, FormatPlan, NodePlanner, Probed, Retry, Scope, Sink, SinkPlan, Template,
};
use crate::event::Slot;
use crate::expr::Type;
use crate::sinks::columns::{Column, read_columns, slot_and_type};
use std::sync::Arc;

/// Plans a `prometheus` sink.
pub fn plan(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<Box<dyn SinkPlan>> {
    let section = PROMETHEUS.open(setting);
    let url = section.required("url", |setting| {
        let parsed = HttpUrl::parse(read::text(setting)?);
        parsed.map_err(|why| setting.error(why).hint("it is like `http://host:9090/api/v1/write`")).ok()
    });
    let auth = section.get("auth").map_or_else(|| Some(Authorisation::default()), http::read_auth);
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
    let event_time = planner.parse_text(place, "event_time()")?;
    let time = slot_and_type(planner, place, &event_time);
    let (url, auth, name, value, time) = (url?, auth?, name?, value?, time?.0);
    let mut labels = labels.unwrap_or_else(|| Some(Vec::new()))?;
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    bind(planner, &labels, value);
    let labels = labels.into_iter().map(|label| (label.name, label.slot)).collect();
    let samples = Arc::new(SamplePlan { name, labels, value: value.0, time });
    let compose = Arc::new(WriteSamples { url, auth });
    let shown = compose.url.server.to_string();
    let job = http::read_posting(planner, &section, Some(&shown), compose.clone());
    Some(Box::new(PrometheusSinkPlan { job, compose, samples, address: vec![Template::room()] }))
}

/// The value of samples: the expression that stands there, or another in its place.
fn number(planner: &mut NodePlanner<'_>, setting: Setting<'_>, usual: Option<&str>) -> Option<(Slot, Type)> {
    let text = usual.map_or_else(|| Some(read::expression(setting)?.text), Some)?;
    let expr = planner.parse_text(setting, text)?;
    let (slot, ty) = slot_and_type(planner, setting, &expr)?;
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

#[derive(Debug)]
struct PrometheusSinkPlan {
    job: Job,
    compose: Arc<WriteSamples>,
    samples: Arc<SamplePlan>,
    /// Room that keeps events apart.
    address: Vec<Template>,
}

impl SinkPlan for PrometheusSinkPlan {
    fn describe(&self) -> String {
        let server = self.compose.url.server.to_string();
        format!("prometheus {} at {}", self.samples.name.written(), self.job.secrets.mask(&server))
    }

    fn address(&self) -> &[Template] {
        &self.address
    }

    fn takes_messages(&self) -> bool {
        true
    }

    fn chooses_format(&self) -> bool {
        false
    }

    fn format(&self) -> Option<Arc<dyn FormatPlan>> {
        Some(self.samples.clone())
    }

    fn retried_by(&mut self, retry: Retry) {
        self.job.retry = retry;
    }

    fn gather(&mut self, batching: Batching) -> bool {
        self.job.batching = batching;
        true
    }

    fn refuses(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Probed> {
        Some(self.compose.rehearsal().and_then(|request| http::rehearse(&self.job, &request, &[])))
    }

    fn sink(&self, _preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(Posting::new(self.job.clone()))
    }
}
