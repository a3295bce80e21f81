//! A disk that is full: it is said, sources are held back, and when there is room again it all goes on.

use crate::common::{Folder, pause, until};
use crate::files::{PURCHASES, events, pipeline};
use crate::victim::{Victim, outputs, same, undisturbed};
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

#[test]
fn a_full_disk_for_output_loses_and_repeats_nothing() {
    let folder = Folder::empty();
    let job = "sinks:\n  results: { from: events, file: { path: out/results/rows.ndjson } }\n";
    folder.write("input.ndjson", events(30_000, 32));
    folder.write("p.yaml", pipeline(job, false, 1));
    undisturbed(&folder, &[]);
    let expected = outputs(&folder.path().join("out"));
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    let Some(disk) = Disk::mount(folder.path().join("out")) else { return };
    fs::create_dir(folder.path().join("out/results")).unwrap();
    append(&disk.0.join("small"), &vec![0; 5 << 20]);
    disk.fill();
    fs::remove_file(disk.0.join("small")).unwrap();
    append(&disk.0.join("smaller"), &vec![0; 4 << 20]);
    let ran = folder.run(&["run", "--data-dir", "data", "p.yaml"]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("rows.ndjson`: No space left"), "{}", ran.stderr);
    disk.make_room();
    fs::remove_file(disk.0.join("smaller")).unwrap();
    folder.run(&["run", "--data-dir", "data", "p.yaml"]).succeeded();
    same("a full disk for output", &expected, &outputs(&folder.path().join("out")), &ran.stderr);
}
