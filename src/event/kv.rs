//! Pairs of names and values: `level=warn, code=17 text="door open"`.

use std::borrow::Cow;

/// How pairs stand apart, and names from values.
#[derive(Clone, Copy, Debug)]
pub struct KvRules<'a> {
    /// Between pairs; None for white space and commas.
    pub separator: Option<&'a str>,
    /// Between a name and its value.
    pub equals: &'a str,
}

impl Default for KvRules<'_> {
    fn default() -> Self {
        KvRules { separator: None, equals: "=" }
    }
}

impl KvRules<'_> {
    /// The number of bytes between pairs that the text begins with.
    fn between(&self, text: &str) -> Option<usize> {
        match self.separator {
            Some(separator) => text.starts_with(separator).then_some(separator.len()),
            None => {
                let first = text.chars().next()?;
                (first.is_ascii_whitespace() || first == ',').then_some(first.len_utf8())
            }
        }
    }

    /// The text without the white space that it begins with, as far as that stands not between pairs.
    fn behind_blanks<'t>(&self, mut text: &'t str) -> &'t str {
        while text.starts_with(|c: char| c.is_ascii_whitespace()) && self.between(text).is_none() {
            text = &text[1..];
        }
        text
    }

    /// Where the first thing between pairs stands, or the end.
    fn end(&self, text: &str) -> usize {
        let found = match self.separator {
            Some(separator) => text.find(separator),
            None => text.find(|c: char| c.is_ascii_whitespace() || c == ','),
        };
        found.unwrap_or(text.len())
    }
}

/// The pairs of a text. Empty ones are passed over; white space around names and values does not count, where it is not
/// what stands between pairs. A value may stand in double quotes, in which a backslash takes the next character as it is.
/// A name without an equals sign has no value. Both separators must not be empty.
pub fn pairs<'a>(text: &'a str, rules: KvRules<'a>) -> Pairs<'a> {
    Pairs { rest: text, rules }
}

/// See [`pairs`]. An item is a fault where the text has no such form; none follows it.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a str,
    rules: KvRules<'a>,
}

/// A name, and its value if it has one.
pub type Pair<'a> = (&'a str, Option<Cow<'a, str>>);

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            match self.rules.between(self.rest) {
                Some(length) => self.rest = &self.rest[length..],
                None => break,
            }
        }
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.rest = "";
        }
        Some(pair)
    }
}

impl<'a> Pairs<'a> {
    fn pair(&mut self) -> Result<Pair<'a>, &'static str> {
        let end = self.rules.end(self.rest);
        let Some(equals) = self.rest[..end].find(self.rules.equals) else {
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok((name.trim_ascii_end(), None));
        };
        let name = self.rest[..equals].trim_ascii_end();
        if name.is_empty() {
            return Err("a value has no name");
        }
        let value = self.rules.behind_blanks(&self.rest[equals + self.rules.equals.len()..]);
        if let Some(quoted) = value.strip_prefix('"') {
            let (value, rest) = unquote(quoted).ok_or("a quoted value has no end")?;
            self.rest = rest;
            if self.rules.separator.is_some() && !rest[..self.rules.end(rest)].trim_ascii().is_empty() {
                return Err("a quoted value has text behind it");
            }
            return Ok((name, Some(value)));
        }
        let (value, rest) = value.split_at(self.rules.end(value));
        self.rest = rest;
        Ok((name, Some(Cow::Borrowed(value.trim_ascii_end()))))
    }
}

/// The text before the closing quote, and what is behind it; None without one.
fn unquote(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = String::new();
    let mut from = 0;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &quoted.as_bytes()[at..])?;
        let before = &quoted[from..at];
        if quoted[at..].starts_with('"') {
            let rest = &quoted[at + 1..];
            if value.is_empty() {
                return Some((Cow::Borrowed(before), rest));
            }
            value.push_str(before);
            return Some((Cow::Owned(value), rest));
        }
        value.push_str(before);
        let escaped = quoted[at + 1..].chars().next()?;
        value.push(escaped);
        at += 1 + escaped.len_utf8();
        from = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, separator: Option<&str>, equals: &str) -> Result<String, &'static str> {
        let pairs = pairs(text, KvRules { separator, equals });
        let pairs: Vec<_> = pairs
            .map(|pair| pair.map(|(name, value)| format!("{name}>{}", value.as_deref().unwrap_or("-"))))
            .collect::<Result<_, _>>()?;
        Ok(pairs.join("|"))
    }

    #[test]
    fn by_default_blanks_and_commas_stand_between() {
        let good = [
            ("", ""),
            (" , ,", ""),
            ("a=1 b=two", "a>1|b>two"),
            ("a=1, b=,c", "a>1|b>|c>-"),
            ("a=1=2\tb==", "a>1=2|b>="),
            (r#"a="x \"y\", z" b="" c=u"v"#, r#"a>x "y", z|b>|c>u"v"#),
            (r#"a="\ü\\"b=1"#, r"a>ü\|b>1"),
        ];
        for (text, want) in good {
            assert_eq!(read(text, None, "=").as_deref(), Ok(want), "{text}");
        }
        for (text, fault) in [
            ("=1", "a value has no name"),
            ("a=1 =", "a value has no name"),
            ("a=\"x", "a quoted value has no end"),
            ("a=\"x\\\"", "a quoted value has no end"),
            ("a=\"x\\", "a quoted value has no end"),
        ] {
            assert_eq!(read(text, None, "="), Err(fault), "{text}");
        }
    }

    #[test]
    fn separators_may_be_any_text() {
        let good = [
            ("a : 1 ; b c:two words;; flag", ";", ":", "a>1|b c>two words|flag>-"),
            ("a->1 && b->\"x && y\" && c", "&&", "->", "a>1|b>x && y|c>-"),
            ("a=1 b=2  c= d=\"4 5\"", " ", "=", "a>1|b>2|c>|d>4 5"),
            ("a=1ööb=2", "ö", "=", "a>1|b>2"),
        ];
        for (text, separator, equals, want) in good {
            assert_eq!(read(text, Some(separator), equals).as_deref(), Ok(want), "{text}");
        }
        assert_eq!(read("a=\"x\" y;b=1", Some(";"), "="), Err("a quoted value has text behind it"));
        assert_eq!(read("; = 1", Some(";"), "="), Err("a value has no name"));
    }
}
