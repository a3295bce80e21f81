//! Walks through a script as Lua's own parser does, with its scopes, and notes what becomes of events.

mod expressions;

use super::lexer::{Token, tokens};
use super::notes::{Flow, Notes, Var};

/// Blocks, functions and expressions may be nested so deep; Lua allows 200.
const MOST_NESTED: u32 = 200;

/// A text that is no Lua as far as this knows: the line.
pub(super) struct Misread(pub(super) u32);

type Read<T> = Result<T, Misread>;

/// Notes all of a script.
pub(super) fn walk(text: &str, notes: &mut Notes) -> Read<()> {
    let tokens = tokens(text).map_err(|unreadable| Misread(unreadable.0))?;
    let mut parser = Parser { tokens, at: 0, nested: 0, notes };
    parser.block()?;
    if parser.peek() == &Token::End { Ok(()) } else { Err(parser.misread()) }
}

/// What a chain such as `a.b[c]` is, as far as it was read.
enum Chain {
    /// A name.
    Name(String, Var),
    /// An event that is an element of a list of events.
    Element,
    /// A field of an event.
    Field(usize),
    /// Something inside of a field of an event.
    Inside(usize),
    /// Something inside of something else.
    Index,
    /// What a call gives.
    Call,
    /// What stands in parentheses.
    Value(Flow),
}

