//! Text to expression: tokens are checked one by one, then `sqlparser` builds its tree, then we build ours.

use super::ast::Expr;
use super::convert::Converter;
use super::dialect::{CUT, Headwater};
use super::fault::ExprFault;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};
use std::ops::Range;

/// Bytes that an expression may have.
pub const MAX_LENGTH: usize = 64 * 1024;

/// Tokens that an expression may have, white space aside.
pub const MAX_TOKENS: usize = 4096;

/// Levels of parentheses, calls and operands that the text may nest.
pub const MAX_NESTING: usize = 64;

/// Levels that the tree may have; a chain of `AND` or `OR` is one, of other operators one for each.
pub const MAX_DEPTH: usize = 200;

/// Reads an expression.
///
/// # Errors
/// The first fault, with its place in `text`.
pub fn parse(text: &str) -> Result<Expr, ExprFault> {
    if text.len() > MAX_LENGTH {
        let message = format!("the expression is longer than {MAX_LENGTH} bytes");
        return Err(ExprFault::new(0..0, message));
    }
    if text.trim().is_empty() {
        return Err(ExprFault::new(0..text.len(), "the expression is empty"));
    }
    let places = Places::new(text);
    let dialect = Headwater::default();
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| untokenized(&places, &error.message, error.location))?;
    check_tokens(&tokens, &places)?;
    let ends: Vec<(Span, usize)> = tokens.iter().map(|t| (t.span, places.range(t.span).end)).collect();
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens);
    let parsed = parser.parse_expr();
    let parsed = parsed.map_err(|error| unparsed(&dialect, &places, &ends, error))?;
    let next = parser.next_token();
    if next.token != Token::EOF {
        let fault = ExprFault::new(places.range(next.span), format!("`{next}` is not expected here"));
        return Err(fault.hint("the expression could end before it"));
    }
    Converter::new(text, &places).convert(&parsed, 0)
}

/// From `sqlparser`'s lines and columns, which count characters, to bytes.
pub(super) struct Places<'a> {
    text: &'a str,
    /// Byte offset of each character, and of the end.
    offsets: Vec<usize>,
    /// Index into `offsets` of the first character of each line.
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Places<'a> {
        let mut offsets = Vec::with_capacity(text.len() + 1);
        let mut lines = vec![0];
        for (i, (offset, c)) in text.char_indices().enumerate() {
            offsets.push(offset);
            if c == '\n' {
                lines.push(i + 1);
            }
        }
        offsets.push(text.len());
        Places { text, offsets, lines }
    }

    fn end(&self) -> usize {
        self.offsets[self.offsets.len() - 1]
    }

    fn byte(&self, location: Location) -> usize {
        let line = (location.line as usize).checked_sub(1).and_then(|line| self.lines.get(line));
        let at = line.map(|start| start + (location.column as usize).saturating_sub(1));
        at.and_then(|at| self.offsets.get(at).copied()).unwrap_or(self.end())
    }

    /// The bytes of a span; the end of the text for an empty one.
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        start..self.byte(span.end).max(start)
    }
}

