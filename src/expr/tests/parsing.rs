//! Text to expression, and back to canonical text.

use crate::expr::{Literal, Node, parse};

/// Expressions and their canonical text; parsing that must give the same expression.
const CANONICAL: &[(&str, &str)] = &[
    ("a+b * c", "a + b * c"),
    ("(a+b)*c", "(a + b) * c"),
    ("a-(b-c)-d", "a - (b - c) - d"),
    ("- 5", "-5"),
    ("-x", "-x"),
    ("- - x", "-(-x)"),
    ("- -0", "0"),
    ("-(5)", "-5"),
    ("x--1", "x - -1"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("9223372036854775808", "9.223372036854776e18"),
    ("1e3", "1000.0"),
    (".5", "0.5"),
    ("not a = 1 and b", "NOT a = 1 AND b"),
    ("a or b and c or d", "a OR b AND c OR d"),
    ("(a or b) and (c or d)", "(a OR b) AND (c OR d)"),
    ("a AND b AND c", "a AND b AND c"),
    ("user = 'it''s'", "user = 'it''s'"),
    ("timestamp > timestamp '2026-01-31 08:00:00'", "timestamp > TIMESTAMP '2026-01-31T08:00:00Z'"),
    ("time + interval '5' minute", "time + 300000"),
    ("time - INTERVAL 1 YEAR", "time - INTERVAL '12' MONTH"),
    ("interval + 1", "interval + 1"),
    ("value.key[0].end", "value.key[0].end"),
    ("a['odd name'].b", "a.`odd name`.b"),
    ("`a b`.`case`", "`a b`.`case`"),
    ("a[i + 1].b", "a[i + 1]['b']"),
    ("f(x)[0]", "f(x)[0]"),
    ("a IS DISTINCT FROM b AND c", "a IS DISTINCT FROM b AND c"),
    ("a is not distinct from b", "a IS NOT DISTINCT FROM b"),
    ("a is not null or b is true", "a IS NOT NULL OR b IS TRUE"),
    ("a not between 1 and 2 and b", "a NOT BETWEEN 1 AND 2 AND b"),
    ("a in (1,2 , 'x')", "a IN (1, 2, 'x')"),
    ("a not like 'x%' escape '!'", "a NOT LIKE 'x%' ESCAPE '!'"),
    ("a ilike b", "a ILIKE b"),
    ("case when a then b else end end", "CASE WHEN a THEN b ELSE end END"),
    ("CASE type WHEN 'a' THEN 1 WHEN 'b' THEN 2 END", "CASE type WHEN 'a' THEN 1 WHEN 'b' THEN 2 END"),
    ("cast(a as int)", "CAST(a AS INTEGER)"),
    ("Try_Cast(a AS double)", "TRY_CAST(a AS DOUBLE)"),
    ("cast + position", "cast + position"),
    ("position('a' in b)", "position('a', b)"),
    ("SUM(x) FILTER (WHERE ok) / COUNT(*)", "sum(x) FILTER (WHERE ok) / count(*)"),
    ("count(distinct x)", "count(DISTINCT x)"),
    ("a || 'x' || b", "a || 'x' || b"),
    ("größe > 1", "größe > 1"),
    ("transform(l,x->x*2+y)", "transform(l, x -> x * 2 + y)"),
    ("filter(l, x -> (x or y)).a", "filter(l, x -> x OR y)['a']"),
    ("f(a -> g(b -> a + b.c[0], a), a)", "f(a -> g(b -> a + b.c[0], a), a)"),
    ("f(timestamp -> timestamp['odd name'][i])", "f(timestamp -> timestamp.`odd name`[i])"),
    ("f(x -> CASE WHEN x THEN -x END, 1)", "f(x -> CASE WHEN x THEN -x END, 1)"),
    ("x NOT IN (a, 'b') AND y", "x NOT IN (a, 'b') AND y"),
    ("x IN (1) IN (true, false)", "(x IN (1)) IN (TRUE, FALSE)"),
    ("x IN (select)", "x IN (select)"),
    ("level -- behind\n + unit", "level + unit"),
];

#[test]
fn canonical_text_is_stable() {
    for (text, canonical) in CANONICAL {
        let expr = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(&expr.to_string(), canonical, "of {text}");
        assert_eq!(parse(canonical).unwrap(), expr, "{canonical}");
    }
}

/// Faulty texts, the part that is pointed to, and the message.
const FAULTS: &[(&str, &str, &str)] = &[
    ("", "", "the expression is empty"),
    ("  ", "  ", "the expression is empty"),
    ("coalesce(x", "(", "`(` is never closed"),
    ("a[1", "[", "`[` is never closed"),
    ("a + b)", ")", "`)` closes nothing: a `(` is missing before it"),
    ("(a]", "]", "`]` closes nothing: a `[` is missing before it"),
    ("a +", "", "the expression ends where a value is expected"),
    ("a b", "b", "`b` is not expected here"),
    ("a and and b", "and", "a value is expected before `and`"),
    ("AND a", "AND", "a value is expected before `AND`"),
    ("* a", "*", "a value is expected before `*`"),
    ("a = \"x\"", "\"x\"", "`\"x\"` is not part of an expression"),
    ("a == b", "==", "`==` is not part of an expression"),
    ("a && b", "&&", "`&&` is not part of an expression"),
    ("a::int", "::", "`::` is not part of an expression"),
    ("a + x -> x", "x -> x", "a lambda stands only as an argument of a call"),
    ("x -> x", "x -> x", "a lambda stands only as an argument of a call"),
    ("f(x -> y -> x)", "y -> x", "a lambda stands only as an argument of a call"),
    ("f(x.y -> 1)", "x.y", "a name is expected before `->`"),
    ("f(5 -> 1)", "5", "a name is expected before `->`"),
    ("f((x) -> 1)", "x", "a name is expected before `->`"),
    ("f((x, y) -> 1)", ",", "a lambda has one parameter"),
    ("f(`x` -> 1)", "`x`", "a lambda's parameter stands without backticks"),
    ("f(case -> 1)", "->", "a value is expected before `->`"),
    ("f(x -> )", ")", "a value is expected before `)`"),
    ("f(x ->", "(", "`(` is never closed"),
    ("'abc", "'abc", "the text is never closed: a `'` is missing"),
    ("`abc", "`abc", "the name is never closed: a backtick is missing"),
    ("(a, b)", ",", "`,` inside parentheses"),
    ("[1]", "[", "list literals are not in this version"),
    ("x IN ()", ")", "a value is expected before `)`"),
    ("x IN (SELECT 1)", "SELECT", "subqueries are not in this version"),
    ("x > (select max(y) from t)", "select", "subqueries are not in this version"),
    ("x IN y", "y", "a list in parentheses is expected behind IN"),
    ("x NOT IN 5", "5", "a list in parentheses is expected behind IN"),
    ("a MATCH b", "MATCH", "`MATCH` is not expected here"),
    ("a IS JSON", "a", "`a IS JSON` is not in this version"),
    ("a IS 5", "5", "`5` is not expected here"),
    ("a IS", "", "the expression ends where more is expected"),
    ("a COLLATE b", "a COLLATE b", "`a COLLATE b` is not in this version"),
    ("count(x) IGNORE NULLS", "count", "this clause behind a call is not in this version"),
    ("f(a ORDER BY b)", "f", "clauses among the arguments are not in this version"),
    ("a = ANY (b)", "a = ANY (b", "`a = ANY(b)` is not in this version"),
    ("cast(a int)", "int", "AS is missing"),
    ("cast(a as money)", "a", "there is no type `money`"),
    ("DATE '2020-01-01'", "DATE", "DATE literals are not in this version"),
    ("TIMESTAMP 'soon'", "'soon'", "`soon` is not a time"),
    ("INTERVAL '5' parsecs", "'5' parsecs", "`parsecs` is no unit of time"),
    ("INTERVAL '5'", "", "the unit of the interval is missing"),
    ("previous(x) OVER w", "previous", "there are no named windows"),
    ("previous(x) OVER (PARTITION BY k ORDER BY t)", "previous", "OVER takes no ORDER BY"),
    ("sum(x) OVER (ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)", "sum", "OVER takes no frame"),
    ("case when a then b", "", "the expression ends where END is expected"),
    ("a BETWEEN 1", "", "the expression ends where AND is expected"),
    ("a = 1 ; b", ";", "`;` is not part of an expression"),
    ("ä = 'ö' ü", "ü", "`ü` is not expected here"),
    ("1e400", "1e400", "`1e400` is not a number that fits"),
    ("a LIKE 'x' ESCAPE 'yy'", "'yy'", "ESCAPE takes one character"),
    ("x[1:2]", ":", "`:` is not part of an expression"),
    ("f(a => 1)", "=>", "`=>` is not part of an expression"),
    ("a SIMILAR TO 'x'", "a SIMILAR TO 'x'", "`a SIMILAR TO 'x'` is not in this version"),
];

#[test]
fn faults_point_and_explain() {
    for (text, at, message) in FAULTS {
        let fault = parse(text).expect_err(text);
        assert_eq!((fault.message.as_str(), &text[fault.span.clone()]), (*message, *at), "of {text}");
    }
}

#[test]
fn an_expression_cut_by_a_flow_map_is_recognised() {
    assert!(parse("coalesce(x").unwrap_err().hint.unwrap().contains("YAML"));
}

#[test]
fn depth_and_length_are_limited() {
    let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(50)).is_ok());
    assert!(parse(&nested(500)).unwrap_err().message.contains("nested deeper"));
    assert!(parse(&"- ".repeat(2000)).is_err());
    assert!(parse(&"not ".repeat(2000)).is_err());
    assert!(parse(&format!("1{}", "+1".repeat(2000))).unwrap_err().message.contains("nested deeper"));
    assert!(parse(&format!("1{}", "+1".repeat(5000))).unwrap_err().message.contains("more than"));
    assert!(parse(&format!("a{}", ".b".repeat(2000))).is_err());
    assert!(parse(&"x ".repeat(100_000)).unwrap_err().message.contains("longer than"));
    let chain = parse(&format!("a{}", " AND a".repeat(2000))).unwrap();
    assert!(matches!(&chain.node, Node::And(parts) if parts.len() == 2001));
}

