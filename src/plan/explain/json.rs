//! An explanation for programs.

use super::{
    Block, CopyWords, Destination, Explanation, Out, PathWords, SourceWords, StageWords, StepWords, delivery,
};
use serde_json::{Value, json};

impl Explanation {
    /// As programs read it.
    pub fn to_json(&self) -> Value {
        json!({
            "pipeline": self.pipeline,
            "description": self.description,
            "workers": self.workers,
            "sources": list(&self.sources, source),
            "stages": self.stages.iter().enumerate().map(|(i, s)| stage(i + 1, s)).collect::<Vec<_>>(),
            "nodes_without_work": self.free,
            "unread_ports": self.unread,
            "sinks": list(&self.sinks, |sink| json!({
                "name": sink.name, "target": sink.target, "format": sink.format,
            })),
            "plugins": list(&self.plugins, |(script, all)| json!({ "script": script, "registers": all })),
            "state": list(&self.state, |(node, shape)| json!({ "node": node, "shape": shape })),
            "delivery": {
                "lasting": self.lasting,
                "paths": list(&self.paths, path),
                "with_data_dir": if self.lasting { Value::Null } else { list(&self.would_be, path) },
                "notes": if self.lasting { json!([delivery::LASTING]) } else { json!(delivery::IN_MEMORY) },
            },
        })
    }
}

fn list<T>(items: &[T], to: impl Fn(&T) -> Value) -> Value {
    items.iter().map(to).collect()
}

fn path(path: &PathWords) -> Value {
    json!({
        "source": path.source, "sink": path.sink,
        "guarantee": path.guarantee.name(), "because": path.because,
    })
}

fn source(source: &SourceWords) -> Value {
    json!({
        "name": source.name,
        "reads": source.reads,
        "live": source.is_live,
        "partitions": source.partitions,
        "format": source.format,
        "event_time": source.time,
        "watermark": source.watermark,
        "fields": list(&source.fields, |(name, ty)| json!({ "name": name, "type": ty })),
        "whole_event_for": source.whole,
    })
}

fn stage(number: usize, stage: &StageWords) -> Value {
    json!({
        "stage": number,
        "rows": stage.title,
        "copies": list(&stage.copies, copy),
        "copied_because": stage.why,
        "whole_event_for": stage.whole,
        "work": block(&stage.work),
    })
}

fn copy(copy: &CopyWords) -> Value {
    json!({ "from": copy.from, "fields": copy.fields, "whole_event": copy.whole })
}

fn block(block: &Block) -> Value {
    json!({ "steps": list(&block.steps, step), "outputs": list(&block.outs, out) })
}

fn step(step: &StepWords) -> Value {
    json!({ "node": step.node, "does": step.does, "details": step.details })
}

fn out(out: &Out) -> Value {
    let port = Some(&out.port).filter(|port| !port.is_empty());
    match &out.to {
        Destination::Stage(number) => json!({ "port": port, "stage": number }),
        Destination::Block(inner) => json!({ "port": port, "work": block(inner) }),
    }
}
