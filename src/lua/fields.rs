//! Which fields of an event a script reads and writes.
//!
//! Values that cross into Lua and back cost more than what Lua does with them, so only those cross that a script names.
//! The script is read as Lua reads it (`parser`), and every use of the parameter of `process` is looked at, wherever
//! the scopes of Lua let its name reach. The parameter is a local: nothing but its name leads to the event, as long as
//! the event is never given another name. So it is enough that each use is one of these, and anything else means the
//! whole event ([`Whole`]):
//!
//! - `event.x` and `event["x"]`: the field is read, or written where the target of an assignment is exactly that.
//! - `return event` in `process` itself, alone, behind `and` or `or`, or as an element of a list that is returned.
//! - `emit(event)`, where `emit` is the global that no line gives another value.
//! - An operand of an operator (`not event`, `event == nil`) or a condition: what comes of it is no table.
//! - For `process_batch(events)`: `for _, event in ipairs(events)`, `events[i].x`, `#events`, `return events`.
//!
//! Three things need more care. A *function inside* may outlive the call, so the table is not used again for the next event if
//! one names a field. A *list or map* that a field holds can get a second name, and be changed by that: so wherever the
//! script could change a table that it did not get as an event (an assignment to something indexed, `table.insert`, `rawset`,
//! text that is loaded), each field whose value goes further than an operator counts as written. And `process` must be *the
//! function that was read*: it is defined once, by name, at the top of the script; whoever calls it compares the line
//! that the interpreter knows of it ([`Fields::entries`]). A name that gives all globals (`_G`, `_ENV`) means the whole event.
//!
//! A text that cannot be read means the whole event too; if it is no Lua, the interpreter says so.

mod lexer;
mod notes;
mod parser;

#[cfg(test)]
mod tests;

/// What a script does with events, as far as its text shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Why the whole event is needed; none: the fields are all that it can reach.
    pub whole: Option<Whole>,
    /// The fields that it names, in the order in which it does.
    pub fields: Vec<Field>,
    /// Where `process` and `process_batch` are defined.
    pub entries: Vec<(&'static str, u32)>,
    /// Whether the event itself may be returned or emitted.
    pub returns_event: bool,
    /// Whether one event may be returned, not the list of them.
    pub returns_single: bool,
    /// Whether another table may be returned.
    pub returns_other: bool,
    /// Whether the table may be used again for the next event.
    pub reuse: bool,
    /// Whether it calls `emit`.
    pub emits: bool,
    /// The ports that it names there.
    pub ports: Vec<String>,
    /// Whether it emits by a port that is computed.
    pub computes_port: bool,
    /// Whether it names `state` or `timer`.
    pub keeps: bool,
}

/// A field that a script names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Whether it is read.
    pub read: bool,
    /// Whether it may be written.
    pub written: bool,
    /// Whether it has been written whenever the event is returned.
    pub always: bool,
    /// Whether what it holds may get another name.
    shared: bool,
}

impl Field {
    /// Whether its value must be there when the script begins: one that is written only sometimes stays else as it was.
    pub fn goes_in(&self) -> bool {
        self.read || !self.always
    }
}

/// Why the whole event is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The line of the script, from 1.
    pub line: u32,
    /// The reason.
    pub why: String,
}

impl Fields {
    /// What a script's text says.
    pub fn of(text: &str) -> Fields {
        let mut notes = notes::Notes::new();
        if let Err(misread) = parser::walk(text, &mut notes) {
            notes.whole(misread.0, "the text cannot be read here");
        }
        notes.finish()
    }

    /// Fields whose values must be there when the script begins.
    pub fn reads(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.goes_in())
    }

    /// Fields that it may write.
    pub fn writes(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.written)
    }
}
