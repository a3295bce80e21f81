//! The tokens of Lua 5.4.

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name that is no keyword.
    Name(String),
    /// A keyword or an operator.
    Sign(&'static str),
    /// A string; None if its bytes are no UTF-8.
    Text(Option<String>),
    /// A number.
    Number,
    /// The end of the text.
    End,
}

/// Text that is no Lua: the line.
pub(super) struct Unreadable(pub(super) u32);

const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// Longest first, so that the first that fits is the one.
const OPERATORS: &[&str] = &[
    "...", "..", "==", "~=", "<=", ">=", "<<", ">>", "//", "::", "+", "-", "*", "/", "%", "^", "#", "&", "~",
    "|", "<", ">", "=", "(", ")", "{", "}", "[", "]", ";", ":", ",", ".",
];

/// Reads a whole text: each token with its line, counted from 1. The last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, u32)>, Unreadable> {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, line: 1 };
    if lexer.bytes.first() == Some(&b'#') {
        lexer.skip_line();
    }
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let line = lexer.line;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        tokens.push((token, line));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn bad(&self) -> Unreadable {
        Unreadable(self.line)
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Goes over one byte, or over one end of line however it is written.
    fn step(&mut self) {
        let byte = self.peek(0);
        self.at += 1;
        if matches!(byte, b'\n' | b'\r') {
            self.line += 1;
            let next = self.peek(0);
            self.at += usize::from(matches!(next, b'\n' | b'\r') && next != byte);
        }
    }

    fn skip_blank(&mut self) -> Result<(), Unreadable> {
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.step(),
                b'-' if self.peek(1) == b'-' => {
                    self.at += 2;
                    match self.long_level() {
                        Some(level) => drop(self.long(level)?),
                        None => self.skip_line(),
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token, Unreadable> {
        if self.at >= self.bytes.len() {
            return Ok(Token::End);
        }
        match self.peek(0) {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => Ok(self.word()),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            quote @ (b'"' | b'\'') => self.quoted(quote),
            b'[' if self.long_level().is_some() => {
                let level = self.long_level().unwrap_or_default();
                Ok(Token::Text(String::from_utf8(self.long(level)?).ok()))
            }
            _ => {
                let rest = &self.bytes[self.at..];
                let found = OPERATORS.iter().find(|operator| rest.starts_with(operator.as_bytes()));
                let operator = found.ok_or_else(|| self.bad())?;
                self.at += operator.len();
                Ok(Token::Sign(operator))
            }
        }
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        while matches!(self.peek(0), b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9') {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        match KEYWORDS.iter().find(|keyword| keyword.as_bytes() == word) {
            Some(keyword) => Token::Sign(keyword),
            None => Token::Name(String::from_utf8_lossy(word).into_owned()),
        }
    }

    /// As Lua's own reader does: all that could belong to a number, whether it is one or not.
    fn number(&mut self) -> Result<Token, Unreadable> {
        let is_hex = self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X');
        let exponent = if is_hex { b'p' } else { b'e' };
        self.at += if is_hex { 2 } else { 0 };
        loop {
            let byte = self.peek(0);
            if byte.to_ascii_lowercase() == exponent {
                self.at += 1;
                self.at += usize::from(matches!(self.peek(0), b'+' | b'-'));
            } else if byte.is_ascii_hexdigit() || byte == b'.' {
                self.at += 1;
            } else {
                break;
            }
        }
        // A letter right behind it is a fault in Lua.
        if self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
            return Err(self.bad());
        }
        Ok(Token::Number)
    }

    /// How many `=` stand in the bracket of a long string that begins here, if one does.
    fn long_level(&self) -> Option<usize> {
        if self.peek(0) != b'[' {
            return None;
        }
        let level = self.bytes[self.at + 1..].iter().take_while(|byte| **byte == b'=').count();
        (self.peek(1 + level) == b'[').then_some(level)
    }

    fn long(&mut self, level: usize) -> Result<Vec<u8>, Unreadable> {
        self.at += level + 2;
        if matches!(self.peek(0), b'\n' | b'\r') && self.at < self.bytes.len() {
            self.step();
        }
        let close = [&b"]"[..], &vec![b'='; level], b"]"].concat();
        let mut content = Vec::new();
        while self.at < self.bytes.len() {
            if self.bytes[self.at..].starts_with(&close) {
                self.at += close.len();
                return Ok(content);
            }
            let byte = self.peek(0);
            content.push(if byte == b'\r' { b'\n' } else { byte });
            self.step();
        }
        Err(self.bad())
    }

    fn quoted(&mut self, quote: u8) -> Result<Token, Unreadable> {
        self.at += 1;
        let mut content = Vec::new();
        loop {
            match self.peek(0) {
                byte if byte == quote => {
                    self.at += 1;
                    return Ok(Token::Text(String::from_utf8(content).ok()));
                }
                b'\n' | b'\r' => return Err(self.bad()),
                _ if self.at >= self.bytes.len() => return Err(self.bad()),
                b'\\' => {
                    self.at += 1;
                    self.escape(&mut content)?;
                }
                byte => {
                    content.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self, content: &mut Vec<u8>) -> Result<(), Unreadable> {
        let byte = self.peek(0);
        let simple = match byte {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\\' | b'"' | b'\'' => byte,
            b'\n' | b'\r' => {
                content.push(b'\n');
                self.step();
                return Ok(());
            }
            b'z' => {
                self.at += 1;
                while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
                    self.step();
                }
                return Ok(());
            }
            b'x' => self.numeric(1, 2, 16)?,
            b'0'..=b'9' => self.numeric(0, 3, 10)?,
            b'u' => return self.code_point(content),
            _ => return Err(self.bad()),
        };
        content.push(simple);
        self.at += 1;
        Ok(())
    }

    /// A byte of some digits, `skip` bytes from here; the place is then at its last digit.
    fn numeric(&mut self, skip: usize, most: usize, radix: u32) -> Result<u8, Unreadable> {
        self.at += skip;
        let digits = (0..most).take_while(|i| (self.peek(*i) as char).is_digit(radix)).count();
        if digits == 0 || (radix == 16 && digits < most) {
            return Err(self.bad());
        }
        let text = str::from_utf8(&self.bytes[self.at..self.at + digits]).unwrap_or_default();
        let value = u8::from_str_radix(text, radix).map_err(|_| self.bad())?;
        self.at += digits - 1;
        Ok(value)
    }

    /// `\u{…}`; code points beyond those of Unicode count as text that cannot be read.
    fn code_point(&mut self, content: &mut Vec<u8>) -> Result<(), Unreadable> {
        let rest = &self.bytes[self.at..];
        let close = rest.iter().take(12).position(|byte| *byte == b'}').ok_or_else(|| self.bad())?;
        let digits = rest.get(2..close).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default();
        let number = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        let letter = number.filter(|_| rest.get(1) == Some(&b'{')).ok_or_else(|| self.bad())?;
        content.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += close + 1;
        Ok(())
    }
}
