//! From `sqlparser`'s tree to ours. What our language does not have is refused here, by name.

use super::ast::{BinaryOp, Call, CastType, Expr, Node};
use super::fault::ExprFault;
use super::interval;
use super::literal::Literal;
use super::parse::{MAX_DEPTH, Places};
use crate::event::{Path, Step};
use sqlparser::ast::{self as sql, AccessExpr, BinaryOperator, DateTimeField, UnaryOperator, ValueWithSpan};
use std::cell::RefCell;
use std::ops::Range;

type Converted = Result<Expr, ExprFault>;

/// Converts the tree that came from `text`.
pub(super) struct Converter<'a> {
    text: &'a str,
    places: &'a Places<'a>,
    /// The parameters of the lambdas around, the innermost last.
    parameters: RefCell<Vec<String>>,
}

impl<'a> Converter<'a> {
    pub(super) fn new(text: &'a str, places: &'a Places<'a>) -> Converter<'a> {
        Converter { text, places, parameters: RefCell::default() }
    }
}

impl Converter<'_> {
    pub(super) fn convert(&self, expr: &sql::Expr, depth: usize) -> Converted {
        use sql::Expr::*;
        let depth = depth + 1;
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        match expr {
            Identifier(ident) => Ok(self.field(ident)),
            CompoundIdentifier(idents) => self.compound(idents),
            CompoundFieldAccess { root, access_chain } => self.access(root, access_chain, depth),
            Value(value) => self.value(value),
            TypedString(typed) => self.timestamp(&typed.value),
            Interval(interval) => self.interval(interval),
            Nested(inner) => self.convert(inner, depth),
            UnaryOp { op, expr } => self.unary(*op, expr, depth),
            BinaryOp { left, op, right } => self.binary(left, op, right, depth),
            IsNull(of) => self.is_null(of, false, depth),
            IsNotNull(of) => self.is_null(of, true, depth),
            IsTrue(of) => self.is_bool(of, true, false, depth),
            IsNotTrue(of) => self.is_bool(of, true, true, depth),
            IsFalse(of) => self.is_bool(of, false, false, depth),
            IsNotFalse(of) => self.is_bool(of, false, true, depth),
            IsDistinctFrom(left, right) => self.pair(super::ast::BinaryOp::Distinct, left, right, depth),
            IsNotDistinctFrom(left, right) => {
                self.pair(super::ast::BinaryOp::NotDistinct, left, right, depth)
            }
            &Between { ref expr, negated, ref low, ref high } => {
                let of = Box::new(self.convert(expr, depth)?);
                let low = Box::new(self.convert(low, depth)?);
                let high = Box::new(self.convert(high, depth)?);
                let span = of.span.start..high.span.end;
                Ok(Expr::new(Node::Between { of, low, high, negated }, span))
            }
            &InList { ref expr, ref list, negated } => {
                let of = Box::new(self.convert(expr, depth)?);
                let list = self.all(list, depth)?;
                let end = list.last().map_or(of.span.end, |last| self.closed(last.span.end));
                let span = of.span.start..end;
                Ok(Expr::new(Node::In { of, list, negated }, span))
            }
            &Like { negated, any: false, ref expr, ref pattern, ref escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), (false, negated), depth)
            }
            &ILike { negated, any: false, ref expr, ref pattern, ref escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), (true, negated), depth)
            }
            Cast { kind, expr, data_type, .. } => {
                self.cast(expr, data_type, *kind == sql::CastKind::TryCast, depth)
            }
            Case { case_token, end_token, operand, conditions, else_result } => {
                let start = self.places.range(case_token.0.span).start;
                let span = start..self.places.range(end_token.0.span).end;
                self.case(operand.as_deref(), conditions, else_result.as_deref(), span, depth)
            }
            Function(function) => self.call(function, depth),
            Lambda(lambda) => {
                let fault = ExprFault::new(
                    self.lambda(lambda, depth)?.span,
                    "a lambda stands only as an argument of a call",
                );
                Err(fault.hint("transform(list, x -> x * 2)"))
            }
            other => Err(self.refused(other)),
        }
    }

    fn all(&self, exprs: &[sql::Expr], depth: usize) -> Result<Vec<Expr>, ExprFault> {
        exprs.iter().map(|expr| self.convert(expr, depth)).collect()
    }

    /// The end of a parenthesis that closes right after `end`.
    fn closed(&self, end: usize) -> usize {
        let rest = &self.text[end..];
        let space = rest.len() - rest.trim_start().len();
        if rest[space..].starts_with(')') { end + space + 1 } else { end }
    }

    fn refused(&self, expr: &sql::Expr) -> ExprFault {
        let span = self.places.range(sql::Spanned::span(expr));
        let message = format!("`{}` is not in this version", short(&expr.to_string()));
        ExprFault::new(span, message)
    }

    /// A field, or the parameter of a lambda around, which hides a field of its name.
    fn field(&self, ident: &sql::Ident) -> Expr {
        let path = Path::field(&ident.value);
        let parameter = self.parameters.borrow().contains(&ident.value);
        let node = if parameter { Node::Parameter(path) } else { Node::Field(path) };
        Expr::new(node, self.places.range(ident.span))
    }

    fn compound(&self, idents: &[sql::Ident]) -> Converted {
        let Some((first, rest)) = idents.split_first() else {
            return Err(ExprFault::new(0..0, "a field has no name"));
        };
        if rest.len() > MAX_DEPTH {
            return Err(too_deep());
        }
        rest.iter().try_fold(self.field(first), |expr, ident| self.member(expr, ident))
    }

    /// `of.name`
    fn member(&self, mut of: Expr, name: &sql::Ident) -> Converted {
        if name.quote_style == Some('\'') {
            return Err(ExprFault::new(of.span, "a text cannot stand behind `.`").hint("x['name']"));
        }
        let at = self.places.range(name.span);
        of.span.end = at.end.max(of.span.end);
        Ok(of.then(Step::Field(name.value.clone()), at))
    }

    fn access(&self, root: &sql::Expr, chain: &[AccessExpr], depth: usize) -> Converted {
        let mut expr = self.convert(root, depth)?;
        if chain.len() + depth > MAX_DEPTH {
            return Err(too_deep());
        }
        for step in chain {
            expr = match step {
                AccessExpr::Dot(sql::Expr::Identifier(name)) => self.member(expr, name)?,
                AccessExpr::Subscript(sql::Subscript::Index { index }) => {
                    let index = self.convert(index, depth)?;
                    self.index(expr, index)
                }
                AccessExpr::Dot(_) => {
                    let fault = ExprFault::new(expr.span, "only a name can stand behind `.`");
                    return Err(fault.hint("x.name, or x['name']"));
                }
                AccessExpr::Subscript(_) => {
                    let hint = "write slice(list, from, to)";
                    return Err(ExprFault::new(expr.span, "slices are not in this version").hint(hint));
                }
            };
        }
        Ok(expr)
    }

    fn index(&self, of: Expr, index: Expr) -> Expr {
        let rest = &self.text[index.span.end..];
        let end = rest.find(']').map_or(index.span.end, |at| index.span.end + at + 1);
        let span = of.span.start..end;
        let step = match &index.node {
            Node::Literal(Literal::Int(n)) => u32::try_from(*n).ok().map(Step::Index),
            Node::Literal(Literal::Text(name)) => Some(Step::Field(name.clone())),
            _ => None,
        };
        let mut expr = match (step, &of.node) {
            (Some(step), Node::Field(_) | Node::Parameter(_)) => of.then(step, index.span),
            _ => Expr::new(Node::Index(Box::new(of), Box::new(index)), span.clone()),
        };
        expr.span = span;
        expr
    }

    fn value(&self, value: &ValueWithSpan) -> Converted {
        let span = self.places.range(value.span);
        let literal = match &value.value {
            sql::Value::Null => Literal::Null,
            sql::Value::Boolean(b) => Literal::Bool(*b),
            sql::Value::SingleQuotedString(text) => Literal::Text(text.clone()),
            sql::Value::Number(digits, _) => number(digits, &span)?,
            other => {
                return Err(ExprFault::new(span, format!("`{other}` is not in this version")));
            }
        };
        Ok(Expr::new(Node::Literal(literal), span))
    }

    fn timestamp(&self, value: &ValueWithSpan) -> Converted {
        let at = self.places.range(value.span);
        let text = value.value.clone().into_string().unwrap_or_default();
        let ms = interval::parse_timestamp(&text).ok_or_else(|| {
            ExprFault::new(at.clone(), format!("`{}` is not a time", short(&text)))
                .hint("TIMESTAMP '2026-01-31T08:00:00Z'")
        })?;
        let word = self.text[..at.start].trim_end().len();
        let span = word.saturating_sub("timestamp".len())..at.end;
        Ok(Expr::new(Node::Literal(Literal::Timestamp(ms)), span))
    }

    fn interval(&self, interval: &sql::Interval) -> Converted {
        let count = self.convert(&interval.value, 0)?;
        let Some(DateTimeField::Custom(unit)) = &interval.leading_field else {
            return Err(ExprFault::new(count.span, "the unit of the interval is missing"));
        };
        let span = count.span.start..self.places.range(unit.span).end;
        let digits = match &count.node {
            Node::Literal(Literal::Text(text)) => text.trim().to_owned(),
            Node::Literal(literal) => literal.to_string(),
            _ => String::new(),
        };
        match interval::parse_interval(&digits, &unit.value) {
            Ok(literal) => Ok(Expr::new(Node::Literal(literal), span)),
            Err(message) => Err(ExprFault::new(span, message).hint("INTERVAL '5' MINUTE")),
        }
    }

    fn unary(&self, op: UnaryOperator, of: &sql::Expr, depth: usize) -> Converted {
        if let (UnaryOperator::Minus, sql::Expr::Value(value)) = (op, of)
            && let sql::Value::Number(digits, _) = &value.value
        {
            let span = self.places.range(value.span);
            let start = self.text[..span.start].rfind('-').unwrap_or(span.start);
            let literal = number(&format!("-{digits}"), &span)?;
            return Ok(Expr::new(Node::Literal(literal), start..span.end));
        }
        let of = self.convert(of, depth)?;
        let span = of.span.clone();
        match op {
            UnaryOperator::Not => {
                let start = self.text[..span.start].trim_end_matches([' ', '(', '\n', '\t']).len();
                Ok(Expr::new(Node::Not(Box::new(of)), start.saturating_sub("not".len())..span.end))
            }
            UnaryOperator::Minus => {
                let start = self.text[..span.start].rfind('-').unwrap_or(span.start);
                let node = match of.node {
                    Node::Literal(Literal::Int(n)) if n > i64::MIN => Node::Literal(Literal::Int(-n)),
                    Node::Literal(Literal::Float(x)) => Node::Literal(Literal::Float(-x)),
                    _ => Node::Negate(Box::new(of)),
                };
                Ok(Expr::new(node, start..span.end))
            }
            UnaryOperator::Plus if matches!(of.node, Node::Literal(Literal::Int(_) | Literal::Float(_))) => {
                Ok(of)
            }
            _ => Err(ExprFault::new(span, "a sign without effect").hint("leave the `+` out")),
        }
    }

    fn binary(&self, left: &sql::Expr, op: &BinaryOperator, right: &sql::Expr, depth: usize) -> Converted {
        let op = match op {
            BinaryOperator::And | BinaryOperator::Or => return self.chain(left, op, right, depth),
            BinaryOperator::Plus => BinaryOp::Add,
            BinaryOperator::Minus => BinaryOp::Subtract,
            BinaryOperator::Multiply => BinaryOp::Multiply,
            BinaryOperator::Divide => BinaryOp::Divide,
            BinaryOperator::Modulo => BinaryOp::Modulo,
            BinaryOperator::StringConcat => BinaryOp::Concat,
            BinaryOperator::Eq => BinaryOp::Equal,
            BinaryOperator::NotEq => BinaryOp::NotEqual,
            BinaryOperator::Lt => BinaryOp::Less,
            BinaryOperator::LtEq => BinaryOp::LessOrEqual,
            BinaryOperator::Gt => BinaryOp::Greater,
            BinaryOperator::GtEq => BinaryOp::GreaterOrEqual,
            BinaryOperator::Arrow => {
                let fault = ExprFault::new(self.convert(left, depth)?.span, "a name is expected before `->`");
                return Err(fault.hint("x -> x * 2"));
            }
            other => {
                let span = self.convert(left, depth)?.span;
                return Err(ExprFault::new(span, format!("the operator `{other}` is not in this version")));
            }
        };
        self.pair(op, left, right, depth)
    }

    fn pair(&self, op: BinaryOp, left: &sql::Expr, right: &sql::Expr, depth: usize) -> Converted {
        let left = Box::new(self.convert(left, depth)?);
        let right = Box::new(self.convert(right, depth)?);
        let span = left.span.start..right.span.end;
        Ok(Expr::new(Node::Binary(op, left, right), span))
    }

    /// `a AND b AND c` as one node, without recursion along the chain.
    fn chain(&self, left: &sql::Expr, op: &BinaryOperator, right: &sql::Expr, depth: usize) -> Converted {
        let mut parts = vec![self.convert(right, depth)?];
        let mut rest = left;
        while let sql::Expr::BinaryOp { left, op: inner, right } = rest
            && inner == op
        {
            parts.push(self.convert(right, depth)?);
            rest = left;
        }
        parts.push(self.convert(rest, depth)?);
        parts.reverse();
        let start = parts.first().map_or(0, |part| part.span.start);
        let span = start..parts.last().map_or(start, |part| part.span.end);
        let node = if *op == BinaryOperator::And { Node::And(parts) } else { Node::Or(parts) };
        Ok(Expr::new(node, span))
    }

    fn is_null(&self, of: &sql::Expr, negated: bool, depth: usize) -> Converted {
        let of = Box::new(self.convert(of, depth)?);
        let span = of.span.clone();
        Ok(Expr::new(Node::IsNull { of, negated }, span))
    }

    fn is_bool(&self, of: &sql::Expr, value: bool, negated: bool, depth: usize) -> Converted {
        let of = Box::new(self.convert(of, depth)?);
        let span = of.span.clone();
        Ok(Expr::new(Node::IsBool { of, value, negated }, span))
    }

    fn like(
        &self,
        of: &sql::Expr,
        pattern: &sql::Expr,
        escape: Option<&sql::Expr>,
        (insensitive, negated): (bool, bool),
        depth: usize,
    ) -> Converted {
        let of = Box::new(self.convert(of, depth)?);
        let pattern = Box::new(self.convert(pattern, depth)?);
        let escape = match escape {
            None => None,
            Some(escape) => {
                let escape = self.convert(escape, depth)?;
                let text = escape.as_text().unwrap_or_default();
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Some(c),
                    _ => {
                        return Err(
                            ExprFault::new(escape.span, "ESCAPE takes one character").hint("ESCAPE '!'")
                        );
                    }
                }
            }
        };
        let span = of.span.start..pattern.span.end;
        Ok(Expr::new(Node::Like { of, pattern, escape, insensitive, negated }, span))
    }

    fn cast(&self, of: &sql::Expr, to: &sql::DataType, attempt: bool, depth: usize) -> Converted {
        let of = Box::new(self.convert(of, depth)?);
        let name = to.to_string();
        let span = of.span.start..self.closed(of.span.end);
        let to = CastType::by_name(&name).ok_or_else(|| {
            ExprFault::new(span.clone(), format!("there is no type `{}`", short(&name)))
                .hint("BOOLEAN, INTEGER, DOUBLE, TEXT or TIMESTAMP")
        })?;
        Ok(Expr::new(Node::Cast { of, to, attempt }, span))
    }

    fn case(
        &self,
        operand: Option<&sql::Expr>,
        conditions: &[sql::CaseWhen],
        otherwise: Option<&sql::Expr>,
        span: Range<usize>,
        depth: usize,
    ) -> Converted {
        let boxed =
            |expr: Option<&sql::Expr>| expr.map(|expr| self.convert(expr, depth).map(Box::new)).transpose();
        let operand = boxed(operand)?;
        let branch = |when: &sql::CaseWhen| {
            Ok((self.convert(&when.condition, depth)?, self.convert(&when.result, depth)?))
        };
        let branches = conditions.iter().map(branch).collect::<Result<_, ExprFault>>()?;
        let otherwise = boxed(otherwise)?;
        Ok(Expr::new(Node::Case { operand, branches, otherwise }, span))
    }

    fn lambda(&self, lambda: &sql::LambdaFunction, depth: usize) -> Converted {
        let sql::OneOrManyWithParens::One(sql::LambdaFunctionParameter { name, data_type: None }) =
            &lambda.params
        else {
            return Err(ExprFault::new(0..0, "a lambda has one parameter, without a type"));
        };
        self.parameters.borrow_mut().push(name.value.clone());
        let body = self.convert(&lambda.body, depth);
        self.parameters.borrow_mut().pop();
        let body = Box::new(body?);
        let span = self.places.range(name.span).start..body.span.end;
        Ok(Expr::new(Node::Lambda(name.value.clone(), body), span))
    }

    fn call(&self, function: &sql::Function, depth: usize) -> Converted {
        let refused = |message: &str, at: &Range<usize>| Err(ExprFault::new(at.clone(), message));
        let [sql::ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
            let name = function.name.to_string();
            return refused(&format!("there is no function `{}`", short(&name)), &(0..0));
        };
        let at = self.places.range(name.span);
        if function.null_treatment.is_some() || !function.within_group.is_empty() {
            return refused("this clause behind a call is not in this version", &at);
        }
        let sql::FunctionArguments::List(list) = &function.args else {
            return refused("a call has its arguments in parentheses", &at);
        };
        if !list.clauses.is_empty() {
            return refused("clauses among the arguments are not in this version", &at);
        }
        let name = name.value.to_ascii_lowercase();
        let distinct = list.duplicate_treatment == Some(sql::DuplicateTreatment::Distinct);
        let mut call = Call { name, args: Vec::new(), distinct, star: false, filter: None, over: None };
        for arg in &list.args {
            match arg {
                sql::FunctionArg::Unnamed(sql::FunctionArgExpr::Expr(arg)) => {
                    call.args.push(match arg {
                        sql::Expr::Lambda(lambda) => self.lambda(lambda, depth + 1)?,
                        arg => self.convert(arg, depth)?,
                    });
                }
                sql::FunctionArg::Unnamed(sql::FunctionArgExpr::Wildcard) => call.star = true,
                _ => return refused("arguments are given by place, without names", &at),
            }
        }
        if call.star && (distinct || !call.args.is_empty()) {
            return refused("`*` stands alone in a call", &at);
        }
        let last = call.args.last().map_or(at.end, |last| last.span.end);
        let mut end = self.text[last..].find(')').map_or(last, |close| last + close + 1);
        if let Some(filter) = &function.filter {
            let filter = self.convert(filter, depth)?;
            end = self.closed(filter.span.end);
            call.filter = Some(Box::new(filter));
        }
        if let Some(window) = &function.over {
            let key = self.over(window, &at, depth)?;
            let behind = key.last().map_or(end, |last| last.span.end);
            end = self.text[behind..].find(')').map_or(behind, |close| behind + close + 1);
            call.over = Some(key);
        }
        Ok(Expr::new(Node::Call(call), at.start..end))
    }

    /// The key of `OVER (PARTITION BY …)`.
    fn over(
        &self,
        window: &sql::WindowType,
        at: &Range<usize>,
        depth: usize,
    ) -> Result<Vec<Expr>, ExprFault> {
        let refused = |message: &str, hint: &str| Err(ExprFault::new(at.clone(), message).hint(hint));
        let spec = match window {
            sql::WindowType::WindowSpec(spec) if spec.window_name.is_none() => spec,
            _ => return refused("there are no named windows", "write `OVER (PARTITION BY key)`"),
        };
        if !spec.order_by.is_empty() {
            let hint = "events of a key come in order of event time, or of arrival with `ordered: false`";
            return refused("OVER takes no ORDER BY", hint);
        }
        if spec.window_frame.is_some() {
            let hint = "it is over all events of the key so far; `running_avg(x, n)` is over the last `n`";
            return refused("OVER takes no frame", hint);
        }
        self.all(&spec.partition_by, depth)
    }
}

/// An integer, or a float where it has a point or exponent or does not fit.
fn number(digits: &str, span: &Range<usize>) -> Result<Literal, ExprFault> {
    if let Ok(n) = digits.parse::<i64>() {
        return Ok(Literal::Int(n));
    }
    match digits.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(Literal::Float(x)),
        _ => Err(ExprFault::new(span.clone(), format!("`{}` is not a number that fits", short(digits)))),
    }
}

fn too_deep() -> ExprFault {
    ExprFault::new(0..0, format!("the expression is nested deeper than {MAX_DEPTH} levels"))
}

/// The beginning of a long text.
fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
