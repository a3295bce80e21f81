use super::*;
use crate::config::read;
use crate::config::{SourceFile, parse};
use crate::time::{Millis, Timestamp};

/// Reads the text by `check`, which is given the document as a setting called `root`, and returns what was
/// reported.
fn faults(text: &str, check: impl FnOnce(Setting<'static>)) -> String {
    let faults = Faults::new(SourceFile::new("p.yaml", text.as_bytes().to_vec()).unwrap());
    // Kept for the rest of the test, so that what is read has one lifetime whatever reads it.
    let faults: &'static Faults = Box::leak(Box::new(faults));
    let node: &'static Node = Box::leak(Box::new(parse(faults).unwrap()));
    check(Setting { name: "root", key: Place::default(), node, faults, bare: false });
    let said = |d: &crate::config::Diagnostic| {
        let hint = d.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{d}{hint}\n").replace("p.yaml:", "").replace("error: ", "")
    };
    faults.diagnostics().iter().map(said).collect()
}

/// Opens the text as a section with the keys `a` and `b`.
fn section(text: &str, check: impl FnOnce(Section<'static>)) -> String {
    let keys = Keys { known: &["a", "b"], later: &["follow"], hints: &[("from", "not here")] };
    faults(text, |root| check(root.section("source `file`", keys)))
}

/// What a reader says about the value of `a`.
fn reading<T>(value: &str, read: impl Fn(Setting<'static>) -> Option<T>) -> String {
    section(&format!("a: {value}"), |section| assert!(section.optional("a", read).is_none(), "{value}"))
}

#[test]
fn keys_that_a_section_cannot_have_are_refused() {
    let said = section("a: 1\naa: 2\nfollow: true\nzzz: 3\nfrom: x\n", |_| {});
    let want = "2:1: unknown key `aa` in source `file` (did you mean `a`? There are `a`, `b`)\n\
                3:1: `follow` is not in this version\n\
                4:1: unknown key `zzz` in source `file` (there are `a`, `b`)\n\
                5:1: unknown key `from` in source `file` (not here)\n";
    assert_eq!(said, want);
}

#[test]
fn a_section_must_be_a_map() {
    let said = section("just text", |section| {
        assert!(section.is_broken());
        assert_eq!(section.required("a", read::text), None);
        assert!(section.exactly_one(&["a", "b"], "connector").is_none());
    });
    let want = "1:1: source `file` must be a map, found the text `just text` \
                (write `key: value` lines below it, or `{ key: value }`)\n";
    assert_eq!(said, want);
    assert_eq!(section("", |section| assert!(!section.has("a"))), "");
}

#[test]
fn required_keys_are_missed_and_defaults_stand_in() {
    let said = section("b: 5", |section| {
        assert_eq!(section.required("a", read::text), None);
        assert_eq!(section.or("a", 7, read::integer(..)), 7);
        assert_eq!(section.or("b", 7, read::integer(..)), 5);
        assert_eq!(section.optional("a", read::integer(..)), None);
    });
    assert_eq!(said, "1:1: source `file` needs `a`\n");
}

#[test]
fn exactly_one_means_neither_none_nor_two() {
    let said = section("{}", |section| assert!(section.exactly_one(&["a", "b"], "connector").is_none()));
    assert_eq!(said, "1:1: source `file` has no connector (add one of `a`, `b`)\n");
    let said = section("a: 1\nb: 2", |section| {
        assert_eq!(section.exactly_one(&["a", "b"], "connector").unwrap().name, "a");
    });
    let want = "2:1: source `file` has two connectors: `a` and `b` (keep one of them)\n";
    assert_eq!(said, want);
}

#[test]
fn texts_are_texts_and_nothing_else() {
    section("a: x\nb: '5'", |section| {
        assert_eq!(section.required("a", read::text), Some("x"));
        assert_eq!(section.required("b", read::text), Some("5"));
    });
    assert_eq!(
        reading("5", read::text),
        "1:4: expected a text for `a`, found the number 5 (quote it: `\"5\"`)\n"
    );
    assert_eq!(
        reading("true", read::text),
        "1:4: expected a text for `a`, found `true` (quote it: `\"true\"`)\n"
    );
    assert_eq!(reading("''", read::text), "1:4: `a` is empty\n");
    assert_eq!(reading("", read::text), "1:1: expected a text for `a`, found nothing\n");
    let said =
        "1:4: expected a text for `a`, found a map (quote a text that starts with `{`: `\"{name}\"`)\n";
    assert_eq!(reading("{user}", read::text), said);
    let said = "1:4: expected a text for `a`, found a list (it takes one: leave the brackets away)\n";
    assert_eq!(reading("[x]", read::text), said);
}

#[test]
fn expressions_take_bare_numbers_as_text() {
    let texts = |text: &str| {
        let said = section(text, |section| {
            let written = text.strip_prefix("a: ").unwrap();
            assert_eq!(section.required("a", read::expression).unwrap().text, written);
        });
        assert_eq!(said, "");
    };
    ["a: 1", "a: 1.50", "a: true", "a: null", "a: b + c"].into_iter().for_each(texts);
    assert_eq!(reading("", read::expression), "1:1: expected an expression for `a`, found nothing\n");
    let said = section("{ a }", |section| assert!(section.optional("a", read::expression).is_none()));
    assert_eq!(said, "1:3: `a` has no value (write `name: expression`)\n");
}

#[test]
fn numbers_keep_their_bounds() {
    section("a: 5\nb: 0.5", |section| {
        assert_eq!(section.required("a", read::integer(1..=5)), Some(5));
        assert_eq!(section.required("a", read::number(0.0..)), Some(5.0));
        assert_eq!(section.required("b", read::number(0.0..=1.0)), Some(0.5));
    });
    let said = "1:4: expected a whole number of at least 1 and at most 4 for `a`, found the number 5\n";
    assert_eq!(reading("5", read::integer(1..=4)), said);
    assert_eq!(
        reading("1.5", read::integer(..)),
        "1:4: expected a whole number for `a`, found the number 1.5\n"
    );
    assert_eq!(
        reading("'5'", read::integer(..)),
        "1:4: expected a whole number for `a`, found the text `5`\n"
    );
    assert_eq!(reading(".nan", read::number(..)), "1:4: expected a number for `a`, found the number .nan\n");
    assert_eq!(
        reading("2", read::number(..1.0)),
        "1:4: expected a number below 1 for `a`, found the number 2\n"
    );
    assert_eq!(
        reading("yes", read::boolean),
        "1:4: expected `true` or `false` for `a`, found the text `yes`\n"
    );
}

#[test]
fn units_come_with_how_to_write_them() {
    section("a: 10s\nb: 64KiB", |section| {
        assert_eq!(section.required("a", read::duration), Some(Millis(10_000)));
        assert_eq!(section.required("b", read::size), Some(65_536));
    });
    section("a: 1500\nb: 1970-01-01T00:00:01Z", |section| {
        assert_eq!(section.required("a", read::time), Some(Timestamp(1_500)));
        assert_eq!(section.required("b", read::time), Some(Timestamp(1_000)));
    });
    let said = "1:4: expected a duration for `a`, found the number 10 \
                (a duration needs its unit: `10ms`, `10s`, `10m`, `10h`, `10d`)\n";
    assert_eq!(reading("10", read::duration), said);
    assert_eq!(
        reading("0s", read::positive_duration),
        "1:4: expected a duration above zero for `a`, found the text `0s`\n"
    );
    assert_eq!(reading("[1s]", read::duration), "1:4: expected a duration for `a`, found a list\n");
    assert_eq!(
        reading("64", read::size),
        "1:4: expected a size for `a`, found the number 64 (a size needs its unit: `64B`, `64KiB`, `64MB`)\n"
    );
}

#[test]
fn lists_report_every_faulty_item() {
    section("a: [x, y]\nb: z", |section| {
        assert_eq!(section.required("a", read::list(read::text)), Some(vec!["x", "y"]));
        assert_eq!(section.required("a", read::one_or_list(read::text)), Some(vec!["x", "y"]));
        assert_eq!(section.required("b", read::one_or_list(read::text)), Some(vec!["z"]));
    });
    let said = "1:5: expected a text for `a`, found the number 1 (quote it: `\"1\"`)\n\
                1:11: expected a text for `a`, found a list\n";
    assert_eq!(reading("[1, x, []]", read::list(read::text)), said);
    let said =
        "1:4: expected a list for `a`, found the text `x` (write `[a, b]`, or `- ` lines below the key)\n";
    assert_eq!(reading("x", read::list(read::text)), said);
    assert_eq!(reading("[]", read::one_or_list(read::text)), "1:4: `a` is an empty list\n");
}

#[test]
fn words_suggest_the_nearest() {
    let start = read::word(&[("begin", 0), ("end", 1)], &["committed"]);
    section("a: end", |section| assert_eq!(section.required("a", &start), Some(1)));
    let said =
        "1:4: the text `begn` is nothing that `a` can be (did you mean `begin`? There are `begin`, `end`)\n";
    assert_eq!(reading("begn", &start), said);
    assert_eq!(reading("committed", &start), "1:4: `committed` is not in this version\n");
    assert_eq!(
        reading("[]", &start),
        "1:4: expected a word for `a`, found a list (there are `begin`, `end`)\n"
    );
}

#[test]
fn maps_of_chosen_names_and_short_forms() {
    let said = section("a: { x: 1, y: b + 1 }\nb: json", |section| {
        let set = section.required("a", read::map(read::expression)).unwrap();
        let pairs: Vec<_> = set.iter().map(|(setting, snippet)| (setting.name, snippet.text)).collect();
        assert_eq!(pairs, [("x", "1"), ("y", "b + 1")]);
        let short = section.get("b").unwrap();
        let options = short.without_value("json").section("format `json`", Keys::of(&["validate"]));
        assert_eq!(options.required("validate", read::text), None);
    });
    assert_eq!(said, "2:4: format `json` needs `validate`\n");
    assert_eq!(
        reading("5", read::map(read::text)),
        "1:4: expected a map for `a`, found the number 5 (write `name: …` lines below it, or `{ name: … }`)\n"
    );
}
