//! Expressions: what they may give, and what becomes of events in them.

use super::{Chain, Flow, Parser, Read, Token, Var};

impl Parser<'_> {
    pub(super) fn chain(&mut self) -> Read<Chain> {
        let mut chain = if self.accept("(") {
            let flow = self.expression()?;
            self.skip(")")?;
            Chain::Value(flow)
        } else {
            let name = self.name()?;
            let var = self.notes.find(&name);
            self.notes.named(&name, var);
            Chain::Name(name, var)
        };
        loop {
            chain = match self.peek() {
                Token::Sign(".") => {
                    self.next();
                    let name = self.name()?;
                    self.member(chain, Some(name))
                }
                Token::Sign("[") => {
                    self.next();
                    let name = match (self.peek(), self.ahead(1)) {
                        (Token::Text(Some(name)), Token::Sign("]")) => Some(name.clone()),
                        _ => None,
                    };
                    let flow = self.expression()?;
                    self.notes.consume(&[flow], "is used as a key");
                    self.skip("]")?;
                    self.member(chain, name)
                }
                Token::Sign(":") => {
                    self.next();
                    self.name()?;
                    self.receives(&chain);
                    self.call(None)?
                }
                Token::Sign("(" | "{") | Token::Text(_) => {
                    self.receives(&chain);
                    let callee = match &chain {
                        Chain::Name(name, Var::Global) => Some(name.clone()),
                        _ => None,
                    };
                    self.call(callee.as_deref())?
                }
                _ => return Ok(chain),
            };
        }
    }

    /// A member of a chain; without a name it is computed.
    fn member(&mut self, chain: Chain, name: Option<String>) -> Chain {
        match (chain, name) {
            (Chain::Name(_, Var::Event(level)), Some(name)) => Chain::Field(self.notes.field(name, level)),
            (Chain::Element, Some(name)) => {
                let level = self.notes.level();
                Chain::Field(self.notes.field(name, level))
            }
            (Chain::Name(_, Var::List(level)), None) if level == self.notes.level() => Chain::Element,
            (Chain::Name(_, Var::Event(_) | Var::List(_)) | Chain::Element, _) => {
                self.notes.whole_here("a field is named by what is computed");
                Chain::Index
            }
            (Chain::Field(field) | Chain::Inside(field), _) => {
                self.notes.reads(field);
                Chain::Inside(field)
            }
            (Chain::Name(base, Var::Global), name) => {
                self.notes.member(&base, name.as_deref());
                Chain::Index
            }
            (Chain::Value(flow), _) => {
                self.notes.consume(&[flow], "stands in parentheses");
                Chain::Index
            }
            _ => Chain::Index,
        }
    }

    /// What is called, or whose method is.
    fn receives(&mut self, chain: &Chain) {
        match chain {
            Chain::Name(_, Var::Event(_) | Var::List(_)) | Chain::Element => {
                self.notes.whole_here("the event is called");
            }
            // A value of an event has no methods but those of texts.
            Chain::Field(field) | Chain::Inside(field) => self.notes.reads(*field),
            Chain::Value(flow) => self.notes.consume(std::slice::from_ref(flow), "is called"),
            _ => {}
        }
    }

    /// The arguments of a call; `callee` is the name of the global function.
    fn call(&mut self, callee: Option<&str>) -> Read<Chain> {
        let is_emit = callee == Some("emit");
        if let Some(name) = callee {
            self.notes.member(name, None);
        }
        let mut port = Some(None);
        match self.peek() {
            Token::Text(_) => self.next(),
            Token::Sign("{") => {
                let flow = self.expression()?;
                self.notes.consume(&[flow], "is passed on");
            }
            _ => {
                self.skip("(")?;
                let mut flows = Vec::new();
                if !self.is(")") {
                    flows.push(self.expression()?);
                }
                while self.accept(",") {
                    if flows.len() == 1 {
                        port = self.port();
                    }
                    flows.push(self.expression()?);
                }
                self.skip(")")?;
                if is_emit && let Some(first) = flows.first_mut() {
                    self.notes.emits_first(first);
                }
                self.notes.consume(&flows, "is passed on");
            }
        }
        if is_emit {
            self.notes.emits(port);
        }
        Ok(Chain::Call)
    }

    /// The port that an argument names, which comes next: none for `nil`; None if it is computed.
    fn port(&self) -> Option<Option<String>> {
        let is_all = matches!(self.ahead(1), Token::Sign("," | ")"));
        match self.peek() {
            Token::Text(Some(port)) if is_all => Some(Some(port.clone())),
            Token::Sign("nil") if is_all => Some(None),
            _ => None,
        }
    }

    pub(super) fn expressions(&mut self) -> Read<Vec<Flow>> {
        let mut flows = vec![self.expression()?];
        while self.accept(",") {
            flows.push(self.expression()?);
        }
        Ok(flows)
    }

    pub(super) fn expression(&mut self) -> Read<Flow> {
        self.deeper(|parser| parser.operation(0))
    }

    /// Operators that bind more tightly than `limit`.
    fn operation(&mut self, limit: u8) -> Read<Flow> {
        let mut flow = match self.peek() {
            Token::Sign("not" | "-" | "#" | "~") => {
                self.next();
                // What comes of it is no table, and shows nothing of one but whether it is there.
                self.deeper(|parser| parser.operation(UNARY))?;
                Flow::default()
            }
            _ => self.simple()?,
        };
        loop {
            let Token::Sign(sign) = *self.peek() else { return Ok(flow) };
            let Some((_, right)) = binding(sign).filter(|(left, _)| *left > limit) else { return Ok(flow) };
            self.next();
            let second = self.deeper(|parser| parser.operation(right))?;
            flow = match sign {
                // The first is the result only if it is nil or false.
                "and" => second,
                "or" => flow.or(second),
                _ => Flow::default(),
            };
        }
    }

    fn simple(&mut self) -> Read<Flow> {
        match self.peek() {
            Token::Number | Token::Text(_) | Token::Sign("nil" | "true" | "false") => {
                self.next();
                Ok(Flow::default())
            }
            Token::Sign("...") => {
                self.next();
                Ok(Flow::other())
            }
            Token::Sign("{") => self.constructor(),
            Token::Sign("function") => {
                self.next();
                self.body(false, None)?;
                Ok(Flow::other())
            }
            _ => {
                let chain = self.chain()?;
                Ok(self.value(chain))
            }
        }
    }

    fn value(&mut self, chain: Chain) -> Flow {
        match chain {
            Chain::Name(_, Var::Event(level)) => self.notes.event_flow(level),
            Chain::Name(_, Var::List(level)) => self.notes.list_flow(level),
            Chain::Element => self.notes.event_flow(self.notes.level()),
            Chain::Field(field) | Chain::Inside(field) => {
                self.notes.reads(field);
                Flow { fields: vec![field], other: true, ..Flow::default() }
            }
            Chain::Value(flow) => flow,
            Chain::Name(name, Var::Global) => {
                self.notes.member(&name, None);
                self.notes.aliases(&name);
                Flow::other()
            }
            Chain::Name(..) | Chain::Index | Chain::Call => Flow::other(),
        }
    }

    fn constructor(&mut self) -> Read<Flow> {
        self.skip("{")?;
        let mut all = Flow::other();
        while !self.is("}") {
            let is_named = matches!(self.peek(), Token::Name(_)) && *self.ahead(1) == Token::Sign("=");
            if is_named {
                self.next();
                self.next();
                let flow = self.expression()?;
                self.notes.consume(&[flow], "is part of a table");
            } else if self.accept("[") {
                let key = self.expression()?;
                self.skip("]")?;
                self.skip("=")?;
                let flow = self.expression()?;
                self.notes.consume(&[key, flow], "is part of a table");
            } else {
                let flow = self.expression()?;
                all.listed |= flow.event;
                self.notes.consume(&[Flow { event: false, ..flow }], "is part of a table");
            }
            if !self.accept(",") && !self.accept(";") {
                break;
            }
        }
        self.skip("}")?;
        Ok(all)
    }
}

/// How tightly operators of one operand bind.
const UNARY: u8 = 12;

/// How tightly an operator binds what stands left and right of it.
fn binding(sign: &str) -> Option<(u8, u8)> {
    Some(match sign {
        "or" => (1, 1),
        "and" => (2, 2),
        "<" | ">" | "<=" | ">=" | "~=" | "==" => (3, 3),
        "|" => (4, 4),
        "~" => (5, 5),
        "&" => (6, 6),
        "<<" | ">>" => (7, 7),
        ".." => (9, 8),
        "+" | "-" => (10, 10),
        "*" | "/" | "//" | "%" => (11, 11),
        "^" => (14, 13),
        _ => return None,
    })
}
