//! The events of libyaml, safe to use.
//!
//! serde_yaml stands on the same parser but hands out neither events nor places (its `Deserializer` only
//! names a place when it fails, and then stops), so this is its own small wrapper: the only unsafe code of
//! the configuration. Every pointer that libyaml hands out is copied from and freed within one call of
//! `next`.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use unsafe_libyaml as unsafe_yaml;

use crate::config::node::Style;

/// A step of the text. Anchors and tags are the texts after `&` and `!`.
#[derive(Debug)]
pub enum Event {
    DocumentStart,
    DocumentEnd,
    Alias(String),
    Scalar { text: String, style: Style, anchor: Option<String>, tag: Option<String> },
    ListStart { style: Style, anchor: Option<String>, tag: Option<String> },
    ListEnd,
    MapStart { style: Style, anchor: Option<String>, tag: Option<String> },
    MapEnd,
}

/// An event and the bytes of the input that it was made of.
#[derive(Debug)]
pub struct Located {
    pub event: Event,
    pub start: usize,
    pub end: usize,
}

/// Why libyaml cannot go on, in its words.
#[derive(Debug)]
pub struct Problem {
    pub text: &'static str,
    pub at: usize,
    /// What it was doing, and since where.
    pub context: Option<(&'static str, usize)>,
}

/// The events of a text, up to its end or the first problem.
pub struct Events<'input> {
    /// Owned, and initialised by libyaml. A raw pointer, since the parser keeps a pointer to itself, which
    /// moving a `Box` would invalidate.
    parser: NonNull<unsafe_yaml::yaml_parser_t>,
    done: bool,
    input: PhantomData<&'input [u8]>,
}

impl<'input> Events<'input> {
    pub fn new(input: &'input str) -> Events<'input> {
        let parser =
            NonNull::from(Box::leak(Box::new(MaybeUninit::<unsafe_yaml::yaml_parser_t>::uninit()))).cast();
        // SAFETY: `initialize` fills the whole struct (it zeroes it first) and aborts where memory is short.
        // `input` outlives `self` by the lifetime, so the parser may point into it.
        unsafe {
            let raw: *mut unsafe_yaml::yaml_parser_t = parser.as_ptr();
            let _always_ok = unsafe_yaml::yaml_parser_initialize(raw);
            unsafe_yaml::yaml_parser_set_encoding(raw, unsafe_yaml::YAML_UTF8_ENCODING);
            unsafe_yaml::yaml_parser_set_input_string(raw, input.as_ptr(), input.len() as u64);
        }
        Events { parser, done: false, input: PhantomData }
    }

    fn problem(&self) -> Problem {
        // SAFETY: the parser is initialised; nothing else uses it while the reference lives;
        // its problem and context are null or static C strings of libyaml.
        unsafe {
            let parser = self.parser.as_ref();
            let text = static_text(parser.problem).unwrap_or("the text cannot be read");
            let at = match parser.error {
                unsafe_yaml::YAML_READER_ERROR => parser.problem_offset,
                _ => parser.problem_mark.index,
            };
            let context = static_text(parser.context);
            let context = context.map(|text| (text, parser.context_mark.index as usize));
            Problem { text, at: at as usize, context }
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Located, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let mut event = MaybeUninit::<unsafe_yaml::yaml_event_t>::uninit();
            // SAFETY: the parser is initialised; `parse` zeroes the event before anything else, so that it is
            // initialised on failure too; on success it owns memory until `event_delete`.
            let (located, ended) = unsafe {
                if unsafe_yaml::yaml_parser_parse(self.parser.as_ptr(), event.as_mut_ptr()).fail {
                    self.done = true;
                    return Some(Err(self.problem()));
                }
                let event = event.assume_init_mut();
                let ended =
                    matches!(event.type_, unsafe_yaml::YAML_STREAM_END_EVENT | unsafe_yaml::YAML_NO_EVENT);
                let located = convert(event);
                unsafe_yaml::yaml_event_delete(event);
                (located, ended)
            };
            self.done = ended;
            if located.is_some() {
                return located.map(Ok);
            }
        }
        None
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised in `new` and deleted only here; the box was leaked in `new` and its type
        // differs only by `MaybeUninit`, which needs no drop.
        unsafe {
            unsafe_yaml::yaml_parser_delete(self.parser.as_ptr());
            drop(Box::from_raw(self.parser.cast::<MaybeUninit<unsafe_yaml::yaml_parser_t>>().as_ptr()));
        }
    }
}

/// # Safety
/// The event must be one that `yaml_parser_parse` filled, not deleted yet.
unsafe fn convert(event: &unsafe_yaml::yaml_event_t) -> Option<Located> {
    // SAFETY: the type says which member of the union is set, and its pointers are null or live C strings.
    let converted = unsafe {
        match event.type_ {
            unsafe_yaml::YAML_DOCUMENT_START_EVENT => Event::DocumentStart,
            unsafe_yaml::YAML_DOCUMENT_END_EVENT => Event::DocumentEnd,
            unsafe_yaml::YAML_ALIAS_EVENT => Event::Alias(owned(event.data.alias.anchor).unwrap_or_default()),
            unsafe_yaml::YAML_SCALAR_EVENT => {
                let scalar = &event.data.scalar;
                let bytes = std::slice::from_raw_parts(scalar.value, scalar.length as usize);
                let text = String::from_utf8_lossy(bytes).into_owned();
                let style = scalar_style(scalar.style);
                Event::Scalar { text, style, anchor: owned(scalar.anchor), tag: owned(scalar.tag) }
            }
            unsafe_yaml::YAML_SEQUENCE_START_EVENT => {
                let list = &event.data.sequence_start;
                let style = if list.style == unsafe_yaml::YAML_FLOW_SEQUENCE_STYLE {
                    Style::Flow
                } else {
                    Style::Block
                };
                Event::ListStart { style, anchor: owned(list.anchor), tag: owned(list.tag) }
            }
            unsafe_yaml::YAML_SEQUENCE_END_EVENT => Event::ListEnd,
            unsafe_yaml::YAML_MAPPING_START_EVENT => {
                let map = &event.data.mapping_start;
                let style = if map.style == unsafe_yaml::YAML_FLOW_MAPPING_STYLE {
                    Style::Flow
                } else {
                    Style::Block
                };
                Event::MapStart { style, anchor: owned(map.anchor), tag: owned(map.tag) }
            }
            unsafe_yaml::YAML_MAPPING_END_EVENT => Event::MapEnd,
            _ => return None,
        }
    };
    let (start, end) = (event.start_mark.index as usize, event.end_mark.index as usize);
    Some(Located { event: converted, start, end })
}

fn scalar_style(style: unsafe_yaml::yaml_scalar_style_t) -> Style {
    match style {
        unsafe_yaml::YAML_SINGLE_QUOTED_SCALAR_STYLE => Style::SingleQuoted,
        unsafe_yaml::YAML_DOUBLE_QUOTED_SCALAR_STYLE => Style::DoubleQuoted,
        unsafe_yaml::YAML_LITERAL_SCALAR_STYLE => Style::Literal,
        unsafe_yaml::YAML_FOLDED_SCALAR_STYLE => Style::Folded,
        _ => Style::Plain,
    }
}

/// # Safety
/// Null, or a C string that is live during the call.
unsafe fn owned(text: *const u8) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text.cast()) };
    Some(text.to_string_lossy().into_owned())
}

/// # Safety
/// Null, or a C string that lives for ever.
unsafe fn static_text(text: *const i8) -> Option<&'static str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    let text: &'static CStr = unsafe { CStr::from_ptr(text.cast()) };
    text.to_str().ok()
}