#[test]
fn spans_cover_what_was_written() {
    let text = "ä + abs( x , 1 ) FILTER (WHERE ok )";
    let expr = parse(text).unwrap();
    assert_eq!(&text[expr.span.clone()], text);
    assert_eq!(&text[expr.children()[1].span.clone()], "abs( x , 1 ) FILTER (WHERE ok )");
}

#[test]
fn a_parameter_hides_the_field_of_its_name() {
    let expr = parse("f(x, x -> x.a + y, x)").unwrap();
    let call = expr.as_call().unwrap();
    assert!(matches!(call.args[0].node, Node::Field(_)) && matches!(call.args[2].node, Node::Field(_)));
    let paths: Vec<_> = expr.paths().into_iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["x", "y"]);
    let Node::Lambda(name, body) = &call.args[1].node else { panic!("{expr}") };
    assert_eq!(name, "x");
    assert!(matches!(&body.children()[0].node, Node::Parameter(path) if path.to_string() == "x.a"));
    assert_ne!(parse("f(x -> x)").unwrap(), parse("f(x -> y)").unwrap());
}

#[test]
fn paths_and_replacement() {
    let mut expr = parse("sum(a.b) FILTER (WHERE ok) / count(*) + a.b").unwrap();
    let paths: Vec<_> = expr.paths().into_iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["a.b", "ok"]);
    let mut calls = 0;
    expr.map(&mut |part| {
        part.as_call().map(|_| {
            calls += 1;
            crate::expr::Expr::field(crate::event::Path::field(format!("#{calls}")))
        })
    });
    assert_eq!(expr.to_string(), "`#1` / `#2` + a.b");
    assert_eq!(parse("'x'").unwrap().node, Node::Literal(Literal::Text("x".into())));
}
