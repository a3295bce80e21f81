//! Our dialect of SQL, as `sqlparser` is told: which words are special where an operand is expected.
//!
//! Most words that SQL reserves are field names in somebody's events, so a word is special only where it cannot be
//! a field: `timestamp` before a text literal, `cast` before a parenthesis. What an operand can start with
//! is decided here alone; the parser's own guesses (subqueries, typed literals, arrays) are never reached.

use super::fault::ExprFault;
use sqlparser::ast::{CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr};
use sqlparser::ast::{FunctionArgumentList, FunctionArguments, Ident, Interval, LambdaFunction};
use sqlparser::ast::{LambdaFunctionParameter, LambdaSyntax, ObjectName, OneOrManyWithParens, TimezoneInfo};
use sqlparser::ast::{TypedString, UnaryOperator, Value, ValueWithSpan};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};
use std::cell::RefCell;

/// Words that cannot stand as a field's name without backticks.
const RESERVED: [&str; 17] = [
    "all", "and", "between", "case", "distinct", "else", "false", "ilike", "in", "is", "like", "not", "null",
    "or", "then", "true", "when",
];

/// Whether a word needs backticks to be a field's name.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word.to_ascii_lowercase().as_str())
}

/// The dialect, and the last fault it found: `sqlparser`'s own errors carry no place.
#[derive(Debug, Default)]
pub(super) struct Headwater {
    fault: RefCell<Option<(Span, ExprFault)>>,
}

type Parsed = Result<Expr, ParserError>;

impl Headwater {
    /// The fault behind the error that the parser returned, if the dialect found it.
    pub(super) fn take_fault(&self) -> Option<(Span, ExprFault)> {
        self.fault.take()
    }

    fn fault<T>(&self, at: Span, message: impl Into<String>, hint: &str) -> Result<T, ParserError> {
        let mut fault = ExprFault::new(0..0, message);
        if !hint.is_empty() {
            fault = fault.hint(hint);
        }
        let error = ParserError::ParserError(fault.message.clone());
        *self.fault.borrow_mut() = Some((at, fault));
        Err(error)
    }

    fn prefix(&self, parser: &mut Parser) -> Parsed {
        let token = parser.next_token();
        let span = token.span;
        match token.token {
            Token::Word(word) => self.word(parser, word, span),
            Token::Number(..) | Token::SingleQuotedString(_) => Ok(value(token)),
            Token::Minus => self.sign(parser, UnaryOperator::Minus),
            Token::Plus => self.sign(parser, UnaryOperator::Plus),
            Token::LParen => {
                let inner = parser.parse_expr()?;
                if self.are_parameters(parser) {
                    let hint = "x -> x * 2";
                    return self.fault(parser.peek_token_ref().span, "a lambda has one parameter", hint);
                }
                if parser.peek_token_ref().token == Token::Comma {
                    let hint = "a list of values stands only behind IN";
                    return self.fault(parser.peek_token_ref().span, "`,` inside parentheses", hint);
                }
                parser.expect_token(&Token::RParen)?;
                Ok(Expr::Nested(Box::new(inner)))
            }
            Token::LBracket => {
                self.fault(span, "list literals are not in this version", "json_parse('[1, 2]')")
            }
            Token::EOF => self.fault(span, "the expression ends where a value is expected", CUT),
            other => self.fault(span, format!("a value is expected before `{other}`"), ""),
        }
    }

    /// Whether `, y) ->` is next.
    fn are_parameters(&self, parser: &Parser) -> bool {
        let token = |n: usize| &parser.peek_nth_token_ref(n).token;
        let mut n = 0;
        while *token(n) == Token::Comma && matches!(token(n + 1), Token::Word(_)) {
            n += 2;
        }
        n > 0 && *token(n) == Token::RParen && *token(n + 1) == Token::Arrow
    }

    fn sign(&self, parser: &mut Parser, op: UnaryOperator) -> Parsed {
        let expr = parser.parse_subexpr(self.prec_value(Precedence::MulDivModOp))?;
        Ok(Expr::UnaryOp { op, expr: Box::new(expr) })
    }

