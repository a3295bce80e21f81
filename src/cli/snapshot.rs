//! `snapshot`: what copies there are, and state restored from them.

use super::args::{SnapshotArgs, SnapshotVerb};
use super::data_dir::{DataDir, pipeline_folder};
use super::exit::Exit;
use super::process::Process;
use super::progress::grouped;
use super::remote;
use super::terminal::Terminal;
use crate::clients::hidden::Hidden;
use crate::clients::s3::{S3Options, S3Target};
use crate::config::{self, Environment};
use crate::state::disk::{Disk, RealDisk};
use crate::state::snapshot::{
    FolderTarget, Manifest, SnapshotError, SnapshotId, SnapshotTarget, find_snapshots, restore,
};
use crate::time::{Clock, SystemClock};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Takes, lists or restores.
///
/// # Errors
/// The target cannot be read, there is nothing to restore, or there is state already where it would go; no process runs.
pub fn snapshot(
    verb: &SnapshotVerb,
    data_dir: Option<&Path>,
    process: &Process,
    terminal: &Terminal,
) -> Result<(), Exit> {
    let (SnapshotVerb::List(args) | SnapshotVerb::Restore(args)) = verb else {
        return create(data_dir, terminal);
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (place, time) = split_time(args.target.as_deref().unwrap_or_default());
    let mut target = match place {
        "" => configured(process, clock.clone())?,
        place => target(place, args, &process.environment, clock.clone())?,
    };
    let found = find(&mut *target, args, time.as_ref(), terminal)?;
    match data_dir {
        _ if matches!(verb, SnapshotVerb::List(_)) => {
            list(&found, terminal);
            Ok(())
        }
        None => Err(Exit::usage("`snapshot restore` needs --data-dir DIR")),
        Some(data_dir) => {
            let chosen = choose(found, time.as_ref())?;
            let configured = process.file.instance.as_deref();
            restore_all(&chosen, &mut *target, (data_dir, configured), &*clock, terminal)
        }
    }
}

/// Has the process that runs take one.
fn create(data_dir: Option<&Path>, terminal: &Terminal) -> Result<(), Exit> {
    let done = remote::ask(data_dir, "POST", "/api/v1/snapshots")?;
    terminal.print(&match terminal.json {
        true => format!("{done}\n"),
        false => format!(
            "what runs is copied to {}: {} snapshots since the start\n",
            done["place"].as_str().unwrap_or_default(),
            done["taken"]
        ),
    });
    Ok(())
}

/// Where `headwater.yaml` has snapshots go.
fn configured(process: &Process, clock: Arc<dyn Clock>) -> Result<Box<dyn SnapshotTarget>, Exit> {
    match &process.file.snapshots {
        Some(snapshots) => open_target(&snapshots.to, clock).map_err(Exit::failed),
        None => Err(Exit::usage("which snapshots? name a TARGET, or `snapshots` in headwater.yaml")),
    }
}

/// Where snapshots go, as `headwater.yaml` says.
///
/// # Errors
/// It cannot be a target.
pub fn open_target(
    to: &config::SnapshotTarget,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn SnapshotTarget>, String> {
    let bucket = match to {
        config::SnapshotTarget::Directory(path) => return Ok(Box::new(FolderTarget::new(path))),
        config::SnapshotTarget::S3(bucket) => bucket,
    };
    let options = S3Options {
        bucket: bucket.bucket.clone(),
        prefix: bucket.prefix.clone(),
        endpoint: bucket.endpoint.clone(),
        region: Some(bucket.region.clone()),
        access_key: bucket.access_key.clone(),
        secret_key: Hidden(bucket.secret_key.clone()),
        session_token: None,
    };
    let target = S3Target::new(options, clock);
    Ok(Box::new(target.map_err(|error| format!("`snapshots`: bucket `{}`: {error}", bucket.bucket))?))
}

/// A target, and the time behind its last `@`, if what stands there is one.
fn split_time(text: &str) -> (&str, Option<SnapshotId>) {
    let split = text.rsplit_once('@');
    let timed = split.and_then(|(place, time)| Some((place, SnapshotId::parse(time)?)));
    timed.map_or((text, None), |(place, id)| (place, Some(id)))
}

/// What to write where a time may have been meant.
fn time_hint(place: &str) -> &'static str {
    match place.contains('@') {
        true => "; a time behind `@` is written as `snapshot list` writes it: 20270115T080000.000Z",
        false => "",
    }
}

fn target(
    place: &str,
    args: &SnapshotArgs,
    environment: &dyn Environment,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn SnapshotTarget>, Exit> {
    let Some(bucket) = place.strip_prefix("s3://") else {
        return match Path::new(place).is_dir() {
            true => Ok(Box::new(FolderTarget::new(Path::new(place)))),
            false => Err(Exit::failed(format!("there is no directory `{place}`{}", time_hint(place)))),
        };
    };
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    let needed = |name: &str| {
        let missing = || Exit::usage(format!("a bucket needs {name} in the environment"));
        environment.variable(name).ok_or_else(missing)
    };
    let options = S3Options {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: args.endpoint.clone(),
        region: args.region.clone(),
        access_key: needed("AWS_ACCESS_KEY_ID")?,
        secret_key: Hidden(needed("AWS_SECRET_ACCESS_KEY")?),
        session_token: environment.variable("AWS_SESSION_TOKEN").map(Hidden),
    };
    let target = S3Target::new(options, clock).map_err(|error| Exit::usage(format!("`{place}`: {error}")))?;
    Ok(Box::new(target))
}

/// The snapshots that are asked for, a pipeline after the other, the oldest first. What is not whole is named and left
/// out.
fn find(
    target: &mut dyn SnapshotTarget,
    args: &SnapshotArgs,
    time: Option<&SnapshotId>,
    terminal: &Terminal,
) -> Result<Vec<Manifest>, Exit> {
    let is_wanted =
        |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let found = find_snapshots(target, &mut |owner, id| {
        is_wanted(&args.instance, &owner.instance)
            && is_wanted(&args.pipeline, &owner.pipeline)
            && time.is_none_or(|time| time == id)
    });
    let (whole, damaged) = found.map_err(failed)?;
    for error in damaged {
        terminal.say(&format!("{}: {error}: left out\n", terminal.bold("warning")));
    }
    Ok(whole)
}

fn failed(error: SnapshotError) -> Exit {
    Exit::failed(error.to_string())
}

fn list(found: &[Manifest], terminal: &Terminal) {
    for manifest in found {
        let (owner, id, bytes) = (&manifest.owner, manifest.id().to_string(), manifest.bytes());
        terminal.print(&match terminal.json {
            true => format!("{}\n", entry(manifest)),
            false => format!(
                "{id}  {}  {}  epoch {}  {} bytes\n",
                owner.instance,
                owner.pipeline,
                manifest.epoch,
                grouped(bytes)
            ),
        });
    }
    if found.is_empty() {
        terminal.say("there is no snapshot\n");
    }
}

fn entry(manifest: &Manifest) -> serde_json::Value {
    json!({
        "time": manifest.id().to_string(),
        "instance": manifest.owner.instance,
        "pipeline": manifest.owner.pipeline,
        "epoch": manifest.epoch.0,
        "bytes": manifest.bytes(),
    })
}

/// The newest of each pipeline; all must be of one gateway.
fn choose(found: Vec<Manifest>, time: Option<&SnapshotId>) -> Result<Vec<Manifest>, Exit> {
    let instances: BTreeSet<&str> = found.iter().map(|manifest| manifest.owner.instance.as_str()).collect();
    if instances.len() > 1 {
        let names: Vec<&str> = instances.into_iter().collect();
        return Err(Exit::usage(format!(
            "these are of several gateways: choose by --instance {}",
            names.join(" or ")
        )));
    }
    let newest: BTreeMap<String, Manifest> =
        found.into_iter().map(|manifest| (manifest.owner.pipeline.clone(), manifest)).collect();
    if newest.is_empty() {
        let of = time.map(|time| format!(" of {time}")).unwrap_or_default();
        return Err(Exit::failed(format!("there is no whole snapshot{of} to be restored")));
    }
    Ok(newest.into_values().collect())
}

fn restore_all(
    chosen: &[Manifest],
    target: &mut dyn SnapshotTarget,
    (data_dir, configured): (&Path, Option<&str>),
    clock: &dyn Clock,
    terminal: &Terminal,
) -> Result<(), Exit> {
    // What goes on under the name of a gateway in other systems goes on.
    let instance = chosen.first().map(|manifest| manifest.owner.instance.as_str()).unwrap_or_default();
    let held = DataDir::open_as(data_dir, instance)?;
    for manifest in chosen {
        let folder = pipeline_folder(data_dir, &manifest.owner.pipeline);
        if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
            let (name, folder) = (&manifest.owner.pipeline, folder.display());
            let message =
                format!("there is state of `{name}` already: move `{folder}` away, or restore elsewhere");
            return Err(Exit::failed(message));
        }
    }
    let own = configured.map_or_else(|| held.instance().id, str::to_owned);
    if own != instance {
        let note = format!("this gateway stays `{own}`, the snapshot is of `{instance}`");
        terminal.say(&format!("{}: {note}\n", terminal.bold("warning")));
    }
    for manifest in chosen {
        restore_one(manifest, target, data_dir, clock.entropy())?;
        let (name, id, epoch) = (&manifest.owner.pipeline, manifest.id(), manifest.epoch);
        terminal.print(&match terminal.json {
            true => format!("{}\n", entry(manifest)),
            false => format!("`{name}` is restored from the snapshot of {id}, epoch {epoch}\n"),
        });
    }
    Ok(())
}

/// Restores under a name that no pipeline has: only what is whole gets its own.
fn restore_one(
    manifest: &Manifest,
    target: &mut dyn SnapshotTarget,
    data_dir: &Path,
    entropy: u64,
) -> Result<(), Exit> {
    let folder = pipeline_folder(data_dir, &manifest.owner.pipeline);
    let making = pipeline_folder(data_dir, &format!(".restoring-{}", manifest.owner.pipeline));
    let wrong = |error: io::Error| Exit::failed(format!("restoring `{}`: {error}", manifest.owner.pipeline));
    match fs::remove_dir_all(&making) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
        _ => {}
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&making).map_err(wrong)?);
    restore(manifest, target, &disk, entropy).map_err(failed)?;
    let above = folder.parent().unwrap_or(data_dir);
    let named = fs::rename(&making, &folder).and_then(|()| File::open(above)?.sync_all());
    named.map_err(wrong)
}
