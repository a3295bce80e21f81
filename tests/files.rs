//! Files as sources and sinks, seen from outside: globs, packed files, files that are followed.

pub mod common;

use common::{Folder, headwater, pause, until, wait};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};

/// A pipeline that copies what a file source reads, with the name of what goes where.
fn copying(options: &str) -> String {
    format!(
        "sources:\n  in:\n    file: {{ {options} }}\n    event_time: {{ field: t }}\n\
         sinks:\n  out: {{ from: in, file: {{ path: out.ndjson }} }}\n  \
         bad: {{ from: in.rejected, file: {{ path: bad.ndjson }} }}\n"
    )
}

fn line(t: usize) -> String {
    format!("{{\"t\":{t}}}\n")
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(line).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

#[test]
fn files_of_a_glob_are_merged_by_event_time() {
    let folder = Folder::empty();
    folder.write("p.yaml", copying("path: [\"in/*.ndjson\", last.ndjson, \"in/b*\"]"));
    folder.write("in/b.ndjson", [line(2), line(5), line(8)].concat());
    folder.write("in/a.ndjson", [line(1), line(4), line(7)].concat());
    folder.write("in/.hidden.ndjson", line(99));
    folder.write("in/deep/c.ndjson", line(99));
    folder.write("last.ndjson", [line(3), line(6), line(9)].concat().trim_end());
    folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(folder.read("out.ndjson"), lines(1..10));
}

#[test]
fn an_event_knows_its_file() {
    let folder = Folder::empty();
    let named = "transforms:\n  named: { from: in, select: { t: t, path: source_topic() } }\nsinks:";
    let pipeline = copying("path: \"in/*\"").replace("sinks:", named);
    folder.write("p.yaml", pipeline.replace("out: { from: in,", "out: { from: named,"));
    folder.write("in/a", line(1));
    folder.write("in/b", line(2));
    folder.run(&["run", "p.yaml"]).succeeded();
    let out = folder.read("out.ndjson");
    let ends = ["in/a\"}", "in/b\"}"];
    assert!(
        out.lines().zip(ends).all(|(line, end)| line.ends_with(end)) && out.lines().count() == 2,
        "{out}"
    );
}

#[test]
fn a_glob_without_a_match_is_an_error_of_the_run() {
    let folder = Folder::empty();
    folder.write("p.yaml", copying("path: \"in/*.ndjson\""));
    folder.run(&["check", "p.yaml"]).succeeded();
    let ran = folder.run(&["run", "p.yaml"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("source `in`: no file matches `in/*.ndjson`"), "{}", ran.stderr);
}

#[test]
fn a_glob_passes_over_what_is_hidden_and_names_that_are_no_text() {
    for follow in [false, true] {
        let folder = Folder::empty();
        let foreign = std::ffi::OsStr::from_bytes(b"in/\xff.ndjson");
        folder.write("in/a.ndjson", line(1));
        folder.write("in/.b.ndjson", line(2));
        folder.write("in/.c/d.ndjson", line(3));
        fs::write(folder.path().join(foreign), line(4)).unwrap();
        let path = format!("path: './in/**/*.ndjson', follow: {follow}");
        folder.write("p.yaml", copying(&path));
        let mut run = headwater(folder.path(), &["run", "p.yaml"]).spawn().unwrap();
        until("a line", || !folder.read("out.ndjson").is_empty());
        if follow {
            folder.write("in/e.ndjson", line(5));
            until("the new file's", || numbers(&folder).len() > 1);
            run.kill().unwrap();
        }
        wait(&mut run);
        assert_eq!(numbers(&folder), if follow { vec![1, 5] } else { vec![1] });
    }
}

#[test]
fn more_files_are_read_than_a_shell_lets_programs_open() {
    let folder = Folder::empty();
    (0..100).for_each(|i| drop(folder.write(&format!("in/{i}"), line(i))));
    folder.write("p.yaml", copying("path: 'in/*'"));
    let run = headwater(folder.path(), &["run", "p.yaml"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -Sn 50 && exec \"$0\" run p.yaml"]).arg(run.get_program());
    assert!(shell.current_dir(folder.path()).status().unwrap().success());
    assert_eq!(numbers(&folder).len(), 100);
}

#[test]
fn packed_files_are_unpacked() {
    let folder = Folder::empty();
    folder.write("p.yaml", copying("path: \"*.log*\""));
    let many = lines(20..20_000);
    folder.write("a.log.gz", [gzip(&lines(0..5)), gzip(&lines(5..10))].concat());
    folder.write("b.log.zst", [zstd(&lines(10..15)), zstd(&lines(15..20)), zstd(&many)].concat());
    folder.write("c.log", lines(20_000..20_003));
    folder.run(&["run", "p.yaml"]).succeeded();
    assert!(numbers(&folder) == all(20_003));
    assert_eq!(folder.read("bad.ndjson"), "");
}

#[test]
fn what_is_cut_off_or_damaged_is_said_with_its_name() {
    let text = lines(0..5_000);
    let folder = Folder::empty();
    folder.write("p.yaml", copying("path: in.log"));
    folder.write("gzip.yaml", copying("path: in.log, compression: gzip"));
    let cases = [
        ("p.yaml", gzip(&text), "it was cut off, or is still being written"),
        ("p.yaml", zstd(&text), "it was cut off, or is still being written"),
        (
            "gzip.yaml",
            [gzip(&text), b"rest of it, no gzip".to_vec()].concat(),
            "it is damaged, or packed otherwise",
        ),
    ];
    for (i, (pipeline, bytes, expected)) in cases.into_iter().enumerate() {
        let end = if i < 2 { bytes.len() - 9 } else { bytes.len() };
        folder.write("in.log", &bytes[..end]);
        let ran = folder.run(&["run", pipeline]);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains("in.log`") && ran.stderr.contains(expected), "{}", ran.stderr);
    }
    folder.write("plain.yaml", copying("path: in.log, compression: none"));
    folder.write("in.log", gzip(&line(1)));
    folder.run(&["run", "plain.yaml"]).succeeded();
    assert!(folder.read("bad.ndjson").contains("expected"), "bytes as they are");
}

/// A pipeline that follows, and is ended by a signal.
struct Following {
    child: Child,
    folder: Folder,
}

impl Following {
    fn start(folder: Folder, options: &str) -> Following {
        folder.write("p.yaml", copying(options));
        let errors = File::create(folder.path().join("stderr")).unwrap();
        let mut command = headwater(folder.path(), &["run", "p.yaml"]);
        let child = command.stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        // The output is opened behind the input.
        until("the output is there", || folder.path().join("out.ndjson").exists());
        Following { child, folder }
    }

    fn append(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.folder.path().join(from), self.folder.path().join(to)).unwrap();
    }

    /// Waits until so many lines were put out.
    fn wait_for(&self, count: usize) {
        until(&format!("{count} lines"), || self.folder.read("out.ndjson").lines().count() >= count);
    }

    /// Ends the run; returns what was put out, sorted by the number in each line.
    fn stop(mut self) -> Vec<usize> {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert_eq!(wait(&mut self.child).code(), Some(0), "{}", self.folder.read("stderr"));
        assert_eq!(self.folder.read("bad.ndjson"), "");
        numbers(&self.folder)
    }
}

