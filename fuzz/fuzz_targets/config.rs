//! Any bytes as a pipeline file: reading everything in every way never panics, every place lies in the file, and every
//! fault can be shown. Where nothing is reported, serde_yaml reads the same text.

#![no_main]

use headwater::config::{Faults, Override, units};
use headwater::config::{
    FixedEnvironment, Keys, Place, Setting, SourceFile, Surroundings, parse, read, read_pipeline,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = match SourceFile::new("fuzz.yaml", bytes.to_vec()) {
        Ok(file) => file,
        Err(refused) => return drop(refused.render(true)),
    };
    let environment = FixedEnvironment {
        variables: vec![("A".to_owned(), "5".to_owned()), ("B".to_owned(), "a secret: {}".to_owned())],
        files: vec![("f".into(), "text\n".to_owned())],
    };
    let overrides = [Override { name: "p".to_owned(), value: "1".to_owned(), secret: false }];
    let faults = Faults::new(file.clone());
    let surroundings = Surroundings { environment: &environment, overrides: &overrides };
    let pipeline = read_pipeline(&faults, surroundings);
    for node in pipeline.iter().flat_map(|pipeline| &pipeline.nodes) {
        node.open(["file", "where"], &["mqtt"], &faults).settings().for_each(|setting| read_all(setting));
    }
    for diagnostic in faults.diagnostics() {
        diagnostic.render(true);
        diagnostic.to_json();
    }
    let _ = units::duration(file.text());
    let _ = units::size(file.text());
    let _ = units::time(file.text());
    compare(Faults::new(file));
});

/// Where we report nothing, serde_yaml must be able to read the document as well.
fn compare(faults: Faults) {
    let Some(root) = parse(&faults) else {
        assert!(faults.has_errors());
        return;
    };
    let setting = Setting { name: "root", key: Place::default(), node: &root, faults: &faults, bare: false };
    let reported = faults.has_errors();
    read_all(setting);
    if !reported
        && let Err(error) = serde_yaml::from_slice::<serde_yaml::Value>(faults.file().text().as_bytes())
    {
        // What only its values cannot hold: whole numbers beyond 64 bits, and many aliases.
        let text = error.to_string();
        assert!(
            text.contains("128") || text.contains("repetition limit") || text.contains("duplicate"),
            "{text}"
        );
    }
}

fn read_all(setting: Setting<'_>) {
    read::text(setting);
    read::boolean(setting);
    read::integer(1..5)(setting);
    read::number(..1.0)(setting);
    read::positive_duration(setting);
    read::size(setting);
    read::time(setting);
    read::name(setting);
    read::word(&[("json", 1), ("csv", 2)], &["cbor"])(setting);
    if let Some(snippet) = read::expression(setting)
        && snippet.text.len() < 200
    {
        let node = setting.node.place;
        for at in 0..snippet.text.len() + 2 {
            let place = snippet.place(at..at + 1);
            assert!(node.start <= place.start && place.start <= place.end && place.end <= node.end);
        }
    }
    let file = setting.faults.file();
    assert!(
        file.slice(setting.node.place).len() == (setting.node.place.end - setting.node.place.start) as usize
    );
    let keys = Keys { known: &["from", "a"], later: &["b"], hints: &[("c", "d")] };
    let section = setting.section("it", keys);
    section.exactly_one(&["a", "from"], "operator");
    section.settings().for_each(|setting| read_all(setting));
    setting.node.items().into_iter().flatten().for_each(|node| read_all(Setting { node, ..setting }));
}
