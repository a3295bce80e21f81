use super::*;
use std::fs;

mod exact;

/// A path in a folder of this test's own, which is not there yet.
fn path(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("headwater-sink-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    folder.join("deep/out.csv")
}

fn sink(path: &Path, mode: FileMode) -> FileSink {
    let config = FileSinkConfig { mode, preamble: b"head\n".to_vec(), lines: true, sync: true };
    FileSink::new(path.to_owned(), config)
}

fn write(path: &Path, mode: FileMode, text: &str) {
    let mut sink = sink(path, mode);
    sink.open().unwrap();
    sink.write(text.as_bytes()).unwrap();
    sink.flush().unwrap();
}

fn remove(path: &Path) {
    fs::remove_dir_all(path.parent().unwrap().parent().unwrap()).unwrap();
}

#[test]
fn folders_are_made_and_runs_are_appended() {
    let path = path("append");
    write(&path, FileMode::Append, "a\n");
    write(&path, FileMode::Append, "b\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "head\na\nb\n", "the header stands once");
    remove(&path);
}

#[test]
fn replace_starts_anew_once() {
    let path = path("replace");
    write(&path, FileMode::Append, "old\n");
    let mut sink = sink(&path, FileMode::Replace);
    sink.open().unwrap();
    sink.write(b"a\n").unwrap();
    sink.flush().unwrap();
    sink.open().unwrap();
    sink.write(b"b\n").unwrap();
    sink.flush().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "head\na\nb\n");
    remove(&path);
}

#[test]
fn says_what_is_wrong() {
    let path = path("wrong");
    fs::create_dir_all(&path).unwrap();
    let message = |path: &Path| sink(path, FileMode::Append).open().unwrap_err().to_string();
    let expected =
        format!("cannot open `{}`: Is a directory (os error 21): name a file in it", path.display());
    assert_eq!(message(&path), expected);

    let file = path.join("file");
    fs::write(&file, "").unwrap();
    let error = message(&file.join("out.csv"));
    assert!(error.starts_with("cannot make the folder `"), "{error}");
    assert!(error.ends_with(": a part of the path is a file, not a folder"), "{error}");

    let error = sink(&file, FileMode::Append).write(b"x").unwrap_err().to_string();
    assert!(error.starts_with("cannot write to `"), "{error}");
    remove(&path);
}

#[test]
fn a_full_disk_names_the_remedy() {
    let mut sink = sink(Path::new("/dev/full"), FileMode::Replace);
    sink.open().unwrap();
    sink.write(b"x").unwrap();
    let error = sink.flush().unwrap_err().to_string();
    let expected = "cannot write to `/dev/full`: No space left on device (os error 28): \
                    free space there or choose a path on another disk";
    assert_eq!(error, expected);
    assert_eq!(sink.write(&[0; 100_000]).unwrap_err().to_string(), expected);
}

#[test]
fn a_pipe_without_reader_is_closed() {
    use std::os::fd::AsRawFd;
    let (reader, writer) = std::io::pipe().unwrap();
    let mut sink = sink(Path::new(&format!("/dev/fd/{}", writer.as_raw_fd())), FileMode::Replace);
    sink.open().unwrap();
    drop((reader, writer));
    assert!(matches!(sink.flush(), Err(SinkError::Closed)));
}

#[test]
fn a_torn_line_is_ended_first() {
    let path = path("torn");
    write(&path, FileMode::Append, "{\"torn");
    write(&path, FileMode::Append, "b\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "head\n{\"torn\nb\n");
    let config = FileSinkConfig { lines: false, ..FileSinkConfig::default() };
    let mut binary = FileSink::new(path.clone(), config);
    fs::write(&path, "\u{1}").unwrap();
    binary.open().unwrap();
    binary.write(b"\x02").unwrap();
    binary.close(&|| false).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"\x01\x02", "bytes have no lines");
    remove(&path);
}