/// The numbers of all lines that were put out, sorted.
fn numbers(folder: &Folder) -> Vec<usize> {
    let out = folder.read("out.ndjson");
    let number = |line: &str| line.trim_start_matches("{\"t\":").trim_end_matches('}').parse().unwrap();
    let mut numbers: Vec<usize> = out.lines().map(number).collect();
    numbers.sort_unstable();
    numbers
}

fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

#[test]
fn a_followed_file_is_read_through_rotation() {
    let following = Following::start(Folder::empty(), "path: app.log, follow: true");
    following.append("app.log", &lines(0..2));
    following.wait_for(2);
    following.rename("app.log", "app.log.1");
    // Who writes may notice late: what still goes to the old file counts.
    following.append("app.log.1", &line(2));
    following.append("app.log", &line(3));
    following.wait_for(4);
    following.append("app.log.1", &line(4));
    following.wait_for(5);
    // Away for a while.
    following.rename("app.log", "app.log.2");
    pause(200);
    following.append("app.log", &lines(5..7));
    following.wait_for(7);
    assert_eq!(following.stop(), all(7));
}

#[test]
fn a_followed_file_is_read_through_truncation() {
    let folder = Folder::empty();
    folder.write("app.log", lines(0..30));
    let following = Following::start(folder, "path: app.log, follow: true");
    following.wait_for(30);
    let path = following.folder.path().join("app.log");
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    following.append("app.log", &line(30));
    following.wait_for(31);
    // Truncated and grown beyond where it was between two looks: its beginning tells.
    pause(100);
    fs::write(&path, lines(31..80)).unwrap();
    following.wait_for(80);
    assert_eq!(following.stop(), all(80));
}

#[test]
fn a_line_counts_once_its_newline_is_there() {
    let following = Following::start(Folder::empty(), "path: app.log, follow: true");
    following.append("app.log", "{\"t\":0}\n{\"t\"");
    following.wait_for(1);
    pause(150);
    following.append("app.log", ":1}");
    pause(150);
    assert_eq!(following.folder.read("out.ndjson"), line(0));
    following.append("app.log", "\n");
    following.wait_for(2);
    assert_eq!(following.stop(), all(2));
}

