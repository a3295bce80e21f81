use crate::config::{
    Faults, FixedEnvironment, Keys, Node, Override, Place, Section, SourceFile, Surroundings, parse, read,
    read_pipeline,
};

fn environment() -> FixedEnvironment {
    let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    FixedEnvironment {
        variables: [
            ("NAME", "north"),
            ("COUNT", "5"),
            ("EMPTY", ""),
            ("TOKEN", "s3cr3t-Token"),
            ("DOLLARS", "${NAME} $$"),
            ("CREDENTIALS_DIRECTORY", "/credentials"),
        ]
        .iter()
        .map(pair)
        .collect(),
        files: [
            ("/run/secrets/x", "from file\n"),
            ("pipes/beside.txt", "beside"),
            ("/credentials/db", "pass\r\n"),
        ]
        .iter()
        .map(|(path, text)| (path.into(), text.to_string()))
        .collect(),
    }
}

/// The document after substitution, and what was reported.
fn substituted(text: &str) -> (Node, &'static Faults) {
    let file = SourceFile::new("pipes/p.yaml", text.as_bytes().to_vec()).unwrap();
    let faults: &'static Faults = Box::leak(Box::new(Faults::new(file)));
    let mut root = parse(faults).unwrap();
    super::Substitution::new(&environment(), Some(&[]), faults).document(&mut root);
    (root, faults)
}

fn said(faults: &Faults) -> String {
    faults.diagnostics().iter().map(|diagnostic| diagnostic.render(false)).collect()
}

