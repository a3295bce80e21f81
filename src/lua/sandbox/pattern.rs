//! Lua's patterns, with a limit on the work that they may cause.
//!
//! A pattern such as `(.-)(.-)(.-)x` tries every way to divide a text, which takes time that grows with a power of its
//! length. So the matcher counts its steps and gives up at a limit. What patterns mean is said in chapter 6.4.1 of the
//! Lua 5.4 manual.

use std::ffi::CStr;

/// How many captures a pattern may have.
const MAX_CAPTURES: usize = 32;
/// How deeply alternatives may be nested.
const MAX_DEPTH: u32 = 200;

/// Why a match was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The steps are used up.
    Steps,
    /// The pattern is wrong, or too deeply nested.
    Pattern(&'static CStr),
}

/// Whether, and up to where, something matched.
type Found = Result<Option<usize>, Stop>;

/// What a capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// It has begun and not ended.
    Open,
    /// `()`: the place where it stands.
    Place,
    /// So many bytes.
    Length(usize),
}

/// One capture: where it begins, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capture {
    pub start: usize,
    pub extent: Extent,
}

/// One attempt to match a pattern.
pub(super) struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: [Capture; MAX_CAPTURES],
    level: usize,
    depth: u32,
    /// How many steps are left.
    pub steps: u64,
}

