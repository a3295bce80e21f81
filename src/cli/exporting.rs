//! Who is told by OpenTelemetry what a run measures.

use super::fleet::Fleet;
use super::process::Process;
use crate::clients::otlp::{Exporter, Settings};
use crate::server;
use crate::time::SystemClock;
use std::sync::Arc;

/// Starts to tell, where the configuration or a variable names somebody. That nobody can be told is no reason not to run.
pub fn start(process: &Process, fleet: &Arc<Fleet>, clock: &Arc<SystemClock>) -> Option<Exporter> {
    let settings = Settings::read(&process.environment, &process.file.telemetry, &mut |fault| {
        tracing::warn!("telemetry: {fault}");
    })?;
    let measured = fleet.clone();
    let readings = Box::new(move || server::samples(&*measured));
    let started = Exporter::start(settings, server::resource(&**fleet), readings, clock.clone());
    started.inspect_err(|error| tracing::warn!("nobody is told what is measured: {error}")).ok()
}
