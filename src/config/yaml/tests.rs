use proptest::prelude::*;

use super::parse;
use crate::config::{Content, Faults, Meaning, Node, SourceFile};

fn read(text: &str) -> (Option<Node>, String) {
    let faults = Faults::new(SourceFile::new("p.yaml", text.as_bytes().to_vec()).unwrap());
    let node = parse(&faults);
    (node, faults.diagnostics().iter().map(|diagnostic| diagnostic.render(false)).collect())
}

/// The document where nothing is wrong.
fn tree(text: &str) -> Node {
    let (node, faults) = read(text);
    assert_eq!(faults, "");
    node.unwrap()
}

#[track_caller]
fn refused(text: &str, want: &str) {
    let (_, got) = read(text);
    assert_eq!(got, want.trim_start_matches('\n'), "\n{got}");
}

/// What serde_yaml would make of the node.
fn as_serde(node: &Node) -> serde_yaml::Value {
    use serde_yaml::Value;
    match node.meaning() {
        Meaning::Null => Value::Null,
        Meaning::Bool(value) => Value::Bool(value),
        Meaning::Int(value) => Value::Number(value.into()),
        Meaning::Float(value) => Value::Number(value.into()),
        Meaning::Text(text) => Value::String(text.to_owned()),
        Meaning::List(items) => Value::Sequence(items.iter().map(as_serde).collect()),
        Meaning::Map(entries) => {
            let pairs = entries.iter().map(|entry| (entry.key.clone().into(), as_serde(&entry.value)));
            Value::Mapping(pairs.collect())
        }
    }
}

