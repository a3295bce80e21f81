use super::*;
use std::fs;
use std::path::Path;

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("headwater-source-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn source(path: &Path, start: Start) -> FileSource {
    FileSource::new(FileSourceConfig { path: path.to_owned(), start, compression: Compression::Auto })
}

fn read_all(source: &mut FileSource, max: usize) -> Vec<u8> {
    let mut bytes = vec![];
    while source.read(&mut bytes, max).unwrap() != Polled::End {}
    bytes
}

#[test]
fn reads_all_in_pieces_of_any_size() {
    let folder = folder("pieces");
    let path = folder.join("in.ndjson");
    let content: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&path, &content).unwrap();
    for max in [7, 4096, 1 << 20] {
        let mut source = source(&path, Start::Begin);
        source.open().unwrap();
        assert_eq!(read_all(&mut source, max), content);
        assert_eq!(source.read(&mut vec![], max).unwrap(), Polled::End, "and stays at its end");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn starts_at_the_end_if_told() {
    let folder = folder("end");
    let path = folder.join("in.ndjson");
    fs::write(&path, "old\n").unwrap();
    let mut source = source(&path, Start::End);
    source.open().unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut f| io::Write::write_all(&mut f, b"new\n"))
        .unwrap();
    assert_eq!(read_all(&mut source, 100), b"new\n");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn says_what_is_wrong() {
    let folder = folder("wrong");
    let message = |path: &Path| source(path, Start::Begin).open().unwrap_err().to_string();

    let missing = folder.join("missing.ndjson");
    let expected = format!(
        "cannot open `{}`: No such file or directory (os error 2): is the path right, seen from the pipeline's file?",
        missing.display()
    );
    assert_eq!(message(&missing), expected);

    let expected =
        format!("cannot open `{}`: Is a directory (os error 21): name a file in it", folder.display());
    assert_eq!(message(&folder), expected);

    let mut unopened = source(&missing, Start::Begin);
    let error = unopened.read(&mut vec![], 1).unwrap_err();
    assert!(error.message.starts_with("cannot read `"), "{error}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_unreadable_file_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder("unreadable");
    let path = folder.join("secret.ndjson");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything; then there is nothing to see.
    if let Err(error) = source(&path, Start::Begin).open() {
        assert!(error.message.contains("Permission denied"), "{error}");
        assert!(error.message.ends_with("let this user read it and enter its folders"), "{error}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_pipe_in_place_of_a_file_does() {
    use std::os::fd::AsRawFd;
    let (reader, writer) = std::io::pipe().unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let error = source(&path, Start::End).open().unwrap_err();
    assert!(error.message.ends_with(": a pipe has no end to start at"), "{error}");
    let mut source = source(&path, Start::Begin);
    source.open().unwrap();
    assert_eq!(source.read(&mut vec![], 10).unwrap(), Polled::Empty);
    drop(writer);
    assert_eq!(source.read(&mut vec![], 10).unwrap(), Polled::End);
}

#[test]
fn a_device_in_place_of_a_file_does() {
    let mut source = source(Path::new("/dev/null"), Start::Begin);
    source.open().unwrap();
    assert_eq!(source.read(&mut vec![], 10).unwrap(), Polled::End);
}