    fn word(&self, parser: &mut Parser, word: Word, span: Span) -> Parsed {
        let called = parser.peek_token_ref().token == Token::LParen;
        let quotes = matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_));
        let counts = quotes || matches!(parser.peek_token_ref().token, Token::Number(..));
        match word.keyword {
            Keyword::NULL => Ok(literal(Value::Null, span)),
            Keyword::TRUE => Ok(literal(Value::Boolean(true), span)),
            Keyword::FALSE => Ok(literal(Value::Boolean(false), span)),
            Keyword::NOT => {
                let expr = parser.parse_subexpr(self.prec_value(Precedence::UnaryNot))?;
                Ok(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) })
            }
            Keyword::CASE => parser.parse_case_expr(),
            Keyword::CAST if called => self.cast(parser, CastKind::Cast),
            Keyword::TRY_CAST if called => self.cast(parser, CastKind::TryCast),
            Keyword::POSITION if called => self.position(parser, word, span),
            Keyword::EXISTS if called => self.fault(span, SUBQUERIES, ""),
            Keyword::SELECT if !called && !self.stands_alone(parser) => self.fault(span, SUBQUERIES, ""),
            Keyword::TIMESTAMP if quotes => Ok(Expr::TypedString(TypedString {
                data_type: DataType::Timestamp(None, TimezoneInfo::None),
                value: text(parser.next_token()),
                uses_odbc_syntax: false,
            })),
            Keyword::DATE | Keyword::TIME if quotes => {
                let hint = "write TIMESTAMP '2026-01-31 08:00:00', in UTC";
                self.fault(span, format!("{} literals are not in this version", word.value), hint)
            }
            Keyword::INTERVAL if counts => self.interval(parser),
            _ if word.quote_style.is_none() && is_reserved(&word.value) => {
                let hint = "a field of this name is written in backticks";
                self.fault(span, format!("a value is expected before `{}`", word.value), hint)
            }
            _ if parser.peek_token_ref().token == Token::Arrow => self.lambda(parser, word, span),
            _ if called && word.quote_style.is_some() => {
                self.fault(span, "a function's name stands without backticks", "")
            }
            _ if called => parser.parse_function(ObjectName::from(vec![word.into_ident(span)])),
            _ => Ok(Expr::Identifier(word.into_ident(span))),
        }
    }

    /// Whether the word before is all of an operand, not the beginning of a query.
    fn stands_alone(&self, parser: &Parser) -> bool {
        !matches!(parser.peek_token_ref().token, Token::Word(_) | Token::Number(..) | Token::Mul)
    }

    /// `-> body`, behind the parameter.
    fn lambda(&self, parser: &mut Parser, parameter: Word, span: Span) -> Parsed {
        if parameter.quote_style.is_some() {
            return self.fault(span, "a lambda's parameter stands without backticks", "");
        }
        parser.expect_token(&Token::Arrow)?;
        let body = Box::new(parser.parse_expr()?);
        let parameter = LambdaFunctionParameter { name: parameter.into_ident(span), data_type: None };
        let params = OneOrManyWithParens::One(parameter);
        Ok(Expr::Lambda(LambdaFunction { params, body, syntax: LambdaSyntax::Arrow }))
    }

    /// `(x AS TYPE)`, behind the word.
    fn cast(&self, parser: &mut Parser, kind: CastKind) -> Parsed {
        parser.expect_token(&Token::LParen)?;
        let expr = Box::new(parser.parse_expr()?);
        if !parser.parse_keyword(Keyword::AS) {
            return self.fault(parser.peek_token_ref().span, "AS is missing", "CAST(x AS INTEGER)");
        }
        let token = parser.next_token();
        let Token::Word(word) = token.token else {
            return self.fault(token.span, "the name of a type is missing", "CAST(x AS INTEGER)");
        };
        let name = ObjectName::from(vec![word.into_ident(token.span)]);
        parser.expect_token(&Token::RParen)?;
        Ok(Expr::Cast { kind, expr, data_type: DataType::Custom(name, Vec::new()), format: None })
    }

    /// `(sub IN s)` or `(sub, s)`, behind the word.
    fn position(&self, parser: &mut Parser, word: Word, span: Span) -> Parsed {
        parser.expect_token(&Token::LParen)?;
        let part = parser.parse_subexpr(self.prec_value(Precedence::Between))?;
        if !parser.consume_token(&Token::Comma) && !parser.parse_keyword(Keyword::IN) {
            let hint = "position('b' IN text)";
            return self.fault(parser.peek_token_ref().span, "IN is missing", hint);
        }
        let whole = parser.parse_expr()?;
        parser.expect_token(&Token::RParen)?;
        Ok(call(word.into_ident(span), vec![part, whole]))
    }

    /// `(1, 2)`, behind `IN`.
    fn within(&self, parser: &mut Parser, left: &Expr, negated: bool) -> Parsed {
        if !parser.consume_token(&Token::LParen) {
            let hint = "x IN (1, 2), or contains_element(list, x)";
            return self.fault(
                parser.peek_token_ref().span,
                "a list in parentheses is expected behind IN",
                hint,
            );
        }
        let list = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
        Ok(Expr::InList { expr: Box::new(left.clone()), list, negated })
    }

    /// `'5' MINUTE`, behind the word.
    fn interval(&self, parser: &mut Parser) -> Parsed {
        let count = value(parser.next_token());
        let token = parser.next_token();
        let Token::Word(unit) = token.token else {
            return self.fault(token.span, "the unit of the interval is missing", "INTERVAL '5' MINUTE");
        };
        if parser.parse_keyword(Keyword::TO) {
            return self.fault(token.span, "intervals of mixed units are not in this version", "add two");
        }
        Ok(Expr::Interval(Interval {
            value: Box::new(count),
            leading_field: Some(DateTimeField::Custom(unit.into_ident(token.span))),
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        }))
    }
}

const SUBQUERIES: &str = "subqueries are not in this version";

/// Said where an expression stops too early.
pub(super) const CUT: &str =
    "inside `{ … }`, YAML cuts an expression at `,` and at `: `: quote the whole expression";

fn value(token: TokenWithSpan) -> Expr {
    let value = match token.token {
        Token::Number(digits, long) => Value::Number(digits, long),
        Token::SingleQuotedString(text) => Value::SingleQuotedString(text),
        other => Value::Placeholder(other.to_string()),
    };
    literal(value, token.span)
}

fn call(name: Ident, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn text(token: TokenWithSpan) -> ValueWithSpan {
    match token.token {
        Token::SingleQuotedString(text) => Value::SingleQuotedString(text).with_span(token.span),
        other => Value::Placeholder(other.to_string()).with_span(token.span),
    }
}

fn literal(value: Value, span: Span) -> Expr {
    Expr::Value(value.with_span(span))
}

impl Dialect for Headwater {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    /// So that `x--1` is a difference.
    fn requires_single_line_comment_whitespace(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Parsed> {
        Some(self.prefix(parser))
    }

    /// `IN` is read here, so that the parser does not look for a query behind it.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _precedence: u8) -> Option<Parsed> {
        let negated = parser.parse_keywords(&[Keyword::NOT, Keyword::IN]);
        (negated || parser.parse_keyword(Keyword::IN)).then(|| self.within(parser, left, negated))
    }
}