fn same(a: &serde_yaml::Value, b: &serde_yaml::Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        // Whole numbers beyond 64 bits with sign are floats to us.
        (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}

#[test]
fn plain_scalars_mean_what_serde_yaml_says() {
    let texts = "null Null NULL ~ nUll true True TRUE tRue false False FALSE yes no on off 0 1 -1 +1 00 007 -007 +0 -0 \
        0x1F 0X1F -0x1f +0x1f 0x 0x-1 0x+1 0o17 -0o17 0o8 0b101 -0b11 0b2 1_000 9223372036854775807 -9223372036854775808 \
        9223372036854775808 18446744073709551615 18446744073709551616 -9223372036854775809 1e3 1E3 1.5 -1.5 +1.5 .5 5. \
        -.5 1e 1e400 .inf -.inf +.inf .Inf .INF .nan .NaN .NAN -.nan inf nan infinity NaN ++1 +-1 --1 -+1.5 1.2.3 \
        2026-03-01 12:30 0.1.2 1e-3 00.5 0x1.8 - + . 0e5 +0x+1 0b 0o 340282366920938463463374607431768211456";
    for text in texts.split_whitespace().filter(|text| *text != "-") {
        let ours = as_serde(&tree(&format!("a: {text}")));
        match serde_yaml::from_str::<serde_yaml::Value>(&format!("a: {text}")) {
            Ok(theirs) => assert!(same(&ours["a"], &theirs["a"]), "{text}: {ours:?} {theirs:?}"),
            // Beyond 64 bits serde_yaml's value has no number.
            Err(_) => assert!(ours["a"].is_f64(), "{text}: {ours:?}"),
        }
    }
}

#[test]
fn documents_mean_what_serde_yaml_says() {
    let documents = [
        "a: 1\nb: [x, 'y', \"z\\n\", {c: d}]\ne:\n  - 1\n  - f: g\n    h: ~\n",
        "a: |\n  line\n   more\n\n  end\nb: >-\n  folded\n  text\n\n  next\n",
        "a: plain text over\n  two lines\nb: 'it''s'\n",
        "base: &base {x: 1, y: [2]}\nuse: *base\n",
        "? a\n: b\n",
        "[a: 1, {b: 2}, c]",
        "%YAML 1.1\n---\na: 1\n...\n",
        "# only a comment\na: b # and another\n",
        "a: \"\\u00e4\\x41\\e\\0\"\nä: ö\n",
        "- - - a\n    - b\n  - c\n- d\n",
        "'quoted key': 1\n\"12\": 2\n",
        "a:\nb: ''\nc: \"\"\n",
        "\"a\": *x",
        "",
    ];
    for document in documents {
        if let Ok(theirs) = serde_yaml::from_str::<serde_yaml::Value>(document) {
            assert_eq!(as_serde(&tree(document)), theirs, "{document}");
        }
    }
}

#[test]
fn every_value_knows_its_place_and_style() {
    let text = "a: 'x'\nb: { c: [1, two], d }\ne: |\n  t\n";
    let root = tree(text);
    let file = SourceFile::new("p", text.as_bytes().to_vec()).unwrap();
    let mut seen = Vec::new();
    fn walk(node: &Node, file: &SourceFile, seen: &mut Vec<String>) {
        let mark = file.mark(node.place.start);
        let flow = if node.in_flow { " in flow" } else { "" };
        let slice = file.slice(node.place);
        seen.push(format!("{}:{} {:?}{flow} {slice:?}", mark.line, mark.column, node.style));
        match &node.content {
            Content::Scalar(_) => {}
            Content::List(items) => items.iter().for_each(|item| walk(item, file, seen)),
            Content::Map(entries) => entries.iter().for_each(|entry| {
                seen.push(format!("{} bare {}", file.slice(entry.place), entry.bare));
                walk(&entry.value, file, seen);
            }),
        }
    }
    walk(&root, &file, &mut seen);
    let want = [
        r#"1:1 Block "a: 'x'\nb: { c: [1, two], d }\ne: |\n  t\n""#,
        "a bare false",
        r#"1:4 SingleQuoted "'x'""#,
        "b bare false",
        r#"2:4 Flow "{ c: [1, two], d }""#,
        "c bare false",
        r#"2:9 Flow in flow "[1, two]""#,
        r#"2:10 Plain in flow "1""#,
        r#"2:13 Plain in flow "two""#,
        "d bare true",
        r#"2:21 Plain in flow """#,
        "e bare false",
        r#"3:4 Literal "|\n  t\n""#,
    ];
    assert_eq!(seen, want);
}

#[test]
fn duplicate_keys_are_faults_at_the_second() {
    refused(
        "a: 1\nb: 2\na: 3\n",
        "
p.yaml:3:1: error: duplicate key `a`
 3 | a: 3
   | ^
  hint: it was first given in line 1
",
    );
}

#[test]
fn an_expression_cut_by_a_flow_map_is_put_together() {
    let (node, faults) = read("set: { x: if(a, b, c), y: 1 }\nz: { t: type = 'a, b', u: [max(a, b), c] }\n");
    let want = "
p.yaml:1:11: error: this expression is cut at its comma, which ends a value inside a flow map `{…}`
 1 | set: { x: if(a, b, c), y: 1 }
   |           ^^^^^^^^^^^
  hint: quote it: `x: \"if(a, b, c)\"`, or write the map in block style
p.yaml:2:9: error: this expression is cut at its comma, which ends a value inside a flow map `{…}`
 2 | z: { t: type = 'a, b', u: [max(a, b), c] }
   |         ^^^^^^^^^^^^^
  hint: quote it: `t: \"type = 'a, b'\"`, or write the map in block style
p.yaml:2:28: error: this expression is cut at its comma, which ends a value inside a flow list `[…]`
 2 | z: { t: type = 'a, b', u: [max(a, b), c] }
   |                            ^^^^^^^^^
  hint: quote it: `\"max(a, b)\"`, or write the list in block style
";
    assert_eq!(faults, want.trim_start());
    let node = node.unwrap();
    let set = &node.get("set").unwrap().value;
    assert_eq!(set.get("x").unwrap().value.scalar(), Some("if(a, b, c)"));
    assert_eq!(set.entries().unwrap().len(), 2);
    assert_eq!(node.get("z").unwrap().value.get("u").unwrap().value.items().unwrap().len(), 2);
}

#[test]
fn an_expression_cut_by_a_comment_is_put_together() {
    let (node, faults) = read("a: x = 'b # c' # note\nd: x = 'b' # isn't cut\ne: it's # open\nf: y # (g)\n");
    let want = "
p.yaml:1:4: error: this expression is cut at its `#`, which starts a comment
 1 | a: x = 'b # c' # note
   |    ^^^^^^^^^^^
  hint: quote it: `\"x = 'b # c'\"`
";
    assert_eq!(faults, want.trim_start());
    assert_eq!(node.unwrap().get("a").unwrap().value.scalar(), Some("x = 'b # c'"));
}

#[test]
fn what_stays_open_is_not_taken_for_a_cut() {
    tree("a: { x: (, y: 1 }\nb: [it's, fine]\nc: { d, e }");
}

#[test]
fn substitution_without_quotes_in_a_flow_map_is_recognised() {
    refused(
        "a: { b: ${X} }\n",
        "
p.yaml:1:9: error: `${…}` without quotes breaks a flow map
 1 | a: { b: ${X} }
   |         ^
  hint: quote it: `\"${NAME}\"`
",
    );
    refused(
        "a: [ x${X} ]\n",
        "
p.yaml:1:7: error: `${…}` without quotes breaks a flow list
 1 | a: [ x${X} ]
   |       ^
  hint: quote it: `\"${NAME}\"`
",
    );
}

#[test]
fn tabs_are_named() {
    refused(
        "a:\n\tb: 1\n",
        "
p.yaml:2:1: error: a tab stands in the indentation
 2 | \tb: 1
   | ^
  hint: indent with spaces
",
    );
    refused(
        "a:\n  b: 1\n\tc: 2\n",
        "
p.yaml:3:1: error: a tab stands in the indentation
 3 | \tc: 2
   | ^
  hint: indent with spaces
",
    );
}

#[test]
fn what_the_parser_stops_at_is_said_in_our_words() {
    let faults = [
        ("a: b: c\n", "1:5: a `:` stands inside a value without quotes"),
        ("a: x\n   b: 1\n", "2:5: a key cannot stand here"),
        ("a: 1\nfoo\nb: 2\n", "2:1: this is neither `key: value` nor a list item `- value`"),
        ("a:\n    b: 1\n  c: 2\n", "3:3: this line is indented unlike the lines above it"),
        ("a: 'x' = y\n", "1:8: text follows the closing quote, which ends the value"),
        ("a: {site}/b\n", "1:10: text follows the closing bracket, which ends the value"),
        ("a: {t: {site}/b}\n", "1:14: text follows the closing bracket, which ends the value"),
        ("a: {t: b[0]}\n", "1:9: this bracket cuts an expression inside `{…}`"),
        ("a: {t: f(b, 'c'), d: e}\n", "1:16: an expression is cut before this, inside `{…}`"),
        ("a: {t: 'b' = c}\n", "1:12: text follows the closing quote, which ends the value"),
        ("a: {t: \"b\" || c}\n", "1:12: text follows the closing quote, which ends the value"),
        ("a: {t: b # c}\n", "1:4: the `{` that opens here is not closed by `}`"),
        ("a: {\n\tb: 1,\n\tc\n", "1:4: the `{` that opens here is not closed by `}`"),
        ("a: {t: [b, c}\n", "1:8: the `[` that opens here is not closed by `]`"),
        ("a: 1\nfoo:5\n", "2:1: this is neither `key: value` nor a list item `- value`"),
        ("a: {t: b\nc: 1\n", "1:4: the `{` that opens here is not closed by `}`"),
        ("a: [t, b\n", "1:4: the `[` that opens here is not closed by `]`"),
        ("a: 'x\nb: 1\n", "1:4: the quote that opens here is never closed"),
        ("a: \"\\d\"\n", "1:5: in double quotes a backslash starts an escape, and this is none"),
        ("a: `x y` > 5\n", "1:4: a value without quotes cannot start with a backtick"),
        ("a: @x\n", "1:4: a value without quotes cannot start with `@`"),
        ("a: > 5\n", "1:4: a value that starts with `>` or `|` is a text of several lines to YAML"),
        (
            "a: * 2\n",
            "1:4: a value that starts with `*` or `&` is an alias or anchor to YAML, and this is none",
        ),
        ("a: *x\n", "1:4: there is no anchor `&x` before this alias"),
        ("a: - b\n", "1:4: a list item cannot start here"),
        ("a: !x b\n", "1:4: YAML tags such as `!x` have no meaning here"),
        ("a: !!int 5\n", "1:4: YAML tags such as `!!int` have no meaning here"),
        ("a: {{b}: c}\n", "1:5: a key must be a name, not a list or map"),
        ("a: {<<: b}\n", "1:5: merge keys (`<<`) have no meaning here"),
        ("a: {: b}\n", "1:5: a key is missing before the `:`"),
        (": b\n", "1:1: a key is missing before the `:`"),
        ("a: 1\n---\nb: 2\n", "2:1: a second YAML document starts here"),
        ("{a: 1}\nb: 2\n", "2:1: nothing can follow here: the document has ended above"),
        ("a: \u{7}\n", "1:4: a control character stands here"),
        ("- a\nb: 1\n", "2:1: this line is indented unlike the lines above it"),
    ];
    let headline =
        |text| read(text).1.lines().next().map(|line| line.replace("p.yaml:", "").replace("error: ", ""));
    let got: Vec<_> = faults.iter().map(|(text, _)| headline(text).unwrap_or_default()).collect();
    let want: Vec<_> = faults.iter().map(|(_, want)| *want).collect();
    assert_eq!(got.join("\n"), want.join("\n"));
}

#[test]
fn limits_hold() {
    let deep = "[".repeat(70);
    assert!(read(&deep).1.contains("1:65: error: nested deeper than 64 levels"), "{}", read(&deep).1);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    assert!(read(&bomb).1.contains("holds more than 100000 values"));
    assert!(read(&"- \n".repeat(100_001)).1.contains("holds more than 100000 values"));
    let long = "x".repeat(900_000);
    let text = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 20].join(", "));
    assert!(read(&text).1.contains("8 MiB of text"));
    // Faults in one long line: what is said about each must not walk the whole line.
    let text = format!("{{a: {}}}", "1, a: ".repeat(40_000));
    assert!(read(&text).1.contains("has 39800 further faults"), "{}", &read(&text).1[..2000]);
}

