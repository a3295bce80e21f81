//! What a component is, as data: what reads its options, its documentation, the schema and the completions
//! all come from here.

use crate::config::{Keys, Role, Section, Setting};

/// A source, transform, window kind, sink or format, as users know it.
#[derive(Debug)]
pub struct ComponentSpec {
    /// The word that selects it.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// One sentence.
    pub summary: &'static str,
    /// What may stand in place of a map of options: the duration of `tumbling: 1m`.
    pub short: Option<OptionKind>,
    /// The options that it has.
    pub options: &'static [OptionSpec],
    /// Options that the language has and this version has not.
    pub later: &'static [&'static str],
    /// A runnable example, in YAML: a whole pipeline, or its middle. Where it has no `sources`, each node that is read
    /// and not there becomes a source of JSON lines on standard input; where it has no `sinks`, what nobody reads goes
    /// to standard output. The pipeline must be right, and pass the `tests` that it has.
    pub example: &'static str,
}

/// An option of a component.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub kind: OptionKind,
    /// Whether it must be given.
    pub required: bool,
    /// What holds where it is not given, as one would write it.
    pub default: Option<&'static str>,
    /// One sentence.
    pub summary: &'static str,
}

/// What the value of an option is.
#[derive(Clone, Copy, Debug)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// An SQL expression.
    Expression,
    /// A text with `{expr}` in it.
    Template,
    /// The path of a file.
    Path,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `10s`.
    Duration,
    /// `64KiB`.
    Size,
    /// RFC 3339, or milliseconds since the epoch.
    Time,
    /// The name of a format, or one name with its options.
    Format,
    /// The same of what only `parse` reads, too.
    Parser,
    /// When a window gives its result.
    Trigger,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A list.
    List(&'static OptionKind),
    /// One, or a list.
    OneOrList(&'static OptionKind),
    /// A map from names that the user chooses.
    Map(&'static OptionKind),
    /// A map of options.
    Options(&'static [OptionSpec]),
    /// Any of several.
    Any(&'static [OptionKind]),
}

impl OptionSpec {
    /// The key of a node that keeps something for each.
    pub const KEY: OptionSpec = OptionSpec::optional(
        "key",
        OptionKind::Any(&[
            OptionKind::OneOrList(&OptionKind::Text),
            OptionKind::Map(&OptionKind::Expression),
        ]),
        "What keeps events apart: a field, a list of fields, or a map of names and expressions; absent: one key for all.",
    );

    /// An option that must be given.
    pub const fn required(name: &'static str, kind: OptionKind, summary: &'static str) -> OptionSpec {
        OptionSpec { name, kind, required: true, default: None, summary }
    }

    /// An option that is off where it is not given.
    pub const fn optional(name: &'static str, kind: OptionKind, summary: &'static str) -> OptionSpec {
        OptionSpec { name, kind, required: false, default: None, summary }
    }

    /// An option with a default, given as one would write it.
    pub const fn or(
        name: &'static str,
        default: &'static str,
        kind: OptionKind,
        summary: &'static str,
    ) -> OptionSpec {
        OptionSpec { name, kind, required: false, default: Some(default), summary }
    }
}

impl ComponentSpec {
    /// Opens the component's options: reports unknown ones, and those of a later version.
    pub fn open<'a>(&self, setting: Setting<'a>) -> Section<'a> {
        let what = format!("{} `{}`", self.role.noun(), self.name);
        open_options(setting, what, self.options, self.later)
    }
}

/// Opens a map of options, such as [`OptionKind::Options`]. `what` names it in messages.
pub fn open_options<'a>(
    setting: Setting<'a>,
    what: impl Into<String>,
    options: &[OptionSpec],
    later: &[&'static str],
) -> Section<'a> {
    let known: Vec<&'static str> = options.iter().map(|option| option.name).collect();
    setting.section(what, Keys { known: &known, later, hints: &[] })
}

/// A component that was chosen by its name.
pub struct Chosen<'a, C> {
    /// The registry's entry.
    pub component: C,
    /// Its options: what stands under its name, or nothing in the short form.
    pub setting: Setting<'a>,
    /// What stands beside its name.
    pub beside: Option<Section<'a>>,
}

/// The component whose name is a key of the section, which must have exactly one: `file: { path: x }`.
pub fn choose<'a, C: Copy>(
    section: Section<'a>,
    role: Role,
    components: &[C],
    spec: impl Fn(C) -> &'static ComponentSpec,
) -> Option<Chosen<'a, C>> {
    let names: Vec<&'static str> = components.iter().map(|component| spec(*component).name).collect();
    let setting = section.exactly_one(&names, role.selector())?;
    let component = *components.iter().find(|component| spec(**component).name == setting.name)?;
    Some(Chosen { component, setting, beside: Some(section) })
}

