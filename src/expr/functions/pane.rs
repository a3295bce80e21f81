//! What windows say of a pane. These are no functions of an event: they stand in a window's `aggregate` and `having` only,
//! where the window knows what they mean.
/// Something that can be asked of a pane; it takes no arguments.
#[derive(Debug)]
pub struct PaneFunction {
    /// Its name.
    pub name: &'static str,
    /// What that is.
    pub summary: &'static str,
    /// How it is called.
    pub example: &'static str,
    /// What that gives, in JSON, for the pane on time of the minute from 60000 to 120000, behind an early one.
    pub result: &'static str,
}

/// All of them.
pub const PANE: &[PaneFunction] = &[
    PaneFunction {
        name: "is_last_pane",
        summary: "Whether the window gives no further pane: its trigger is done with it, or it was given up.",
        example: "is_last_pane()",
        result: "true",
    },
    PaneFunction {
        name: "pane_index",
        summary: "How many panes the window has given before this one.",
        example: "pane_index()",
        result: "1",
    },
    PaneFunction {
        name: "pane_timing",
        summary: "`early`: the watermark has not passed the window's end; `on_time`: the first pane behind that which \
                  holds what came before; `late`: any other.",
        example: "pane_timing()",
        result: "\"on_time\"",
    },
    PaneFunction {
        name: "window_end",
        summary: "Where the window ends, in milliseconds since 1970-01-01 UTC; it holds what is earlier.",
        example: "window_end()",
        result: "120000",
    },
    PaneFunction {
        name: "window_start",
        summary: "Where the window starts, in milliseconds since 1970-01-01 UTC.",
        example: "window_start()",
        result: "60000",
    },
];
