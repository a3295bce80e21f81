//! Pairs of names and values: `level=warn code=17 text="door open"`.

use super::json::{JsonDecoder, JsonInput};
use super::line_decoder::{LineDecoder, ReadLine};
use super::{Decoder, Wanted};
use crate::event::json::write_string;
use crate::event::kv::{KvRules, pairs};
use crate::event::{Batch, Reason, RejectKind, Span};

/// Reads the pairs of a line, which stand apart by white space or commas. Values are text; a name without `=` is null.
pub type KvDecoder = LineDecoder<Kv>;

/// Reads the pairs of a line.
pub struct Kv {
    json: JsonDecoder,
    object: Vec<u8>,
}

impl KvDecoder {
    /// A decoder of the wanted fields.
    pub fn new(wanted: &Wanted) -> KvDecoder {
        let json = JsonDecoder::new(JsonInput::default(), wanted);
        LineDecoder::of(Kv { json, object: Vec::new() })
    }
}

impl Kv {
    /// Writes the pairs of a line as a JSON object.
    fn write(&mut self, line: &str) -> Result<(), &'static str> {
        self.object.clear();
        self.object.push(b'{');
        for pair in pairs(line, KvRules::default()) {
            let (name, value) = pair?;
            if self.object.len() > 1 {
                self.object.push(b',');
            }
            write_string(name.as_bytes(), &mut self.object);
            self.object.push(b':');
            match value {
                Some(value) => write_string(value.as_bytes(), &mut self.object),
                None => self.object.extend_from_slice(b"null"),
            }
        }
        self.object.push(b'}');
        Ok(())
    }
}

impl ReadLine for Kv {
    fn read(&mut self, batch: &mut Batch, line: Span) -> Result<(), Reason> {
        let text = batch.arena[line.range()].to_vec();
        let reason = |text: &'static str| Reason::new(RejectKind::Decode, text);
        let text = str::from_utf8(&text).map_err(|_| reason("the line is not UTF-8"))?;
        self.write(text).map_err(reason)?;
        let object = batch.store(&self.object);
        let mut unreadable = Vec::new();
        self.json.decode(batch, object, true, usize::MAX, &mut unreadable);
        unreadable.pop().map_or(Ok(()), |unreadable| Err(unreadable.reason))
    }

    fn another(&self) -> Kv {
        Kv { json: self.json.fresh(), object: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Row;

    fn read(text: &str) -> Result<String, String> {
        let mut batch = Batch::new(0, b"");
        let block = batch.store(text.as_bytes());
        let mut unreadable = Vec::new();
        let wanted = Wanted { fields: Vec::new(), whole: true };
        KvDecoder::new(&wanted).decode(&mut batch, block, true, 10, &mut unreadable);
        match unreadable.pop() {
            Some(unreadable) => Err(unreadable.reason.text.into_owned()),
            None => Ok(String::from_utf8_lossy(&batch.arena[batch.raw[Row(0).index()].range()]).into_owned()),
        }
    }

    #[test]
    fn pairs_become_fields() {
        let good = [
            ("a=1 b=two", r#"{"a":"1","b":"two"}"#),
            ("a=1, b=", r#"{"a":"1","b":""}"#),
            (r#"text="door \"2\" open" flag"#, r#"{"text":"door \"2\" open","flag":null}"#),
        ];
        for (text, want) in good {
            assert_eq!(read(text).as_deref(), Ok(want), "{text}");
        }
        assert_eq!(read("=1"), Err("a value has no name".to_owned()));
        assert_eq!(read("a=\"x"), Err("a quoted value has no end".to_owned()));
    }
}
