//! Bodies as forms send them (`application/x-www-form-urlencoded`, as the URL standard of WHATWG reads it), as JSON.

/// The most fields of a form.
const MOST: usize = 1_000;

/// The event of a form, as JSON: each field is a text, and one that is given several times a list of them. Bytes that are not
/// UTF-8 are replaced, as browsers do.
///
/// # Errors
/// It has too many fields.
pub fn to_json(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (number, pair) in pairs.enumerate() {
        if number == MOST {
            return Err(format!("the form has more than {MOST} fields"));
        }
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        let (name, value) = (decoded(name), decoded(value));
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => fields.push((name, vec![value])),
        }
    }
    let value = |values: Vec<String>| match <[String; 1]>::try_from(values) {
        Ok([one]) => serde_json::Value::from(one),
        Err(several) => serde_json::Value::from(several),
    };
    let event: serde_json::Map<_, _> =
        fields.into_iter().map(|(name, values)| (name, value(values))).collect();
    Ok(serde_json::Value::Object(event).to_string().into_bytes())
}

/// A name or value without its escapes.
fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = match (byte, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        rest = if escaped.is_some() { &behind[2..] } else { behind };
        bytes.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_events() {
        let cases: [(&str, &str); 7] = [
            ("a=1&b=x+y", r#"{"a":"1","b":"x y"}"#),
            ("a=1&&b&=z&a=2", r#"{"a":["1","2"],"b":"","":"z"}"#),
            ("k%C3%A4se=%7B%22%7D%0A", "{\"k\u{e4}se\":\"{\\\"}\\n\"}"),
            ("a=%4&b=%zz&c=%", r#"{"a":"%4","b":"%zz","c":"%"}"#),
            ("a=1=2&b=%2B", r#"{"a":"1=2","b":"+"}"#),
            ("a=%ff", "{\"a\":\"\u{fffd}\"}"),
            ("", "{}"),
        ];
        for (form, json) in cases {
            assert_eq!(String::from_utf8(to_json(form.as_bytes()).unwrap()).unwrap(), json, "{form}");
        }
        let many = |count: usize| to_json("a=b&".repeat(count).as_bytes());
        assert!(many(MOST).is_ok());
        assert_eq!(many(MOST + 1).unwrap_err(), "the form has more than 1000 fields");
    }
}