#[test]
fn files_that_match_later_are_followed_from_their_beginning() {
    let folder = Folder::empty();
    folder.write("old.log", line(99));
    folder.write("packed.log.gz", gzip(&line(98)));
    let following = Following::start(folder, "path: \"*.log*\", follow: true, start: end");
    following.append("old.log", &line(0));
    following.wait_for(1);
    following.append("new.log", &lines(1..3));
    following.wait_for(3);
    // A new name for a file that is followed is no new file.
    following.rename("new.log", "newer.log");
    pause(700);
    following.append("newer.log", &line(3));
    following.wait_for(4);
    assert_eq!(following.stop(), all(4));
}

#[test]
fn many_rotations_under_load_lose_and_double_nothing() {
    let following = Following::start(Folder::empty(), "path: \"app.log*\", follow: true");
    let path = following.folder.path().to_owned();
    let mut written = 0;
    for rotation in 0..40 {
        let mut file = OpenOptions::new().append(true).create(true).open(path.join("app.log")).unwrap();
        for _ in 0..25 {
            file.write_all(lines(written..written + 40).as_bytes()).unwrap();
            written += 40;
        }
        pause(rotation % 7);
        following.rename("app.log", &format!("app.log.{rotation}"));
    }
    following.wait_for(written);
    pause(600);
    assert!(following.stop() == all(written));
}

/// A pipeline that writes what comes in on the command line's file to the files that a sink chooses.
fn spreading(options: &str) -> String {
    format!(
        "sources:\n  in: {{ file: {{ path: in.ndjson }} }}\n\
         sinks:\n  out: {{ from: in, file: {{ {options} }} }}\n"
    )
}

/// Whole contents of the files of a folder, by name.
fn contents(folder: &Folder, name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder.path().join(name)).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn events_choose_their_files_by_field_and_day() {
    let folder = Folder::empty();
    let path = "path: \"out/{site}/{format_time(to_timestamp(t, 'ms'), '%Y-%m-%d')}.csv\"";
    let pipeline = spreading(path).replace("csv\" } }\n", "csv\" }, format: { csv: { columns: [t] } } }\n");
    folder.write("p.yaml", pipeline);
    let event = |site: &str, t: i64| format!("{{\"site\":\"{site}\",\"t\":{t}}}\n");
    let events = [event("a", 0), event("b", 1), event("a", 86_400_000), event("a", 2), "{\"t\":1}\n".into()];
    folder.write("in.ndjson", events.concat());
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(folder.read("out/a/1970-01-01.csv"), "t\n0\n2\n");
    assert_eq!(folder.read("out/a/1970-01-02.csv"), "t\n86400000\n");
    assert_eq!(folder.read("out/b/1970-01-01.csv"), "t\n1\n");
    assert!(ran.stderr.contains("`site` is null"), "{}", ran.stderr);
    folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(folder.read("out/b/1970-01-01.csv"), "t\n1\n1\n", "appended, with one header");
}

#[test]
fn events_do_not_choose_where_they_should_not() {
    let folder = Folder::empty();
    folder.write("p.yaml", spreading("path: \"{p}.x\", mode: replace"));
    let long = "l".repeat(300);
    let paths = ["/tmp/escaped", "../up", "a/../../up", "fine/deep", long.as_str(), "..", "a\\u0000b"];
    let events: String = paths.iter().map(|p| format!("{{\"p\":\"{p}\"}}\n")).collect();
    folder.write("in.ndjson", events);
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    for reason in ["absolute path", "out of the folder by `..`", "too long", "names no file"] {
        assert!(ran.stderr.contains(reason), "{reason}: {}", ran.stderr);
    }
    assert!(folder.path().join("fine/deep.x").exists() && folder.path().join("...x").exists());
}

