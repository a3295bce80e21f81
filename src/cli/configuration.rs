//! The configuration of a process as others may see it.

use super::process::Process;
use crate::config::{Listen, SnapshotTarget};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What `headwater.yaml` says, without secrets.
pub fn shown(process: &Process) -> Value {
    let file = &process.file;
    let listen = file.serving.listen.map(|listen| match listen {
        Listen::Nowhere => "none".to_owned(),
        Listen::At(address) => address.to_string(),
    });
    let tokens = &file.serving.tokens;
    let snapshots = file.snapshots.as_ref().map(|snapshots| {
        let to = match &snapshots.to {
            SnapshotTarget::Directory(path) => json!(path),
            SnapshotTarget::S3(to) => json!({ "s3": {
                "bucket": to.bucket, "prefix": to.prefix, "endpoint": to.endpoint, "region": to.region,
                "access_key": "***", "secret_key": "***",
            } }),
        };
        json!({ "every_ms": snapshots.every.0, "keep": snapshots.keep, "to": to })
    });
    let params: Map<String, Value> = file
        .params
        .iter()
        .map(|(param, _)| {
            let value = if param.secret { "***" } else { param.value.as_str() };
            (param.name.clone(), json!(value))
        })
        .collect();
    let telemetry = &file.telemetry;
    let headers: Map<String, Value> =
        telemetry.headers.iter().map(|(name, _)| (name.clone(), json!("***"))).collect();
    json!({
        "data_dir": file.data_dir,
        "instance": file.instance,
        "listen": listen,
        "auth": { "reader": tokens.reader.len(), "operator": tokens.operator.len() },
        "tls": file.serving.tls.as_ref().map(|(cert, key)| json!({ "cert": cert, "key": key })),
        "limits": {
            "memory": file.limits.memory, "disk": file.limits.disk, "writes_per_day": file.limits.writes_per_day,
        },
        "snapshots": snapshots,
        "params": params,
        "telemetry": {
            "endpoint": telemetry.endpoint, "headers": headers, "interval_ms": telemetry.interval.map(|every| every.0),
            "resource": telemetry.resource.iter().cloned().collect::<BTreeMap<String, String>>(),
        },
    })
}