struct Parser<'a> {
    tokens: Vec<(Token, u32)>,
    at: usize,
    nested: u32,
    notes: &'a mut Notes,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn ahead(&self, by: usize) -> &Token {
        &self.tokens[(self.at + by).min(self.tokens.len() - 1)].0
    }

    fn line(&self) -> u32 {
        self.tokens[self.at].1
    }

    fn misread(&self) -> Misread {
        Misread(self.line())
    }

    fn next(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        self.notes.line = self.line();
    }

    fn is(&self, sign: &'static str) -> bool {
        *self.peek() == Token::Sign(sign)
    }

    fn accept(&mut self, sign: &'static str) -> bool {
        let is = self.is(sign);
        if is {
            self.next();
        }
        is
    }

    fn skip(&mut self, sign: &'static str) -> Read<()> {
        if self.accept(sign) { Ok(()) } else { Err(self.misread()) }
    }

    fn name(&mut self) -> Read<String> {
        let Token::Name(name) = self.peek() else { return Err(self.misread()) };
        let name = name.clone();
        self.next();
        Ok(name)
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.nested += 1;
        if self.nested > MOST_NESTED {
            return Err(self.misread());
        }
        let found = read(self);
        self.nested -= 1;
        found
    }

    fn block(&mut self) -> Read<()> {
        let mark = self.notes.mark();
        self.open_block()?;
        self.notes.forget(mark);
        Ok(())
    }

    /// A block whose locals are still known behind it.
    fn open_block(&mut self) -> Read<()> {
        self.deeper(|parser| {
            loop {
                match parser.peek() {
                    Token::End | Token::Sign("end" | "else" | "elseif" | "until") => return Ok(()),
                    Token::Sign("return") => return parser.returns(),
                    _ => parser.statement()?,
                }
            }
        })
    }

    /// A block inside of a statement.
    fn inner_block(&mut self) -> Read<()> {
        self.notes.inner(true);
        self.block()?;
        self.notes.inner(false);
        Ok(())
    }

    fn returns(&mut self) -> Read<()> {
        let line = self.line();
        self.next();
        let mut flows = Vec::new();
        if !matches!(self.peek(), Token::End | Token::Sign(";" | "end" | "else" | "elseif" | "until")) {
            flows = self.expressions()?;
        }
        self.accept(";");
        self.notes.returned(&flows, line);
        Ok(())
    }

    fn statement(&mut self) -> Read<()> {
        match self.peek() {
            Token::Sign(";") => self.next(),
            Token::Sign("if") => return self.conditional(),
            Token::Sign("while") => {
                self.next();
                self.expression()?;
                self.skip("do")?;
                self.inner_block()?;
                return self.skip("end");
            }
            Token::Sign("do") => {
                self.next();
                self.inner_block()?;
                return self.skip("end");
            }
            Token::Sign("for") => return self.loops(),
            Token::Sign("repeat") => return self.repeats(),
            Token::Sign("function") => return self.defines(),
            Token::Sign("local") => return self.declares(),
            Token::Sign("::") => {
                self.next();
                self.name()?;
                return self.skip("::");
            }
            Token::Sign("break") => self.next(),
            Token::Sign("goto") => {
                self.next();
                self.name()?;
                self.notes.jumps();
            }
            _ => return self.assigns_or_calls(),
        }
        Ok(())
    }

    fn conditional(&mut self) -> Read<()> {
        loop {
            self.next();
            self.expression()?;
            self.skip("then")?;
            self.inner_block()?;
            if !self.is("elseif") {
                break;
            }
        }
        if self.accept("else") {
            self.inner_block()?;
        }
        self.skip("end")
    }

    fn repeats(&mut self) -> Read<()> {
        self.next();
        self.notes.inner(true);
        let mark = self.notes.mark();
        self.open_block()?;
        self.skip("until")?;
        self.expression()?;
        self.notes.forget(mark);
        self.notes.inner(false);
        Ok(())
    }

    fn loops(&mut self) -> Read<()> {
        self.next();
        let mut names = vec![self.name()?];
        while self.accept(",") {
            names.push(self.name()?);
        }
        let mut element = Var::Plain;
        if names.len() == 1 && self.accept("=") {
            // Numbers, or a fault.
            self.expressions()?;
        } else {
            self.skip("in")?;
            if self.is_over_events() {
                self.notes.trust("ipairs");
                element = self.notes.event_here();
                (0..4).for_each(|_| self.next());
            } else {
                let flows = self.expressions()?;
                self.notes.consume(&flows, "is gone through");
            }
        }
        self.skip("do")?;
        let mark = self.notes.mark();
        for (i, name) in names.into_iter().enumerate() {
            self.notes.declare(name, if i == 1 { element } else { Var::Plain });
        }
        self.inner_block()?;
        self.notes.forget(mark);
        self.skip("end")
    }

    /// Whether `ipairs(events) do` comes next, with the parameter of `process_batch`.
    fn is_over_events(&self) -> bool {
        let Token::Name(list) = self.ahead(2) else { return false };
        *self.peek() == Token::Name("ipairs".to_owned())
            && self.notes.find("ipairs") == Var::Global
            && *self.ahead(1) == Token::Sign("(")
            && *self.ahead(3) == Token::Sign(")")
            && *self.ahead(4) == Token::Sign("do")
            && self.notes.is_list_here(list)
    }

    fn defines(&mut self) -> Read<()> {
        self.next();
        let line = self.line();
        let name = self.name()?;
        let var = self.notes.find(&name);
        let mut is_method = false;
        let is_plain = !matches!(self.peek(), Token::Sign("." | ":"));
        while let Token::Sign("." | ":") = self.peek() {
            is_method |= self.is(":");
            self.next();
            self.name()?;
        }
        if !is_plain {
            self.notes.named(&name, var);
            self.notes.changes_inside(var);
            return self.body(is_method, None);
        }
        let entry = self.notes.assigns_name(&name, var, true, line);
        self.body(false, entry)
    }

    /// Parameters and block of a function. `entry`: what its first parameter is, for one that is given events.
    fn body(&mut self, is_method: bool, entry: Option<&'static str>) -> Read<()> {
        self.skip("(")?;
        let mark = self.notes.mark();
        self.notes.enter(entry);
        if is_method {
            self.notes.declare("self".to_owned(), Var::Plain);
        }
        let mut is_first = true;
        while !self.is(")") {
            if self.accept("...") {
                if is_first {
                    self.notes.takes_any(entry);
                }
                break;
            }
            let name = self.name()?;
            let var = if is_first { self.notes.parameter(entry) } else { Var::Plain };
            self.notes.declare(name, var);
            is_first = false;
            if !self.accept(",") {
                break;
            }
            if self.is(")") {
                return Err(self.misread());
            }
        }
        self.skip(")")?;
        self.block()?;
        self.notes.leave();
        self.notes.forget(mark);
        self.skip("end")
    }

    fn declares(&mut self) -> Read<()> {
        self.next();
        if self.accept("function") {
            let name = self.name()?;
            self.notes.declare(name, Var::Plain);
            return self.body(false, None);
        }
        let mut names = Vec::new();
        loop {
            names.push(self.name()?);
            if self.accept("<") {
                self.name()?;
                self.skip(">")?;
            }
            if !self.accept(",") {
                break;
            }
        }
        if self.accept("=") {
            let flows = self.expressions()?;
            self.notes.consume(&flows, "is given another name");
        }
        names.into_iter().for_each(|name| self.notes.declare(name, Var::Plain));
        Ok(())
    }

    fn assigns_or_calls(&mut self) -> Read<()> {
        let line = self.line();
        let first = self.chain()?;
        if !matches!(self.peek(), Token::Sign("=" | ",")) {
            // Anything else than a call is a fault in Lua.
            return if matches!(first, Chain::Call) { Ok(()) } else { Err(self.misread()) };
        }
        let mut targets = vec![first];
        while self.accept(",") {
            targets.push(self.chain()?);
        }
        self.skip("=")?;
        if let ([Chain::Name(name, var)], Token::Sign("function")) = (targets.as_slice(), self.peek()) {
            let line = self.line();
            let entry = self.notes.assigns_name(name, *var, true, line);
            self.next();
            self.body(false, entry)?;
            return if matches!(self.peek(), Token::Sign("," | "and" | "or")) {
                Err(self.misread())
            } else {
                Ok(())
            };
        }
        let flows = self.expressions()?;
        self.notes.consume(&flows, "is stored");
        for target in targets {
            match target {
                Chain::Name(name, var) => drop(self.notes.assigns_name(&name, var, false, line)),
                Chain::Field(field) => self.notes.writes(field),
                Chain::Inside(field) => {
                    self.notes.reads(field);
                    self.notes.writes_inside(field);
                }
                Chain::Index => self.notes.changes_inside(Var::Plain),
                Chain::Element => self.notes.whole(line, "an element of the list is replaced"),
                Chain::Call | Chain::Value(_) => return Err(self.misread()),
            }
        }
        Ok(())
    }
}
