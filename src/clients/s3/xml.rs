//! As much XML as answers of S3 have: elements that hold text or elements, without attributes that matter.

use std::borrow::Cow;

/// What stands in each element of a name, in order, wherever it is. Elements must not hold others of their own name.
pub fn elements<'x>(xml: &'x str, name: &'x str) -> impl Iterator<Item = &'x str> {
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (content, behind) = next(rest, name)?;
        rest = behind;
        Some(content)
    })
}

fn next<'x>(mut xml: &'x str, name: &str) -> Option<(&'x str, &'x str)> {
    loop {
        let (_, tag) = xml.split_once('<')?;
        let (head, behind) = tag.split_once('>')?;
        let is_it = head.split_ascii_whitespace().next() == Some(name) && !head.ends_with('/');
        if is_it {
            return behind.split_once(&format!("</{name}>"));
        }
        xml = behind;
    }
}

/// The text of the first element of a name.
pub fn text<'x>(xml: &'x str, name: &'x str) -> Option<Cow<'x, str>> {
    elements(xml, name).next().map(unescape)
}

/// Text without references to characters. One that is none stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let meant = behind.split_once(';').and_then(|(name, behind)| Some((character(name)?, behind)));
        let (character, behind) = meant.unwrap_or(('&', behind));
        plain.push(character);
        rest = behind;
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_their_text_read() {
        let xml = "<?xml version=\"1.0\"?><R xmlns=\"u\"><K>a&amp;b&#47;&#x2F;</K><E/><C><K>c</K></C><K/><K>&no;&</K></R>";
        assert_eq!(elements(xml, "K").collect::<Vec<_>>(), ["a&amp;b&#47;&#x2F;", "c", "&no;&"]);
        assert_eq!(text(xml, "K").unwrap(), "a&b//");
        assert_eq!(text(xml, "C").unwrap(), "<K>c</K>");
        assert_eq!(unescape("&no;&"), "&no;&");
        assert_eq!((text(xml, "E"), text("<K>open", "K"), text("<", "K")), (None, None, None));
    }
}
