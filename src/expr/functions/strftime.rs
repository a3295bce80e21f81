//! Times as text, by formats in the manner of strftime.

use super::cached::Cached;
use super::context::{Context, Outcome};
use super::convert::{constant_text, short};
use super::spec::{Instance, Made};
use super::time::zone_of;
use crate::event::Value;
use crate::expr::calendar::{self, zoned};
use crate::expr::literal::Literal;
use crate::time;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// `parse_time(s, format[, zone])`.
pub(super) fn parse_time(constants: &[Option<&Literal>]) -> Made {
    prepare(constants)?;
    Ok(Box::new(ParseTime(Cached::default())))
}

/// `format_time(t, format[, zone])`.
pub(super) fn format_time(constants: &[Option<&Literal>]) -> Made {
    prepare(constants)?;
    Ok(Box::new(FormatTime(Cached::default())))
}

/// Checks a constant format and zone. A format that can be written can be read, but for a few fields.
fn prepare(constants: &[Option<&Literal>]) -> Result<(), String> {
    if let Some(format) = constant_text(constants, 1) {
        let epoch = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let written = BrokenDownTime::from(&epoch).to_string(format);
        written.map_err(|error| format!("the format is faulty: {error}"))?;
    }
    constant_text(constants, 2).map_or(Ok(()), calendar::check_zone)
}

struct ParseTime(Cached<TimeZone>);

impl Instance for ParseTime {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let zone = zone_of(context, &mut self.0, args, 2)?;
        let (text, format) = (context.text(args[0]), context.text(args[1]));
        match time::parse_time(format, text, zone) {
            Ok(time) => Ok(Value::timestamp(time.0)),
            Err(_) => {
                Err(format!("'{}' is not a time by the format '{}'", short(text), short(format)).into())
            }
        }
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(ParseTime(Cached::default()))
    }
}

struct FormatTime(Cached<TimeZone>);

impl Instance for FormatTime {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let time = zoned(args[0], zone_of(context, &mut self.0, args, 2)?)?;
        context.write(|batch, out| {
            let written = BrokenDownTime::from(&time).format(batch.text(args[1]), StdFmtWrite(out));
            written.map_err(|error| format!("the format is faulty: {error}").into())
        })
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(FormatTime(Cached::default()))
    }
}
