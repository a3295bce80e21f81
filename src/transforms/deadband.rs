//! Deadbands: by how much a value must move to count as changed.

use crate::config::{Setting, read};
use crate::event::json::write_canonical;
use crate::event::{Batch, Kept, Kind, SpannedKind, Value};

/// By how much a number must move; whatever else must be another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deadband {
    /// At all.
    None,
    /// By more than this.
    Absolute(f64),
    /// By more than this part of the value that it moved from.
    Relative(f64),
}

impl Deadband {
    /// Reads `0.5` or `2%`.
    pub fn read(setting: Setting<'_>) -> Option<Deadband> {
        let hint = "`0.5` is in the unit of the field, `2%` a part of the value that passed last";
        let text = setting.node.scalar().unwrap_or_default().trim();
        if let Some(percent) = text.strip_suffix('%') {
            let number = percent.trim_end().parse::<f64>().ok();
            return match number.filter(|number| number.is_finite() && *number >= 0.0) {
                Some(number) => Some(Deadband::Relative(number / 100.0)),
                None => {
                    setting.wrong("a number or a percentage of at least 0").hint(hint);
                    None
                }
            };
        }
        if text.parse::<f64>().is_err() {
            setting.wrong("a number or a percentage").hint(hint);
            return None;
        }
        read::number(0.0..)(setting).map(Deadband::Absolute)
    }

    /// Whether the value has moved from the kept one. Null is a value of its own; lists and maps are equal if they say the
    /// same, however they are written.
    pub fn is_left(self, last: &Kept, batch: &Batch, value: Value) -> bool {
        match last {
            Kept::Scalar(last) if last.as_number().is_some() && value.as_number().is_some() => {
                self.is_beyond(*last, value)
            }
            Kept::Scalar(last) => {
                last.kind() != value.kind()
                    || last.as_bool() != value.as_bool()
                    || last.as_timestamp() != value.as_timestamp()
            }
            Kept::Spanned { like, bytes } => {
                let (kind, other) = (kind(*like), batch.bytes(value));
                kind != value.kind() || (**bytes != *other && (kind != Kind::Json || differs(bytes, other)))
            }
        }
    }

    fn is_beyond(self, last: Value, value: Value) -> bool {
        let (from, to) = (last.as_number().unwrap_or_default(), value.as_number().unwrap_or_default());
        let moved = match (last.as_int(), value.as_int()) {
            (Some(from), Some(to)) => from.abs_diff(to) as f64,
            _ => (to - from).abs(),
        };
        let band = match self {
            Deadband::None => 0.0,
            Deadband::Absolute(band) => band,
            Deadband::Relative(part) => part * from.abs(),
        };
        if band == 0.0 {
            return moved > 0.0;
        }
        // 21.3 - 21.2 comes out a little above 0.1: what is within the rounding of the values is on the edge.
        let rounding = 4.0 * f64::EPSILON * from.abs().max(to.abs());
        moved > band + rounding
    }
}

/// As one would write it; nothing where there is none.
impl std::fmt::Display for Deadband {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Deadband::None => Ok(()),
            Deadband::Absolute(band) => write!(f, " by more than {band}"),
            // To the digits that a person writes.
            Deadband::Relative(part) => write!(f, " by more than {}%", (part * 1e8).round() / 1e6),
        }
    }
}

fn kind(like: SpannedKind) -> Kind {
    match like {
        SpannedKind::Text | SpannedKind::PlainText => Kind::Text,
        SpannedKind::Bytes => Kind::Bytes,
        SpannedKind::Json => Kind::Json,
    }
}

/// Whether two JSON texts say different things.
fn differs(a: &[u8], b: &[u8]) -> bool {
    let canonical = |text| {
        let mut form = Vec::new();
        write_canonical(text, &mut form);
        form
    };
    canonical(a) != canonical(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_the_edge_have_not_moved() {
        let left = |band: Deadband, from: Value, to: Value| {
            band.is_left(&Kept::Scalar(from), &Batch::new(0, b""), to)
        };
        let float = Value::float;
        for tenth in -50..50 {
            let from = float(f64::from(tenth) / 10.0);
            let to = |by: i32| float(f64::from(tenth + by) / 10.0);
            for (by, moved) in [(0, false), (1, false), (-1, false), (2, true), (-2, true)] {
                assert_eq!(left(Deadband::Absolute(0.1), from, to(by)), moved, "{tenth} {by}");
            }
        }
        let twentieth = Deadband::Relative(0.05);
        let cases = [(100, 105, false), (100, 106, true), (-100, -105, false), (0, 0, false), (0, 1, true)];
        for (from, to, moved) in cases {
            assert_eq!(left(twentieth, Value::int(from), Value::int(to)), moved, "{from} {to}");
            assert_eq!(left(twentieth, Value::int(from), float(to as f64)), moved, "{from} {to}");
        }
        let big = 1i64 << 60;
        assert!(left(Deadband::None, Value::int(big), Value::int(big + 1)));
        assert!(left(Deadband::Absolute(1.0), Value::int(i64::MIN), Value::int(i64::MAX)));
        assert!(left(Deadband::Absolute(1.0), float(f64::MIN), float(f64::MAX)));
        assert!(!left(Deadband::None, Value::int(1), float(1.0)));
    }

    #[test]
    fn other_values_must_be_others() {
        let mut batch = Batch::new(0, b"");
        let mut text = |text: &str| Value::text(batch.store(text.as_bytes()));
        let (a, b, number) = (text("a"), text("b"), text("1"));
        let mut list = |text: &str| Value::json(batch.store(text.as_bytes()));
        let (one, spaced, two) = (list("[1,{\"a\":1,\"b\":2}]"), list("[1, {\"b\":2,\"a\":1}]"), list("[2]"));
        let left =
            |from: Value, to: Value| Deadband::Absolute(100.0).is_left(&Kept::of(&batch, from), &batch, to);
        let values =
            [a, b, number, one, two, Value::NULL, Value::int(1), Value::bool(true), Value::timestamp(1)];
        for (i, from) in values.into_iter().enumerate() {
            for (j, to) in values.into_iter().enumerate() {
                assert_eq!(left(from, to), i != j, "{i} {j}");
            }
        }
        assert!(!left(one, spaced));
        assert!(left(Value::bool(false), Value::bool(true)));
        assert!(left(Value::timestamp(1), Value::timestamp(2)));
    }
}
