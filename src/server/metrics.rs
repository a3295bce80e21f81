//! Readings of all instruments, from what pipelines are known to do.

use super::control::{Control, NodeStatus, PipelineState, PipelineStatus};
use crate::config::Role;
use crate::telemetry::{
    BACKPRESSURED_RATIO, BUFFER_BYTES, BUSY_RATIO, CHECKPOINT_DURATION, DISCARDED_EVENTS, ERRORS, Instrument,
    LAG_EVENTS, LAST_EVENT_TIME, LATE_EVENTS, PLUGIN_BREACHES, PLUGIN_CALLS, PLUGIN_MEMORY, PLUGIN_TIME,
    RECEIVED_BYTES, RECEIVED_EVENTS, Reading, SENT_EVENTS, STATE_BYTES, STATE_WRITTEN_BYTES, Sample, UP,
    WATERMARK,
};
use crate::time::Timestamp;

/// What holds for the process as a whole.
pub fn resource(control: &dyn Control) -> Vec<(&'static str, String)> {
    vec![
        ("service.name", "headwater".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", control.instance()),
    ]
}

/// All readings now. Waits for nobody.
pub fn samples(control: &dyn Control) -> Vec<Sample> {
    let mut samples = Vec::new();
    for pipeline in control.pipelines() {
        of_pipeline(&pipeline, &mut samples);
        pipeline.nodes.iter().for_each(|node| of_node(&pipeline.name, node, &mut samples));
        of_scripts(&pipeline, &mut samples);
    }
    samples
}

fn of_pipeline(pipeline: &PipelineStatus, samples: &mut Vec<Sample>) {
    let mut put = |instrument, reading| {
        samples.push(Sample { instrument, attributes: vec![("pipeline", pipeline.name.clone())], reading });
    };
    let runs = matches!(pipeline.state, PipelineState::Running | PipelineState::Paused);
    put(&UP, Reading::Whole(u64::from(runs)));
    if let Some(checkpoints) = &pipeline.checkpoints {
        put(&CHECKPOINT_DURATION, Reading::Spread(checkpoints.durations.clone()));
        put(&STATE_BYTES, Reading::Whole(pipeline.disk_bytes));
        put(&STATE_WRITTEN_BYTES, Reading::Whole(pipeline.written_bytes));
    }
}

fn of_scripts(pipeline: &PipelineStatus, samples: &mut Vec<Sample>) {
    for (script, used) in &pipeline.scripts {
        let attributes = [("pipeline", pipeline.name.clone()), ("script", script.clone())];
        let mut put = |instrument, reading| {
            samples.push(Sample { instrument, attributes: attributes.to_vec(), reading });
        };
        put(&PLUGIN_MEMORY, Reading::Whole(used.memory));
        put(&PLUGIN_TIME, Reading::Number(used.nanos as f64 / 1e9));
        put(&PLUGIN_CALLS, Reading::Whole(used.calls));
        put(&PLUGIN_BREACHES, Reading::Whole(used.breaches));
    }
}

fn of_node(pipeline: &str, node: &NodeStatus, samples: &mut Vec<Sample>) {
    let base = vec![("pipeline", pipeline.to_owned()), ("component", node.name.clone())];
    let kind = ("kind", node.kind.clone());
    let mut put = |instrument: &'static Instrument, reading: Option<Reading>| {
        let attributes = [base.clone(), vec![kind.clone()]].concat();
        samples.extend(reading.map(|reading| Sample { instrument, attributes, reading }));
    };
    let seconds = |time: Timestamp| Reading::Number(time.0 as f64 / 1_000.0);
    put(&RECEIVED_EVENTS, Some(Reading::Whole(node.received)));
    put(&SENT_EVENTS, Some(Reading::Whole(node.sent)));
    put(&RECEIVED_BYTES, node.received_bytes.map(Reading::Whole));
    put(&LATE_EVENTS, (node.late > 0).then_some(Reading::Whole(node.late)));
    put(&WATERMARK, node.watermark.map(seconds));
    put(&LAST_EVENT_TIME, node.last_event_time.map(seconds));
    put(&BUSY_RATIO, node.busy_ratio.map(Reading::Number));
    put(&BACKPRESSURED_RATIO, node.backpressured_ratio.map(Reading::Number));
    put(&LAG_EVENTS, node.lag.map(Reading::Whole));
    put(&BUFFER_BYTES, node.undelivered_bytes.map(Reading::Whole));
    for (reason, events) in &node.discarded {
        let attributes = [base.clone(), vec![kind.clone(), ("reason", (*reason).to_owned())]].concat();
        samples.push(Sample { instrument: &DISCARDED_EVENTS, attributes, reading: Reading::Whole(*events) });
    }
    for (error, events) in &node.rejected {
        // Here the kind is that of the error.
        let stage = ("stage", stage(node.role).to_owned());
        let attributes = [base.clone(), vec![stage, ("kind", (*error).to_owned())]].concat();
        samples.push(Sample { instrument: &ERRORS, attributes, reading: Reading::Whole(*events) });
    }
}

/// Where in its way through a pipeline an event is at a node.
fn stage(role: Role) -> &'static str {
    match role {
        Role::Source => "receive",
        Role::Sink => "send",
        _ => "process",
    }
}
