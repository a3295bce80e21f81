//! A disk that is full: it is said, sources are held back, and when there is room again it all goes on.

use crate::common::{Folder, pause, until};
use crate::files::{PURCHASES, events, pipeline};
use crate::victim::{Victim, outputs, same, undisturbed, whole_outputs};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one at a folder that is made for it; None, loudly, where that is not allowed.
    fn mount(path: PathBuf) -> Option<Disk> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&path).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Disk(path));
        }
        let must = std::env::var("CI").as_deref() == Ok("true") && rustix::process::getuid().is_root();
        assert!(!must, "a tmpfs cannot be mounted");
        eprintln!("SKIPPED: only root can mount a small disk to fill; nothing is tested");
        None
    }

    /// Fills it up to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.0.join("ballast")).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            match file.write_all(&vec![0; size]) {
                Ok(()) => {}
                Err(_) => size /= 2,
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // One that stays mounted lies in the build folder, where it does no harm.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn append(path: &Path, bytes: &[u8]) {
    File::options().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_full_data_directory_is_waited_out() {
    let folder = Folder::empty();
    let Some(disk) = Disk::mount(folder.path().join("data")) else { return };
    let input = events(30_000, 31);
    folder.write("input.ndjson", &input);
    folder.write("p.yaml", pipeline(PURCHASES, false, 1));
    undisturbed(&folder, &[]);
    let mut expected = outputs(&folder.path().join("out"));
    expected.values_mut().for_each(|lines| lines.retain(|line| !line.contains("\"last\"")));
    fs::remove_dir_all(folder.path().join("out")).unwrap();

    let path = folder.path().join("input.ndjson");
    fs::write(&path, "").unwrap();
    folder.write("p.yaml", pipeline(PURCHASES, true, 1));
    let mut victim = Victim::start(&folder, &[]);
    let (first, rest) = input.split_at(input.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    append(&path, first);
    until("output", || !victim.has_ended() && !outputs(&folder.path().join("out")).is_empty());
    disk.fill();
    append(&path, second);
    until("the disk is full", || !victim.has_ended() && folder.read("stderr").contains("the disk is full"));
    let held = outputs(&folder.path().join("out"));
    append(&path, third);
    assert!(victim.live(500));
    assert_eq!(held, outputs(&folder.path().join("out")), "nothing is put out that is not durable");
    disk.make_room();
    until("room again", || !victim.has_ended() && folder.read("stderr").contains("takes state again"));
    let size = |outputs: crate::victim::Outputs| outputs.values().map(Vec::len).sum::<usize>();
    let all = size(expected.clone());
    let mut passes = 0;
    until("all rows", || {
        passes += 1;
        pause(20);
        size(outputs(&folder.path().join("out"))) >= all || passes > 500
    });
    let said = victim.stop();
    same("a full data directory", &expected, &outputs(&folder.path().join("out")), &said);
}

/// Sinks of both kinds: one file, and files that events choose and that are put aside.
const OUTPUT: &str = "
sinks:
  results: { from: events, file: { path: out/results/rows.ndjson } }
  chosen: { from: events, file: { path: 'out/chosen/{type}.ndjson', rotate: { size: 400KB } } }
";

/// How output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    ExactlyOnce,
    AtLeastOnce,
    InMemory,
}

/// Follows input while the disk for output is full, is killed meanwhile if `killed`, and goes on when there is room.
fn fill_output(kept: Kept, killed: bool, seed: u64) {
    let folder = Folder::empty();
    let input = events(18_000, seed);
    folder.write("input.ndjson", &input);
    folder.write("p.yaml", pipeline(OUTPUT, false, 1));
    undisturbed(&folder, &[]);
    let out = folder.path().join("out");
    let expected = outputs(&out);
    fs::remove_dir_all(&out).unwrap();
    let Some(disk) = Disk::mount(out.clone()) else { return };
    let path = folder.path().join("input.ndjson");
    fs::write(&path, "").unwrap();
    let text = pipeline(OUTPUT, true, 1);
    let delivery = if kept == Kept::ExactlyOnce { "exactly_once" } else { "at_least_once" };
    folder.write("p.yaml", text.replace("exactly_once", delivery));
    let start = || match kept {
        Kept::InMemory => Victim::without_state(&folder, &[]),
        _ => Victim::start(&folder, &[]),
    };
    let mut victim = start();
    let (first, rest) = input.split_at(input.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    append(&path, first);
    until("output", || !victim.has_ended() && folder.path().join("out/results/rows.ndjson").exists());
    disk.fill();
    append(&path, second);
    let said = |what: &str| folder.read("stderr").matches(what).count();
    until("the disk is full", || !victim.has_ended() && said("its output is held") > 0);
    if kept != Kept::InMemory {
        until("the status", || {
            let status = folder.run(&["status", "--data-dir", "data"]).succeeded();
            status.stdout.contains("away: cannot write to `out/")
        });
    }
    append(&path, third);
    assert!(victim.live(700), "{}", folder.read("stderr"));
    assert!(said("its output is held") <= 4, "it is said once: {}", folder.read("stderr"));
    if killed {
        victim.kill();
        victim = start();
        assert!(victim.live(300), "{}", folder.read("stderr"));
    }
    disk.make_room();
    let size = |outputs: &crate::victim::Outputs| outputs.values().map(Vec::len).sum::<usize>();
    until("all rows", || {
        pause(20);
        !victim.has_ended() && whole_outputs(&out).is_ok_and(|outputs| size(&outputs) >= size(&expected))
    });
    let everything = victim.stop();
    assert!(said("takes output again") > 0, "{everything}");
    let mut found = outputs(&out);
    if killed && kept == Kept::AtLeastOnce {
        found.values_mut().for_each(Vec::dedup);
        let mut expected = expected;
        expected.values_mut().for_each(Vec::dedup);
        same(&format!("{kept:?}, killed"), &expected, &found, &everything);
    } else {
        same(&format!("{kept:?}"), &expected, &found, &everything);
    }
}

#[test]
fn a_full_disk_for_output_is_waited_out_exactly_once() {
    fill_output(Kept::ExactlyOnce, false, 32);
    fill_output(Kept::ExactlyOnce, true, 33);
}

#[test]
fn a_full_disk_for_output_is_waited_out_at_least_once() {
    fill_output(Kept::AtLeastOnce, false, 34);
    fill_output(Kept::AtLeastOnce, true, 35);
}

#[test]
fn a_full_disk_for_output_holds_sources_back_without_state() {
    fill_output(Kept::InMemory, false, 36);
}

#[test]
fn a_target_is_tried_as_often_as_said() {
    let folder = Folder::empty();
    let job = "sinks:\n  results: { from: events, file: { path: out/rows.ndjson }, retry: { first: 10ms, attempts: 3 } }\n";
    folder.write("input.ndjson", events(60_000, 37));
    folder.write("p.yaml", pipeline(job, false, 1));
    let Some(disk) = Disk::mount(folder.path().join("out")) else { return };
    append(&disk.0.join("rows.ndjson"), b"{}\n");
    disk.fill();
    for arguments in [&["run", "--data-dir", "data", "p.yaml"][..], &["run", "p.yaml"]] {
        let ran = folder.run(arguments);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains("it was tried 3 times again, as `retry` says"), "{}", ran.stderr);
        folder.write("p.yaml", pipeline(job, false, 1).replace("exactly_once", "at_least_once"));
    }
}
