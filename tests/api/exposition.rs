//! A strict reader of Prometheus' text format, which knows nothing of the writer.

use std::collections::{BTreeMap, BTreeSet};

/// Samples by name, each with its labels.
pub type Families = BTreeMap<String, Vec<(BTreeMap<String, String>, f64)>>;

/// The value of a sample with exactly these labels.
pub fn value(families: &Families, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    families.get(name)?.iter().find(|(labels, _)| *labels == wanted).map(|(_, value)| *value)
}

/// Reads all families; each has its help, its type and its samples in one place.
pub fn read(text: &str) -> Result<Families, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let (mut families, mut seen) = (Families::new(), BTreeSet::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let wrong = |what: &str| format!("{what}: {line}");
        let help = line.strip_prefix("# HELP ").ok_or_else(|| wrong("no help"))?;
        let (name, about) = help.split_once(' ').ok_or_else(|| wrong("no help"))?;
        if !is_name(name) || about.trim().is_empty() || !seen.insert(name.to_owned()) {
            return Err(wrong("a name or help that is none, or comes again"));
        }
        let kind =
            lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
        let kind = kind.ok_or_else(|| wrong("no type behind"))?;
        if !["counter", "gauge", "histogram"].contains(&kind)
            || (kind == "counter") != name.ends_with("_total")
        {
            return Err(wrong("a type that does not fit the name"));
        }
        let mut count = 0;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (sample, labels, value) = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
            let suffix = sample.strip_prefix(name).ok_or_else(|| format!("of another family: {line}"))?;
            let fits = match kind {
                "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                _ => suffix.is_empty(),
            };
            let all = families.entry(sample.clone()).or_default();
            if !fits || all.iter().any(|(other, _)| *other == labels) {
                return Err(format!("a series that does not fit or comes again: {line}"));
            }
            all.push((labels, value));
            count += 1;
        }
        if count == 0 {
            return Err(wrong("no samples"));
        }
        if kind == "histogram" {
            check_histogram(&families, name)?;
        }
    }
    Ok(families)
}

/// Each histogram's classes grow, and the last holds all.
fn check_histogram(families: &Families, name: &str) -> Result<(), String> {
    let counts = families.get(&format!("{name}_count")).ok_or("no count")?;
    let buckets = families.get(&format!("{name}_bucket")).ok_or("no buckets")?;
    for (labels, count) in counts {
        let of_series = buckets.iter().filter_map(|(all, value)| {
            let mut all = all.clone();
            let bound = all.remove("le")?;
            (all == *labels).then(|| (bound.replace("+Inf", "inf").parse::<f64>().unwrap(), *value))
        });
        let of_series: Vec<(f64, f64)> = of_series.collect();
        let grows = of_series.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
        if !grows || of_series.last() != Some(&(f64::INFINITY, *count)) {
            return Err(format!("{name}: {of_series:?} of {count}"));
        }
    }
    Ok(())
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, behind) = rest.split_once("=\"")?;
            let (value, behind) = quoted(behind)?;
            let is_new = labels.insert(label.to_owned(), value).is_none();
            if !is_name(label) || label.contains(':') || label.starts_with("__") || !is_new {
                return None;
            }
            match behind.strip_prefix(',') {
                Some(behind) => rest = behind,
                None => {
                    rest = behind.strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    let number = rest.strip_prefix(' ')?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eEInfNa".contains(&byte));
    let number = number.parse().ok().filter(|_| is_plain)?;
    is_name(name).then(|| (name.to_owned(), labels, number))
}

/// The text up to its closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                '\\' => '\\',
                '"' => '"',
                'n' => '\n',
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.chars().next().is_some_and(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

#[test]
fn what_is_wrong_is_refused() {
    let head = "# HELP a_total b\n# TYPE a_total counter\n";
    assert!(read(&format!("{head}a_total{{x=\"1\\\"\"}} 1\n")).is_ok());
    let samples = [
        "a_total{x=\"1\"} 1",
        "a_total{x=1} 1\n",
        "a_total{x=\"\\x\"} 1\n",
        "a_total 1 2\n",
        "a_total one\n",
        "b 1\n",
        "a_total 1\na_total 1\n",
        "",
        "a_total{x=\"1\",x=\"2\"} 1\n",
        "a_total{x=\"1\",} 1\n",
        "a_total{} 1\n",
    ];
    for wrong in samples {
        assert!(read(&format!("{head}{wrong}")).is_err(), "{wrong}");
    }
    assert!(read("a 1\n").is_err());
    assert!(read("# HELP a b\n# TYPE a counter\na 1\n").is_err());
}
