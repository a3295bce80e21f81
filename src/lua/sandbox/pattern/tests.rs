use super::super::super::{Budget, Machine, Script, Setup};
use super::*;
use proptest::prelude::*;

/// A plain interpreter and one with our functions, asked the same.
fn both(expression: &str, subject: &[u8], pattern: &[u8]) -> [Result<String, String>; 2] {
    let text = format!(
        "function f(s, p)
           local r = table.pack({expression})
           for i = 1, r.n do r[i] = tostring(r[i]) end
           return table.concat(r, '|')
         end"
    );
    let ask = |lua: &mlua::Lua| {
        let function: mlua::Function = lua.globals().raw_get("f")?;
        let args = (lua.create_string(subject)?, lua.create_string(pattern)?);
        let answer: mlua::LuaString = function.call(args)?;
        Ok(format!("{:?}", answer.as_bytes()))
    };
    let plain = mlua::Lua::new();
    plain.load(&text).exec().unwrap();
    let wanted = ask(&plain).map_err(|error: mlua::Error| error.to_string());
    let budget = Budget { instructions: 10_000_000, ..Budget::default() };
    let machine = Machine::load(&Script::inline("a", &text, None), budget, &Setup::default()).unwrap();
    let got = machine.call(ask).map_err(|fault| fault.message);
    [wanted, got]
}

fn agree(expression: &str, subject: &[u8], pattern: &[u8]) {
    let [wanted, got] = both(expression, subject, pattern);
    let context = format!("{expression} of '{}' and '{}'", subject.escape_ascii(), pattern.escape_ascii());
    match (wanted, got) {
        (Ok(wanted), Ok(got)) => assert_eq!(wanted, got, "{context}"),
        (Err(_), Err(_)) => {}
        other => panic!("{context}: {other:?}"),
    }
}

const EXPRESSIONS: [&str; 8] = [
    "s:find(p)",
    "s:find(p, 2)",
    "s:find(p, -3, true)",
    "s:match(p)",
    "s:gsub(p, '<%0>')",
    "s:gsub(p, '%1', 2)",
    "s:gsub(p, function(a, b) return b or a end)",
    "(function() local t = {} for a, b in s:gmatch(p) do t[#t + 1] = tostring(a) .. tostring(b) end
      return table.unpack(t) end)()",
];

#[test]
fn patterns_mean_what_they_mean_in_lua() {
    let patterns: [&[u8]; 40] = [
        b"",
        b"a",
        b".",
        b"^a",
        b"a$",
        b"^",
        b"$",
        b"a*",
        b"a+",
        b"a-",
        b"a?",
        b"(a)(b)",
        b"()",
        b"(a*(.)%w(%s*))",
        b"%d+",
        b"[a-c]",
        b"[^a-c]+",
        b"[]]",
        b"[^]]",
        b"[a-]",
        b"%b()",
        b"%f[%w]%w+",
        b"(%a)%1",
        b"%%",
        b"%",
        b"[a",
        b"[%",
        b"(a",
        b"a)",
        b"%1",
        b"%b(",
        b"%fa",
        b"^^",
        b"a$b",
        b"%$",
        b"(.-)b",
        b"[%a_][%w_]*",
        b"\0",
        b"[\0-\x1f]",
        b"(.)%2",
    ];
    let subjects: [&[u8]; 9] = [
        b"",
        b"a",
        b"abcabc",
        b"aab b",
        b"(a(b)c) x",
        b"THE (quick) fox",
        b"hello world_1 12",
        b"a\0b\0",
        b"^a$b%",
    ];
    for pattern in patterns {
        for subject in subjects {
            for expression in EXPRESSIONS {
                agree(expression, subject, pattern);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn so_do_patterns_drawn_by_chance(
        subject in "[ab(). %]{0,12}",
        pattern in "([ab.^$]|%[abdswfb%1()]|[(][)]|[(]|[)]|\\[\\^?[ab%\\-]{1,3}\\]|[*+?-]){0,6}",
    ) {
        for expression in EXPRESSIONS {
            agree(expression, subject.as_bytes(), pattern.as_bytes());
        }
    }
}

#[test]
fn steps_are_limited() {
    let subject = [b'a'; 200];
    let pattern = b"(.-)(.-)(.-)(.-)(.-)(.-)x";
    let mut matcher = Matcher::new(&subject, pattern, 100_000);
    assert_eq!(matcher.search(0, false), Err(Stop::Steps));
    let nested = b"a?".repeat(300);
    let subject = [b'a'; 300];
    let mut matcher = Matcher::new(&subject, &nested, 1_000_000);
    assert_eq!(matcher.at(0), Err(Stop::Pattern(c"pattern too complex")));
}