#[test]
fn an_empty_file_is_null() {
    assert!(tree("").is_null());
    assert!(tree("# nothing\n").is_null());
    assert!(tree("---\n").is_null());
}

proptest! {
    /// Whatever the text: no panic, places on character boundaries and inside their parents, and where
    /// nothing is reported serde_yaml reads the same.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:{}\\[\\]\\-,'\"#&*!|> \n\t$()0-9.äé`%@?]{0,60}") {
        let (node, faults) = read(&text);
        let Some(node) = node else { return Ok(()) };
        if faults.is_empty() {
            let theirs: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            let ours = as_serde(&node);
            // Keys are always texts to us.
            if !format!("{theirs:?}").contains("Mapping") {
                prop_assert!(same(&ours, &theirs), "{ours:?} {theirs:?}");
            }
        }
    }

    #[test]
    fn what_serde_yaml_writes_is_read_back(value in document()) {
        let text = serde_yaml::to_string(&value).unwrap();
        prop_assert_eq!(as_serde(&tree(&text)), value, "{}", text);
    }
}

fn document() -> impl Strategy<Value = serde_yaml::Value> {
    use serde_yaml::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("NaN equals nothing", |f| !f.is_nan()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[-+0-9.a-e#:' \n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Sequence),
            proptest::collection::btree_map("[a-z][a-z0-9 ]{0,6}", inner, 0..6)
                .prop_map(|map| Value::Mapping(map.into_iter().map(|(k, v)| (Value::from(k), v)).collect())),
        ]
    })
}
