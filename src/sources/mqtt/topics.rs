//! Topics as patterns of levels.

use std::ops::Range;

/// A pattern of levels: `site/{site}/+/device/{device}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFields {
    /// As it is written.
    pub written: String,
    levels: Vec<Level>,
    /// Whether further levels may follow.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Same(String),
    Any,
    Field(String),
}

impl TopicFields {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<TopicFields, String> {
        let (levels, open) = match written.strip_suffix("/#") {
            Some(levels) => (levels, true),
            None => (written, false),
        };
        let levels = levels.split('/').map(level).collect::<Result<Vec<_>, _>>()?;
        let pattern = TopicFields { written: written.to_owned(), levels, open };
        let names: Vec<&str> = pattern.names().collect();
        if names.is_empty() {
            return Err("no level has a name".to_owned());
        }
        match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            Some((_, name)) => Err(format!("two levels are named `{name}`")),
            None => Ok(pattern),
        }
    }

    /// The names of levels, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Field(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Where the named levels stand in a topic; false if it is another topic.
    pub fn read(&self, topic: &str, found: &mut Vec<Range<usize>>) -> bool {
        found.clear();
        let mut start = 0;
        for (number, level) in self.levels.iter().enumerate() {
            if number > 0 {
                if start >= topic.len() || !topic[start..].starts_with('/') {
                    return false;
                }
                start += 1;
            }
            let end = topic[start..].find('/').map_or(topic.len(), |at| start + at);
            match level {
                Level::Same(text) if topic[start..end] != **text => return false,
                Level::Same(_) | Level::Any => {}
                Level::Field(_) => found.push(start..end),
            }
            start = end;
        }
        start == topic.len() || self.open
    }
}

fn level(text: &str) -> Result<Level, String> {
    match text {
        "+" => return Ok(Level::Any),
        "#" => return Err("`#` stands for all further levels, so at the end only".to_owned()),
        _ => {}
    }
    let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return match text.contains(['{', '}', '+', '#']) {
            true => Err(format!("`{text}` is neither a level nor one name in braces")),
            false => Ok(Level::Same(text.to_owned())),
        };
    };
    let good = !name.is_empty() && !name.contains(['{', '}', '(', '.', '`']);
    if good { Ok(Level::Field(name.to_owned())) } else { Err(format!("`{name}` is no name of a field")) }
}

/// Whether a text is a topic filter.
///
/// # Errors
/// Why not.
pub fn is_filter(text: &str) -> Result<(), &'static str> {
    let levels: Vec<&str> = text.split('/').collect();
    let wild = |level: &&str| level.contains(['+', '#']) && !matches!(*level, "+" | "#");
    if text.len() > 60_000 || text.contains('\0') {
        return Err("a topic filter has at most 60000 bytes and no null characters");
    }
    if levels.iter().any(wild) {
        return Err("`+` and `#` stand for whole levels");
    }
    if levels[..levels.len() - 1].contains(&"#") {
        return Err("`#` stands for all further levels, so at the end only");
    }
    if text.starts_with("$share/") {
        return Err("a group is given as `shared_group`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'t>(pattern: &str, topic: &'t str) -> Option<Vec<&'t str>> {
        let mut found = Vec::new();
        let pattern = TopicFields::parse(pattern).unwrap();
        pattern.read(topic, &mut found).then(|| found.into_iter().map(|range| &topic[range]).collect())
    }

    #[test]
    fn levels_become_fields() {
        let pattern = "site/{site}/device/{device}";
        assert_eq!(fields(pattern, "site/berlin/device/7"), Some(vec!["berlin", "7"]));
        assert_eq!(fields(pattern, "site//device/"), Some(vec!["", ""]));
        for other in
            ["site/a/device", "site/a/device/b/c", "sites/a/device/b", "", "site", "/site/a/device/b"]
        {
            assert_eq!(fields(pattern, other), None, "{other}");
        }
        assert_eq!(fields("{a}", "x"), Some(vec!["x"]));
        assert_eq!(fields("{a}", ""), Some(vec![""]));
        assert_eq!(fields("+/{a}/#", "x/y/z/w"), Some(vec!["y"]));
        assert_eq!(fields("+/{a}/#", "x/y"), Some(vec!["y"]));
        assert_eq!(fields("/{ä}", "/ü"), Some(vec!["ü"]));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "a/b", "a/{b}/{b}", "a/{b}c", "a/#/{b}", "{}", "{(a}", "a+/{b}", "{a{b}"] {
            assert!(TopicFields::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn filters_are_checked() {
        for good in ["a", "a/+/b", "#", "+", "a/#", "/", "a//b", "$SYS/#"] {
            assert_eq!(is_filter(good), Ok(()), "{good}");
        }
        for wrong in ["a+", "a/#/b", "a#", "$share/g/a", "a\0"] {
            assert!(is_filter(wrong).is_err(), "{wrong}");
        }
    }
}