#[test]
fn every_form_is_put_in() {
    let forms = [
        ("x${NAME}y", "xnorthy"),
        ("${NAME}${COUNT}", "north5"),
        ("${NONE:-there}", "there"),
        ("${EMPTY:-there}", "there"),
        ("<${EMPTY}>", "<>"),
        ("${NAME:-there}", "north"),
        ("${NAME:?must be set}", "north"),
        ("${NONE:-}", ""),
        ("${NONE:-a:b?c-d}", "a:b?c-d"),
        ("${file:/run/secrets/x}", "from file"),
        ("${file:beside.txt}", "beside"),
        ("${credential:db}", "pass"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$$ $$$", "$$ $$"),
        ("$ $5 $x a$", "$ $5 $x a$"),
        ("^a$", "^a$"),
        ("${DOLLARS}", "${NAME} $$"),
    ];
    for (written, want) in forms {
        let (root, faults) = substituted(&format!("a: '{written}'\nb: ['{written}']"));
        assert_eq!(said(faults), "", "{written}");
        assert_eq!(root.get("a").unwrap().value.scalar(), Some(want), "{written}");
        assert_eq!(root.get("b").unwrap().value.items().unwrap()[0].scalar(), Some(want), "{written}");
    }
}

#[test]
fn what_cannot_be_put_in_is_reported_where_it_stands() {
    let forms = [
        ("${NONE}", "the environment variable `NONE` is not set"),
        ("${EMPTY:?the site}", "`EMPTY` is not set: the site"),
        ("${NONE:?}", "`NONE` is not set"),
        ("${file:/none}", "`/none` cannot be read: there is no such file"),
        ("${credential:none}", "there is no credential `none`: there is no such file"),
        ("${credential:../x}", "there is no credential `../x`: a credential's name is no path"),
        ("${param:x}", "there is no parameter `x`"),
        ("${NAME:-${X}}", "a substitution cannot stand inside another"),
        ("${flie:x}", "nothing is called `flie:`"),
        ("${file:}", "`${file:}` does not say which"),
        ("${}", "`${}` is no substitution"),
        ("${1}", "`${1}` is no substitution"),
        ("${A-b}", "`${A-b}` is no substitution"),
        ("${NAME", "this `${` is not closed by `}`"),
    ];
    for (written, want) in forms {
        let (_, faults) = substituted(&format!("a: 'it''s {written}'"));
        let diagnostics = faults.diagnostics();
        assert_eq!(diagnostics[0].message, want);
        assert_eq!(diagnostics[0].mark().unwrap().column, 11, "{written}");
        assert_eq!(diagnostics.len(), 1);
    }
    let (_, faults) = substituted("${NAME}: x");
    assert!(said(faults).contains("1:1: error: nothing is substituted in keys"));
}

#[test]
fn a_scalar_that_is_one_substitution_is_read_as_what_is_wanted() {
    let (root, faults) =
        substituted("a: '${COUNT}'\nb: ${NONE:-10s}\nc: x${COUNT}\nd: '${COUNT}5'\ne: 1${COUNT}");
    let root: &'static Node = Box::leak(Box::new(root));
    let keys = Keys::of(&["a", "b", "c", "d", "e"]);
    let section = Section::open(root, Place::default(), "it", keys, faults);
    assert_eq!(section.required("a", read::integer(..)), Some(5));
    assert_eq!(section.required("a", read::text), Some("5"));
    assert_eq!(section.required("b", read::duration).map(|span| span.0), Some(10_000));
    assert_eq!(section.required("e", read::integer(..)), Some(15));
    assert_eq!(section.required("d", read::integer(..)), None);
    assert_eq!(section.required("e", read::text), None);
    let want = "pipes/p.yaml:4:4: error: expected a whole number for `d`, found `${COUNT}5`
 4 | d: '${COUNT}5'
   |    ^^^^^^^^^^^
pipes/p.yaml:5:4: error: expected a text for `e`, found `1${COUNT}`
 5 | e: 1${COUNT}
   |    ^^^^^^^^^
  hint: quote it: `\"1${COUNT}\"`
";
    assert_eq!(said(faults), want);
}

#[test]
fn what_follows_from_a_failed_substitution_is_no_news() {
    let text = "pipeline: ${A}
options: { parallelism: '${B}', delivery: 'x${C}' }
params: { p: '${D}' }
sources: ${E}
sinks: { s: { from: '${F}', x: '${param:p}' } }
tests: '${A:-1}${B}'
";
    let faults = Faults::new(SourceFile::new("p.yaml", text.as_bytes().to_vec()).unwrap());
    let environment = FixedEnvironment::default();
    read_pipeline(&faults, Surroundings { environment: &environment, overrides: &[] }).unwrap();
    let messages: Vec<String> =
        faults.diagnostics().into_iter().map(|diagnostic| diagnostic.message).collect();
    let want = ["A", "B", "C", "D", "E", "F", "B"]
        .map(|name| format!("the environment variable `{name}` is not set"));
    assert_eq!(messages, want);
}

#[test]
fn secrets_are_in_no_diagnostic() {
    let (root, faults) = substituted("every: ${TOKEN}\nword: ${TOKEN}\nsize: 1${TOKEN}\nx: f('${TOKEN}', y)");
    let root: &'static Node = Box::leak(Box::new(root));
    let section =
        Section::open(root, Place::default(), "it", Keys::of(&["every", "word", "size", "x"]), faults);
    assert_eq!(section.required("every", read::duration), None);
    assert_eq!(section.required("size", read::size), None);
    assert_eq!(section.required("word", read::word(&[("s3cr3t-Toke", 0)], &[])), None);
    let x = section.required("x", read::expression).unwrap();
    assert!(x.node.is_secret());
    let at = x.text.find('y').unwrap();
    x.error(at..at + 1, format!("unknown field in `{}`", x.text)).hint("not s3cr3t-Token");
    let at = x.text.find("t-T").unwrap();
    x.error(at..at + 3, "inside");
    let text = said(faults);
    assert!(!text.contains("s3cr3t-Token"), "{text}");
    assert!(!text.contains("did you mean"), "{text}");
    let tail = "pipes/p.yaml:4:7: error: inside
 4 | x: f('${TOKEN}', y)
   |       ^^^^^^^^
pipes/p.yaml:4:18: error: unknown field in `f('***', y)`
 4 | x: f('${TOKEN}', y)
   |                  ^
  hint: not ***
";
    assert!(text.ends_with(tail), "{text}");
    assert_eq!(faults.secrets().mask("s3cr3t-Token"), "***");
}

#[test]
fn lua_and_sql_text_is_left_as_it_is() {
    let text = "transforms:\n  a: { lua: '${NONE}', x: '${NAME}' }\n  b: { lua: { script: '${NONE}', args: '${NAME}' } }\n  c:\n    sql: SELECT '${NONE}'\nsinks:\n  d: { sql: '${NAME}' }\n";
    let (root, faults) = substituted(text);
    assert_eq!(said(faults), "");
    let get = |path: &[&str]| {
        let node = path.iter().fold(&root, |node, key| &node.get(key).unwrap().value);
        node.scalar().unwrap().to_owned()
    };
    assert_eq!(get(&["transforms", "a", "lua"]), "${NONE}");
    assert_eq!(get(&["transforms", "a", "x"]), "north");
    assert_eq!(get(&["transforms", "b", "lua", "script"]), "${NONE}");
    assert_eq!(get(&["transforms", "b", "lua", "args"]), "north");
    assert_eq!(get(&["transforms", "c", "sql"]), "SELECT '${NONE}'");
    assert_eq!(get(&["sinks", "d", "sql"]), "north");
}

#[test]
fn what_is_put_in_has_a_limit() {
    let mut environment = environment();
    environment.variables.push(("BIG".to_owned(), "x".repeat(1 << 20)));
    let file =
        SourceFile::new("p.yaml", format!("a: [{}]", vec!["'${BIG}'"; 20].join(", ")).into_bytes()).unwrap();
    let faults = Faults::new(file);
    let mut root = parse(&faults).unwrap();
    super::Substitution::new(&environment, Some(&[]), &faults).document(&mut root);
    assert_eq!(faults.diagnostics().len(), 1);
    assert!(said(&faults).contains("longer than 8 MiB"));
    let (_, faults) = substituted(&format!("a: '{}'", "$$".repeat(101)));
    assert!(said(faults).contains("more than 100 substitutions in one value"));
    let (_, faults) = substituted(&format!("a: '{}'", "${NONE}".repeat(5_000)));
    assert_eq!(faults.diagnostics().len(), 101);
}

fn given(name: &str, value: &str, secret: bool) -> Override {
    Override { name: name.to_owned(), value: value.to_owned(), secret }
}

#[test]
fn a_secret_that_is_given_is_never_shown() {
    let text =
        "params: { n: 1, t: x }\ndescription: '${param:t}'\nsources: { a: {} }\nsinks: { b: { from: a } }";
    let faults = Faults::new(SourceFile::new("p.yaml", text.as_bytes().to_vec()).unwrap());
    let overrides = [given("n", "s3cr3t-n", true), given("t", "s3cr3t-t", true)];
    let surroundings = Surroundings { environment: &environment(), overrides: &overrides };
    let pipeline = read_pipeline(&faults, surroundings).unwrap();
    assert_eq!(faults.secrets().mask(&pipeline.description.unwrap()), "***");
    assert!(pipeline.params.iter().all(|param| param.secret));
    let said: String = faults.diagnostics().iter().map(ToString::to_string).collect();
    assert_eq!(said, "p.yaml:1:11: error: parameter `n` is a whole number, which what is given is not");
}

#[test]
fn parameters_are_typed_by_their_defaults() {
    let text = "params: { n: 1, f: 0.5, b: true, t: x, e: '${COUNT}', s: '${TOKEN}' }\ndescription: '${param:n} ${param:f} ${param:b} ${param:t} ${param:e}'\nsources: { a: {} }\nsinks: { b: { from: a } }";
    let read = |overrides: &[(&str, &str)]| {
        let faults = Faults::new(SourceFile::new("p.yaml", text.as_bytes().to_vec()).unwrap());
        let overrides: Vec<_> = overrides.iter().map(|(n, v)| given(n, v, false)).collect();
        let surroundings = Surroundings { environment: &environment(), overrides: &overrides };
        let pipeline = read_pipeline(&faults, surroundings).unwrap();
        let secret: Vec<_> = pipeline.params.iter().filter(|p| p.secret).map(|p| p.name.clone()).collect();
        (
            pipeline.description.unwrap(),
            faults.diagnostics().iter().map(|d| format!("{d}\n")).collect(),
            secret,
        )
    };
    let (description, faults, secret): (_, String, _) = read(&[]);
    assert_eq!((description.as_str(), faults.as_str()), ("1 0.5 true x 5", ""));
    assert_eq!(secret, ["e", "s"]);
    let (description, faults, _): (_, String, _) =
        read(&[("n", "2"), ("f", "3"), ("b", "false"), ("t", "4"), ("n", "7")]);
    assert_eq!((description.as_str(), faults.as_str()), ("7 3.0 false 4 5", ""));
    let (_, faults, _) = read(&[("n", "2.5"), ("f", "x"), ("b", "1")]);
    let want = "p.yaml:1:11: error: parameter `n` is a whole number, which `2.5` is not\n\
                p.yaml:1:17: error: parameter `f` is a number, which `x` is not\n\
                p.yaml:1:25: error: parameter `b` is `true` or `false`, which `1` is not\n";
    assert!(faults.starts_with(want), "{faults}");
}
