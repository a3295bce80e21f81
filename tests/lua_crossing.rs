//! Events that cross into a script together come back as those that cross one by one.
//!
//! A script that names `event_time` is called for each event by itself; that is all that tells the two apart here.

pub mod common;

use common::Folder;

const BODY: &str = "
        calls = (calls or 0) + 1
        if event.a == 'fail' then error('no') end
        if event.a == 'drop' then return nil end
        if event.a == 'odd' then return 5 end
        if event.a == 'nan' then event.b = 0 / 0 end
        if event.a == 'list' then event.b = { 1, { x = event.c } } end
        if event.a == 'code' then event.b = tostring end
        if event.a == 'loop' then while true do end end
        if event.a == 'calls' then event.b = calls end
        if event.c ~= nil then event.b = event.c end
        event.t = event.d
        event.a = event.d
        return event";

const MANY: &str = "
        for _, event in ipairs(events) do
          if event.a == 'nan' then event.b = 0 / 0 end
          if event.a == 'list' then event.b = { 1, { x = event.c } } end
          if event.a == 'code' then event.b = tostring end
          if event.c ~= nil then event.b = event.c end
          event.t = event.d
          event.a = event.d
        end
        return events";

/// `loop` as the first of the kinds, so that a part of the events can be without what fails a call.
const KINDS: [&str; 9] = ["loop", "fail", "odd", "drop", "nan", "list", "code", "calls", "x"];
const VALUES: [&str; 14] = [
    "null",
    "true",
    "false",
    "0",
    "-9007199254740993",
    "1.5",
    "-0.0",
    "1e300",
    "\"\"",
    "\"a \\\"b\\\" \\\\ \\u0000 ä\"",
    "\"plain\"",
    "[1, [null, {\"y\": \"z\"}]]",
    "{\"m\": {\"n\": 1}}",
    "{}",
];

/// A line an event. Only kinds from `first` on.
fn events(seed: u64, count: u64, first: u64) -> String {
    let mut state = seed;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut line = |number| {
        // Most are usual, so that there is something between what is not.
        let kind =
            if draw(3) == 0 { KINDS[(first + draw(KINDS.len() as u64 - first)) as usize] } else { "x" };
        let mut line = format!("{{\"n\":{number},\"t\":{}", 1_700_000_000_000_u64 + number);
        for (name, value) in [("c", VALUES[draw(14) as usize]), ("d", VALUES[draw(14) as usize])] {
            if draw(4) > 0 {
                line += &format!(",\"{name}\":{value}");
            }
        }
        line + &format!(",\"a\":\"{kind}\"}}\n")
    };
    (0..count).map(&mut line).collect()
}

/// What the two scripts put out and reject, of the same events.
fn both(lines: &str, one: &str, other: &str) -> [[Vec<String>; 2]; 2] {
    let folder = Folder::empty();
    folder.write("in.ndjson", lines);
    let mut text =
        "sources:\n  in: { file: { path: in.ndjson }, event_time: { field: t } }\ntransforms:\n".to_owned();
    let names = ["one", "other"];
    for (name, script) in names.iter().zip([one, other]) {
        text += &format!(
            "  {name}:\n    from: in\n    lua:\n      instructions: 20000\n      script: |\n        {}\n",
            script.trim_start()
        );
    }
    text += "sinks:\n";
    for name in names {
        text += &format!("  to_{name}: {{ from: {name}, file: {{ path: {name}.out }} }}\n");
        text += &format!("  bad_{name}: {{ from: {name}.rejected, file: {{ path: {name}.bad }} }}\n");
    }
    folder.write("p.yaml", text);
    folder.run(&["run", "p.yaml"]).succeeded();
    names.map(|name| {
        ["out", "bad"].map(|kind| {
            let text = folder.read(&format!("{name}.{kind}")).replace(&format!("\"{name}\""), "\"\"");
            text.replace(&format!("transforms.{name}"), "").lines().map(str::to_owned).collect()
        })
    })
}

/// Numbers of the events in lines.
fn numbers(lines: &[String]) -> Vec<u64> {
    let number = |line: &String| {
        let rest = line.split_once("\"n\":").or_else(|| line.split_once("\\\"n\\\":")).expect("a number").1;
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    lines.iter().map(number).collect()
}

#[test]
fn together_and_one_by_one_is_the_same() {
    for (seed, first) in [(1, 0), (2, 0), (3, 1), (4, 3), (5, 5)] {
        let lines = events(seed, 5_000, first);
        let plain = format!("function process(event){BODY}\n        end");
        let apart = format!("-- event_time\n        {plain}");
        let [together, alone] = both(&lines, &plain, &apart);
        assert!(together[0].len() > 1_000, "{} came out", together[0].len());
        assert_eq!(together[0], alone[0], "seed {seed}");
        assert_eq!(numbers(&together[1]), numbers(&alone[1]), "rejected, seed {seed}");
    }
}

#[test]
fn a_list_is_what_its_events_are() {
    for seed in 11..14 {
        let lines = events(seed, 5_000, 4);
        let list = format!("function process_batch(events){MANY}\n        end");
        let each = format!("function process(event){}\n        end", BODY.replace("'calls'", "'never'"));
        let [listed, single] = both(&lines, &list, &each);
        assert_eq!(listed[0], single[0], "seed {seed}");
        assert!(!listed[1].is_empty());
        assert_eq!(numbers(&listed[1]), numbers(&single[1]), "rejected, seed {seed}");
    }
}

#[test]
fn a_list_may_be_given_whole_or_not_at_all() {
    let lines = events(21, 100, 8);
    let some = "function process_batch(events) if events[1].n == nil then return events end return nil end";
    let none = "function process_batch(events) return false end";
    let [some, none] = both(&lines, some, none);
    assert_eq!([some[0].len(), some[1].len(), none[0].len(), none[1].len()], [0; 4]);
}