/// The component that a setting names, by itself or with its options: `json`, or `{ json: { validate: touched
/// } }`. `beside` are keys that may stand beside the name.
pub fn choose_named<'a, C: Copy>(
    setting: Setting<'a>,
    role: Role,
    components: &[C],
    spec: impl Fn(C) -> &'static ComponentSpec,
    beside: &[&'static str],
    later: &[&'static str],
) -> Option<Chosen<'a, C>> {
    let names: Vec<&'static str> = components.iter().map(|component| spec(*component).name).collect();
    if setting.node.entries().is_some() {
        let known: Vec<&'static str> = names.iter().chain(beside).copied().collect();
        let what = format!("`{}`", setting.name);
        let section = setting.section(what, Keys { known: &known, later, hints: &[] });
        // A name that is unknown was reported as such: that there is none would be said twice.
        let unknown = section.settings().any(|setting| !known.contains(&setting.name));
        if unknown && !section.settings().any(|setting| names.contains(&setting.name)) {
            return None;
        }
        return choose(section, role, components, spec);
    }
    let words: Vec<(&'static str, C)> = names.into_iter().zip(components.iter().copied()).collect();
    let component = crate::config::read::word(&words, later)(setting)?;
    let options = setting.without_value(spec(component).name);
    Some(Chosen { component, setting: options, beside: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Faults, Node, Place, SourceFile, parse, read};

    static JSON: ComponentSpec = ComponentSpec {
        name: "json",
        role: Role::Format,
        summary: "One value a line.",
        short: None,
        options: &[OptionSpec::or(
            "validate",
            "strict",
            OptionKind::Word(&["strict", "touched"]),
            "What is checked.",
        )],
        later: &["timestamps"],
        example: "format: json",
    };
    static REGEX: ComponentSpec = ComponentSpec {
        name: "regex",
        role: Role::Format,
        summary: "Lines by a regular expression.",
        short: Some(OptionKind::Text),
        options: &[],
        later: &[],
        example: "format: { regex: '(?<a>.)' }",
    };
    static FORMATS: [&ComponentSpec; 2] = [&JSON, &REGEX];

    /// What is chosen for `format: <text>`, and what was reported.
    fn chosen(text: &str) -> (Option<Chosen<'static, &'static ComponentSpec>>, String) {
        let file = SourceFile::new("p.yaml", format!("format: {text}").into_bytes()).unwrap();
        // Kept for the rest of the test, so that what is chosen may be returned.
        let faults: &'static Faults = Box::leak(Box::new(Faults::new(file)));
        let node: &'static Node = Box::leak(Box::new(parse(faults).unwrap()));
        let root = Section::open(node, Place::default(), "source `s`", Keys::of(&["format"]), faults);
        let setting = root.get("format").unwrap();
        let chosen = choose_named(setting, Role::Format, &FORMATS, |spec| spec, &["types"], &["cbor"]);
        if let Some(chosen) = &chosen
            && chosen.component.short.is_none()
        {
            let section = chosen.component.open(chosen.setting);
            section.optional("validate", read::word(&[("strict", 0), ("touched", 1)], &[]));
        }
        let said = faults.diagnostics().iter().map(|d| format!("{d}\n").replace("p.yaml:1:", "")).collect();
        (chosen, said)
    }

    #[test]
    fn a_component_is_chosen_by_name_or_with_options() {
        for text in ["json", "{ json: { validate: touched } }", "{ json: }", "{ json: {} }"] {
            let (chosen, said) = chosen(text);
            assert_eq!((chosen.unwrap().component.name, said.as_str()), ("json", ""), "{text}");
        }
        let (chosen, said) = chosen("{ regex: '^x$', types: { a: int } }");
        let chosen = chosen.unwrap();
        assert_eq!((read::text(chosen.setting), said.as_str()), (Some("^x$"), ""));
        assert!(chosen.beside.unwrap().has("types"));
    }

    #[test]
    fn what_cannot_be_chosen_is_said_once() {
        let faults = [
            ("jsn", "9: error: the text `jsn` is nothing that `format` can be\n"),
            ("cbor", "9: error: `cbor` is not in this version\n"),
            ("5", "9: error: the number 5 is nothing that `format` can be\n"),
            ("[json]", "9: error: expected a word for `format`, found a list\n"),
            ("{ jsn: }", "11: error: unknown key `jsn` in `format`\n"),
            ("{ cbor: }", "11: error: `cbor` is not in this version\n"),
            ("{}", "1: error: `format` has no format\n"),
            ("{ types: {} }", "1: error: `format` has no format\n"),
            ("{ json: , regex: x }", "19: error: `format` has two formats: `json` and `regex`\n"),
            ("{ json: { valdate: x } }", "19: error: unknown key `valdate` in format `json`\n"),
            ("{ json: { timestamps: x } }", "19: error: `timestamps` is not in this version\n"),
            ("{ json: 5 }", "17: error: format `json` must be a map, found the number 5\n"),
        ];
        for (text, want) in faults {
            let (_, said) = chosen(text);
            assert_eq!(said, want, "{text}");
        }
    }
}
