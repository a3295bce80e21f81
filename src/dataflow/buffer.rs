//! What a sink may say beside its connector about output that its target does not take yet.

use super::spec::{OptionKind, OptionSpec, open_options};
use crate::config::{Delivery, Section, Setting, read};
use crate::time::Millis;

/// The keys beside a connector that this is about.
pub const DELIVERY_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "delivery",
        OptionKind::Word(&["at_least_once", "exactly_once"]),
        "What holds for every event that comes here; absent: what the pipeline's `options` say.",
    ),
    OptionSpec::optional(
        "buffer",
        OptionKind::Options(BUFFER_OPTIONS),
        "How output waits while the target takes none: on disk where there is a data directory, else in memory.",
    ),
];

const BUFFER_OPTIONS: &[OptionSpec] = &[
    OptionSpec::or("max", "1GiB", OptionKind::Size, "How much may wait."),
    OptionSpec::or(
        "max_age",
        "7d",
        OptionKind::Duration,
        "How long output waits before it is dropped; not under `exactly_once`, where it waits until it is taken.",
    ),
    OptionSpec::or(
        "when_full",
        "block",
        OptionKind::Word(&["block", "drop_oldest", "drop_newest"]),
        "What gives way when there is too much: the sources wait, or what came first or last is dropped. Under \
         `exactly_once` only `block`.",
    ),
    OptionSpec::or(
        "order",
        "oldest_first",
        OptionKind::Word(&["oldest_first", "live_first"]),
        "What goes out first once the target takes output again. `live_first` gives up order within a key, and is not \
         for `exactly_once` nor for input that corrects itself.",
    ),
];

/// How much may wait where nobody says: 1 GiB.
const MAX: u64 = 1 << 30;

/// How long output waits where nobody says: a week.
const MAX_AGE: Millis = Millis(7 * 86_400_000);

/// How output waits while the target takes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The most bytes that wait.
    pub max: u64,
    /// What has waited for longer is dropped; None: nothing is.
    pub max_age: Option<Millis>,
    /// What gives way when there is too much.
    pub when_full: WhenFull,
    /// What goes out first.
    pub order: DrainOrder,
}

/// What gives way when too much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The sources: they are not read until there is room.
    #[default]
    Block,
    /// What has waited longest is dropped.
    DropOldest,
    /// What would come now is dropped.
    DropNewest,
}

/// What goes out first when the target takes output again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrainOrder {
    /// What has waited longest.
    #[default]
    OldestFirst,
    /// What comes now, and what has waited beside it.
    LiveFirst,
}

impl Buffer {
    /// What holds where nothing is said.
    pub fn of(delivery: Delivery) -> Buffer {
        let max_age = (delivery == Delivery::AtLeastOnce).then_some(MAX_AGE);
        Buffer { max: MAX, max_age, when_full: WhenFull::Block, order: DrainOrder::OldestFirst }
    }

    /// Reads `buffer` of a sink. What `delivery` does not allow is reported; so is an order that would put a later
    /// correction before what it corrects, where `revised` names the node whose rows do so.
    pub fn plan(section: &Section<'_>, delivery: Delivery, revised: Option<&str>) -> Buffer {
        let default = Buffer::of(delivery);
        let Some(setting) = section.get("buffer") else { return default };
        let options = open_options(setting, "`buffer`", BUFFER_OPTIONS, &[]);
        let when_full = [
            ("block", WhenFull::Block),
            ("drop_oldest", WhenFull::DropOldest),
            ("drop_newest", WhenFull::DropNewest),
        ];
        let orders = [("oldest_first", DrainOrder::OldestFirst), ("live_first", DrainOrder::LiveFirst)];
        let buffer = Buffer {
            max: options.or("max", default.max, read::positive_size),
            max_age: options.optional("max_age", read::positive_duration).or(default.max_age),
            when_full: options.or("when_full", default.when_full, read::word(&when_full, &[])),
            order: options.or("order", default.order, read::word(&orders, &[])),
        };
        if delivery == Delivery::ExactlyOnce {
            let forbidden = [
                ("max_age", options.has("max_age"), "drops what has waited for long"),
                ("when_full", buffer.when_full != WhenFull::Block, "drops output"),
                ("order", buffer.order == DrainOrder::LiveFirst, "cannot tell what has arrived"),
            ];
            for (name, given, why) in forbidden {
                if let Some(setting) = options.get(name).filter(|_| given) {
                    refuse(setting, why);
                }
            }
        } else if let (DrainOrder::LiveFirst, Some(node), Some(setting)) =
            (buffer.order, revised, options.get("order"))
        {
            let message = format!(
                "`live_first` would put what `{node}` says later before what it corrects: its rows replace earlier ones"
            );
            setting.error(message).hint("leave `order` away: `oldest_first` keeps the order");
        }
        buffer
    }
}

fn refuse(setting: Setting<'_>, why: &str) {
    let value = setting.node.as_written().unwrap_or_default();
    let message = format!("`{}: {value}` {why}, which `exactly_once` does not allow", setting.name);
    setting.error(message).hint("leave it away, or write `delivery: at_least_once` at this sink");
}