#[test]
fn an_event_whose_name_is_taken_stops_nothing() {
    let folder = Folder::empty();
    let names = ["a", "a/b", "c/d", "c", "e"];
    folder.write("in", names.map(|name| format!("{{\"d\":\"{name}\"}}\n")).concat());
    folder.write(
        "p.yaml",
        "sources: { in: { file: { path: in } } }\nsinks: { out: { from: in, file: { path: 'x/{d}' } } }\n",
    );
    let ran = folder.run(&["run", "p.yaml"]).succeeded();
    assert_eq!(["x/a", "x/c/d", "x/e"].map(|name| folder.read(name).lines().count()), [1, 1, 1]);
    for why in ["`x/a/b`: `x/a` is no folder; 1 are lost", "`x/c`: it is a folder; 2 are lost"] {
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
}

#[test]
fn a_thousand_files_share_few_open_ones() {
    let folder = Folder::empty();
    folder.write("p.yaml", spreading("path: \"out/{n % 1000}.ndjson\", mode: replace"));
    folder.write("in.ndjson", (0..5_000).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let limited = format!("ulimit -n 200 && exec {} run p.yaml", env!("CARGO_BIN_EXE_headwater"));
    for _ in 0..2 {
        let mut command = Command::new("sh");
        let status = command.current_dir(folder.path()).args(["-c", &limited]).status().unwrap();
        assert!(status.success());
    }
    let files = contents(&folder, "out");
    assert_eq!(files.len(), 1_000);
    assert_eq!(
        folder.read("out/7.ndjson"),
        "{\"n\":7}\n{\"n\":1007}\n{\"n\":2007}\n{\"n\":3007}\n{\"n\":4007}\n"
    );
    assert!(files.iter().all(|(_, text)| text.iter().filter(|b| **b == b'\n').count() == 5));
}

#[test]
fn large_files_are_put_aside_packed_and_the_oldest_deleted() {
    for (compress, ending) in [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")] {
        let folder = Folder::empty();
        let rotate = format!("path: out/a.ndjson, rotate: {{ size: 1000B, keep: 3, compress: {compress} }}");
        folder.write("p.yaml", spreading(&rotate));
        folder.write("in.ndjson", lines(1_000..2_000));
        folder.run(&["run", "p.yaml"]).succeeded();
        let files = contents(&folder, "out");
        assert_eq!(files.len(), 4, "{:?}", files.iter().map(|(name, _)| name).collect::<Vec<_>>());
        let (last, aside) = files.split_last().unwrap();
        assert_eq!(last.0, "a.ndjson");
        assert!(last.1.ends_with(line(1_999).as_bytes()));
        let mut text = String::new();
        for (name, bytes) in aside {
            assert!(name.starts_with("a-2") && name.ends_with(&format!(".ndjson{ending}")), "{name}");
            let unpacked = match compress {
                "gzip" => {
                    let mut unpacked = Vec::new();
                    let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
                    std::io::Read::read_to_end(&mut decoder, &mut unpacked).unwrap();
                    unpacked
                }
                "zstd" => zstd::decode_all(&bytes[..]).unwrap(),
                _ => bytes.clone(),
            };
            assert!(unpacked.len() <= 1_000 && unpacked.len() > 980, "{}", unpacked.len());
            text.push_str(str::from_utf8(&unpacked).unwrap());
        }
        text.push_str(str::from_utf8(&last.1).unwrap());
        assert!(lines(1_000..2_000).ends_with(&text), "whole events, one behind the other");
        // What an earlier run left is tidied by the next.
        folder.write("out/a-20200101T000000Z-001.ndjson", line(1));
        folder.write("out/a-20200101T000000Z-001.ndjson.gz.part", "x");
        folder.write("in.ndjson", line(5));
        folder.run(&["run", "p.yaml"]).succeeded();
        assert_eq!(contents(&folder, "out").len(), 4);
    }
}

#[test]
fn old_files_are_put_aside() {
    let folder = Folder::empty();
    folder.write("p.yaml", spreading("path: a.ndjson, rotate: { every: 150ms }"));
    for n in 0..3 {
        folder.write("in.ndjson", line(n));
        folder.run(&["run", "p.yaml"]).succeeded();
        pause(200);
    }
    assert_eq!(folder.read("a.ndjson"), line(2));
}

#[test]
fn binary_formats_go_round_through_files() {
    for format in ["msgpack", "cbor", "{ influx: { precision: ms } }"] {
        let folder = Folder::empty();
        let events = "{\"measurement\":\"m\",\"a\":1,\"b\":\"x y\",\"time\":5}\n{\"measurement\":\"m\",\"a\":2.5,\"b\":\"\",\"time\":6}\n";
        folder.write("in.ndjson", events);
        let to = format!(
            "sources: {{ in: {{ file: {{ path: in.ndjson }} }} }}\nsinks:\n  out:\n    from: in\n    file: {{ path: packed }}\n    format: {format}\n"
        );
        let back = format!(
            "sources:\n  in:\n    file: {{ path: packed }}\n    format: {format}\nsinks: {{ out: {{ from: in, file: {{ path: out.ndjson }} }} }}\n"
        );
        folder.write("to.yaml", to);
        folder.write("back.yaml", back);
        folder.run(&["run", "to.yaml"]).succeeded();
        folder.run(&["run", "to.yaml"]).succeeded();
        folder.run(&["run", "back.yaml"]).succeeded();
        assert_eq!(folder.read("out.ndjson"), [events, events].concat(), "{format}");
    }
}