impl<'a> Matcher<'a> {
    /// A matcher of a pattern without its anchor.
    pub fn new(subject: &'a [u8], pattern: &'a [u8], steps: u64) -> Matcher<'a> {
        let captures = [Capture { start: 0, extent: Extent::Open }; MAX_CAPTURES];
        Matcher { subject, pattern, captures, level: 0, depth: 0, steps }
    }

    /// Where a match that begins at `start` ends.
    pub fn at(&mut self, start: usize) -> Found {
        (self.level, self.depth) = (0, 0);
        self.run(start, 0)
    }

    /// The first match at or behind `start`: where it begins and ends.
    pub fn search(&mut self, start: usize, anchored: bool) -> Result<Option<(usize, usize)>, Stop> {
        for start in start..=self.subject.len() {
            if let Some(end) = self.at(start)? {
                return Ok(Some((start, end)));
            }
            if anchored {
                break;
            }
        }
        Ok(None)
    }

    /// The captures of the match.
    pub fn captures(&self) -> &[Capture] {
        &self.captures[..self.level]
    }

    fn spend(&mut self, steps: usize) -> Result<(), Stop> {
        self.steps = self.steps.checked_sub(steps as u64).ok_or(Stop::Steps)?;
        Ok(())
    }

    /// The same, one level deeper.
    fn nested(&mut self, at: usize, item: usize) -> Found {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::Pattern(c"pattern too complex"));
        }
        self.depth += 1;
        let found = self.run(at, item);
        self.depth -= 1;
        found
    }

    /// Matches the pattern from `item` on with the subject from `at` on.
    fn run(&mut self, mut at: usize, mut item: usize) -> Found {
        loop {
            self.spend(1)?;
            let next = self.pattern.get(item + 1).copied();
            match self.pattern.get(item) {
                None => return Ok(Some(at)),
                Some(b'(') if next == Some(b')') => return self.open(at, item + 2, Extent::Place),
                Some(b'(') => return self.open(at, item + 1, Extent::Open),
                Some(b')') => return self.close(at, item + 1),
                Some(b'$') if next.is_none() => return Ok((at == self.subject.len()).then_some(at)),
                Some(b'%') if next == Some(b'b') => match self.balanced(at, item + 2)? {
                    Some(end) => (at, item) = (end, item + 4),
                    None => return Ok(None),
                },
                Some(b'%') if next == Some(b'f') => match self.frontier(at, item + 2)? {
                    Some(behind) => item = behind,
                    None => return Ok(None),
                },
                Some(b'%') if next.is_some_and(|byte| byte.is_ascii_digit()) => {
                    match self.again(at, next.unwrap_or(b'0'))? {
                        Some(end) => (at, item) = (end, item + 2),
                        None => return Ok(None),
                    }
                }
                Some(_) => match self.single(at, item)? {
                    Next::Go(to, behind) => (at, item) = (to, behind),
                    Next::Done(found) => return Ok(found),
                },
            }
        }
    }

    /// A class of one byte with what may stand behind it: `?`, `+`, `*`, `-`.
    fn single(&mut self, at: usize, item: usize) -> Result<Next, Stop> {
        let end = self.class_end(item)?;
        let fits = self.fits(at, item, end)?;
        match self.pattern.get(end) {
            Some(b'?') => {
                if fits && let Some(found) = self.nested(at + 1, end + 1)? {
                    return Ok(Next::Done(Some(found)));
                }
                Ok(Next::Go(at, end + 1))
            }
            Some(b'+') if fits => self.most(at + 1, item, end).map(Next::Done),
            Some(b'*') => self.most(at, item, end).map(Next::Done),
            Some(b'-') => self.least(at, item, end).map(Next::Done),
            Some(b'+') => Ok(Next::Done(None)),
            _ if fits => Ok(Next::Go(at + 1, end)),
            _ => Ok(Next::Done(None)),
        }
    }

    /// As many as possible, then fewer.
    fn most(&mut self, at: usize, item: usize, end: usize) -> Found {
        let mut count = 0;
        while self.fits(at + count, item, end)? {
            count += 1;
        }
        loop {
            if let Some(found) = self.nested(at + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// As few as possible, then more.
    fn least(&mut self, mut at: usize, item: usize, end: usize) -> Found {
        loop {
            if let Some(found) = self.nested(at, end + 1)? {
                return Ok(Some(found));
            }
            if !self.fits(at, item, end)? {
                return Ok(None);
            }
            at += 1;
        }
    }

    fn open(&mut self, at: usize, item: usize, extent: Extent) -> Found {
        if self.level >= MAX_CAPTURES {
            return Err(Stop::Pattern(c"too many captures"));
        }
        self.captures[self.level] = Capture { start: at, extent };
        self.level += 1;
        let found = self.nested(at, item)?;
        if found.is_none() {
            self.level -= 1;
        }
        Ok(found)
    }

    fn close(&mut self, at: usize, item: usize) -> Found {
        let open = (0..self.level).rev().find(|index| self.captures[*index].extent == Extent::Open);
        let open = open.ok_or(Stop::Pattern(c"invalid pattern capture"))?;
        self.captures[open].extent = Extent::Length(at - self.captures[open].start);
        let found = self.nested(at, item)?;
        if found.is_none() {
            self.captures[open].extent = Extent::Open;
        }
        Ok(found)
    }

    /// `%b()`: from one byte to the other that belongs to it.
    fn balanced(&mut self, at: usize, item: usize) -> Found {
        let Some(&[begin, end]) = self.pattern.get(item..item + 2) else {
            return Err(Stop::Pattern(c"malformed pattern (missing arguments to '%b')"));
        };
        if self.subject.get(at) != Some(&begin) {
            return Ok(None);
        }
        let mut open = 1usize;
        for place in at + 1..self.subject.len() {
            self.spend(1)?;
            let byte = self.subject[place];
            if byte == end {
                open -= 1;
                if open == 0 {
                    return Ok(Some(place + 1));
                }
            } else if byte == begin {
                open += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`: a place where the set begins to fit. Gives where the pattern goes on.
    fn frontier(&mut self, at: usize, item: usize) -> Found {
        if self.pattern.get(item) != Some(&b'[') {
            return Err(Stop::Pattern(c"missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(item)?;
        self.spend(2 * (end - item))?;
        let before = at.checked_sub(1).map_or(0, |place| self.subject[place]);
        let here = self.subject.get(at).copied().unwrap_or(0);
        Ok((!self.in_set(before, item, end) && self.in_set(here, item, end)).then_some(end))
    }

    /// `%1`: what a capture has captured, again.
    fn again(&mut self, at: usize, digit: u8) -> Found {
        let index = (digit as usize).checked_sub(b'1' as usize);
        let capture = index.and_then(|index| self.captures().get(index)).copied();
        let (start, length) = match capture {
            Some(Capture { start, extent: Extent::Length(length) }) => (start, length),
            // A place is no text, so it does not come again.
            Some(Capture { extent: Extent::Place, .. }) => return Ok(None),
            _ => return Err(Stop::Pattern(c"invalid capture index in pattern")),
        };
        self.spend(length / 8)?;
        let same = self.subject[at..].starts_with(&self.subject[start..start + length]);
        Ok(same.then_some(at + length))
    }

    /// Where the class that begins at `item` ends.
    fn class_end(&self, item: usize) -> Result<usize, Stop> {
        match self.pattern[item] {
            b'%' if item + 1 >= self.pattern.len() => {
                Err(Stop::Pattern(c"malformed pattern (ends with '%')"))
            }
            b'%' => Ok(item + 2),
            b'[' => self.set_end(item + 1),
            _ => Ok(item + 1),
        }
    }

    /// Where a set ends, whose first item is at `item`. A `]` that stands first is an item.
    fn set_end(&self, mut item: usize) -> Result<usize, Stop> {
        let unfinished = Stop::Pattern(c"malformed pattern (missing ']')");
        item += usize::from(self.pattern.get(item) == Some(&b'^'));
        let first = item;
        loop {
            match self.pattern.get(item).ok_or(unfinished)? {
                b']' if item > first => return Ok(item + 1),
                b'%' => item += 2,
                _ => item += 1,
            }
        }
    }

    /// Whether the byte at `at` belongs to the class from `item` to `end`.
    fn fits(&mut self, at: usize, item: usize, end: usize) -> Result<bool, Stop> {
        self.spend(end - item)?;
        let Some(&byte) = self.subject.get(at) else { return Ok(false) };
        Ok(match self.pattern[item] {
            b'.' => true,
            b'%' => is_class(byte, self.pattern[item + 1]),
            b'[' => self.in_set(byte, item, end),
            literal => literal == byte,
        })
    }

    /// Whether a byte belongs to the set from its `[` to behind its `]`.
    fn in_set(&self, byte: u8, item: usize, end: usize) -> bool {
        let mut set = &self.pattern[item + 1..end - 1];
        let negated = set.first() == Some(&b'^');
        set = &set[usize::from(negated)..];
        let mut found = false;
        while let Some((&first, rest)) = set.split_first() {
            set = match (first, rest) {
                (b'%', [class, rest @ ..]) => {
                    found |= is_class(byte, *class);
                    rest
                }
                (low, [b'-', high, rest @ ..]) => {
                    found |= (low..=*high).contains(&byte);
                    rest
                }
                (literal, rest) => {
                    found |= literal == byte;
                    rest
                }
            };
        }
        found != negated
    }
}

/// What a step of the pattern leads to.
enum Next {
    /// On, from this place of the subject and of the pattern.
    Go(usize, usize),
    /// The end of this attempt.
    Done(Option<usize>),
}

/// Whether a byte belongs to a class such as `%d`; upper case means the others. Other letters mean themselves.
fn is_class(byte: u8, class: u8) -> bool {
    let belongs = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return class == byte,
    };
    belongs != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests;