/// Refuses tokens that are SQL somewhere but not here, and brackets that do not match.
fn check_tokens(tokens: &[TokenWithSpan], places: &Places) -> Result<(), ExprFault> {
    let mut open: Vec<&TokenWithSpan> = Vec::new();
    let mut count = 0;
    for token in tokens {
        let range = || places.range(token.span);
        check_token(&token.token).map_err(|(message, hint)| {
            let fault = ExprFault::new(range(), message);
            if hint.is_empty() { fault } else { fault.hint(hint) }
        })?;
        count += usize::from(!matches!(token.token, Token::Whitespace(_)));
        if count > MAX_TOKENS {
            let message = format!("the expression has more than {MAX_TOKENS} parts");
            return Err(ExprFault::new(range(), message));
        }
        match token.token {
            Token::LParen | Token::LBracket => open.push(token),
            Token::RParen | Token::RBracket => {
                let opened = if token.token == Token::RParen { Token::LParen } else { Token::LBracket };
                if open.pop().is_none_or(|bracket| bracket.token != opened) {
                    let message = format!("`{token}` closes nothing: a `{opened}` is missing before it");
                    return Err(ExprFault::new(range(), message));
                }
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(bracket) => {
            let fault = ExprFault::new(places.range(bracket.span), format!("`{bracket}` is never closed"));
            Err(fault.hint(CUT))
        }
        None => Ok(()),
    }
}

/// The message and hint for a token that is not in the language.
fn check_token(token: &Token) -> Result<(), (String, &'static str)> {
    let hint = match token {
        Token::Word(_) | Token::Number(_, false) | Token::SingleQuotedString(_) => return Ok(()),
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => {
            return Ok(());
        }
        Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => return Ok(()),
        Token::LParen | Token::RParen | Token::LBracket | Token::RBracket => return Ok(()),
        Token::Comma | Token::Period | Token::Arrow => return Ok(()),
        Token::Whitespace(Whitespace::MultiLineComment(_)) => "",
        Token::Whitespace(_) => return Ok(()),
        Token::DoubleQuotedString(_) => "text stands in single quotes, a field's odd name in backticks",
        Token::DoubleEq => "equality is written `=`",
        Token::Overlap | Token::Ampersand => "write AND, or bit_and(a, b)",
        Token::Pipe => "write OR, `||` to join texts, or bit_or(a, b)",
        Token::ExclamationMark => "write NOT, or `<>`",
        Token::Caret => "write pow(x, y), or bit_xor(a, b)",
        Token::ShiftLeft | Token::ShiftRight => "write bit_shift_left(x, n) or bit_shift_right(x, n)",
        Token::Tilde | Token::TildeAsterisk => "write regexp_match(text, pattern)",
        Token::DoubleColon => "write CAST(x AS TYPE)",
        Token::LBrace | Token::RBrace | Token::Placeholder(_) => {
            "`${NAME}` is replaced only in plain scalars"
        }
        Token::HexStringLiteral(_) => "hexadecimal literals are not in this version",
        Token::Number(_, true) => "a number has no suffix",
        _ => "",
    };
    Err((format!("`{token}` is not part of an expression"), hint))
}

/// Translates a tokenizer's error.
fn untokenized(places: &Places, message: &str, at: Location) -> ExprFault {
    let start = places.byte(at);
    let fault = |message: &str| ExprFault::new(start..places.end(), message);
    if message.contains("Unterminated string") {
        return fault("the text is never closed: a `'` is missing")
            .hint("a quote inside text is doubled: 'it''s'");
    }
    if message.contains("close delimiter") {
        return fault("the name is never closed: a backtick is missing");
    }
    if message.contains('_') {
        return fault("`_` is not expected here").hint("a field's odd name stands in backticks");
    }
    fault("this is not part of an expression")
}

/// Translates a parser's error; `ends` are the tokens' spans and last bytes.
fn unparsed(dialect: &Headwater, places: &Places, ends: &[(Span, usize)], error: ParserError) -> ExprFault {
    let message = match (dialect.take_fault(), error) {
        (_, ParserError::RecursionLimitExceeded) => {
            return ExprFault::new(
                0..0,
                format!("the expression is nested deeper than {MAX_NESTING} levels"),
            );
        }
        (Some((at, fault)), _) => return ExprFault { span: places.range(at), ..fault },
        (None, ParserError::ParserError(message) | ParserError::TokenizerError(message)) => message,
    };
    // "Expected: X, found: Y at Line: 1, Column: 5"; without the place at the end of the text.
    let (message, place) = message.rsplit_once(" at Line: ").unwrap_or((&message, ""));
    let expected = message.strip_prefix("Expected: ").and_then(|text| text.split_once(", found: "));
    let expected = expected.map_or("", |(expected, _)| expected);
    let location = place
        .split_once(", Column: ")
        .and_then(|(line, column)| Some(Location { line: line.parse().ok()?, column: column.parse().ok()? }));
    let Some(location) = location else {
        let end = places.end();
        let what = if (1..40).contains(&expected.len()) { expected } else { "more" };
        return ExprFault::new(end..end, format!("the expression ends where {what} is expected")).hint(CUT);
    };
    let start = places.byte(location);
    let end = ends.iter().find(|(span, _)| span.start == location).map_or(start, |(_, end)| *end);
    let fault = ExprFault::new(start..end, format!("`{}` is not expected here", &places.text[start..end]));
    match expected.len() {
        1..40 => fault.hint(format!("{expected} is expected")),
        _ => fault,
    }
}
