use super::*;
use crate::config::{FixedEnvironment, SourceFile};

fn read(text: &str) -> (ProcessFile, String) {
    let faults = Faults::new(SourceFile::new("headwater.yaml", text.as_bytes().to_vec()).unwrap());
    let environment =
        FixedEnvironment { variables: vec![("KEY".to_owned(), "s3cr3t-key".to_owned())], files: Vec::new() };
    let file = read_process(&faults, &environment);
    let said = faults.diagnostics().iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
    (file, said)
}

#[test]
fn nothing_is_a_configuration() {
    for text in ["", "# nothing\n", "limits:\nparams: {}\n"] {
        let (file, said) = read(text);
        assert_eq!((said.as_str(), file.limits, file.data_dir), ("", Limits::default(), None), "{text}");
    }
}

#[test]
fn what_is_written_is_read() {
    let (file, said) = read(
        "data_dir: data\ninstance: b-1\nlimits: { memory: 64MiB }\nparams: { a: 1, b: '${KEY}' }\n\
         snapshots: { every: 6h, to: { s3: { bucket: b, access_key: a, secret_key: '${KEY}' } } }\n",
    );
    assert_eq!(said, "");
    assert_eq!(file.data_dir, Some(PathBuf::from("data")));
    assert_eq!(file.instance.as_deref(), Some("b-1"));
    assert_eq!(file.limits, Limits { memory: Some(64 << 20), disk: None, writes_per_day: None });
    let params: Vec<_> =
        file.params.iter().map(|(p, _)| (p.name.as_str(), p.value.as_str(), p.secret)).collect();
    assert_eq!(params, [("a", "1", false), ("b", "s3cr3t-key", true)]);
    let snapshots = file.snapshots.unwrap();
    assert_eq!((snapshots.every, snapshots.keep), (Millis(6 * 3_600_000), KEEP));
    assert!(!format!("{snapshots:?}").contains("s3cr3t"));
    let SnapshotTarget::S3(target) = snapshots.to else { panic!("no bucket") };
    assert_eq!(
        (target.region.as_str(), target.secret_key.as_str(), target.endpoint),
        (REGION, "s3cr3t-key", None)
    );
}

#[test]
fn ids_are_fit_for_names_at_servers() {
    assert!(is_instance("berlin-1_a"));
    for text in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
        assert!(!is_instance(text), "{text}");
    }
}
