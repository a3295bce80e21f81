//! What of an event a sink takes: a list of fields, or a map of names and expressions.

use crate::config::{Setting, read};
use crate::dataflow::{NodePlanner, OptionKind};
use crate::event::Slot;
use crate::expr::{Expr, Type};

/// What [`read_columns`] reads.
pub const COLUMNS: OptionKind =
    OptionKind::Any(&[OptionKind::OneOrList(&OptionKind::Text), OptionKind::Map(&OptionKind::Expression)]);

/// A value that is written under a name.
pub struct Column {
    /// The name.
    pub name: String,
    /// The cell that holds the value.
    pub slot: Slot,
    /// The value's type, as far as it is known.
    pub ty: Type,
    /// The field that it is, where it is nothing but that.
    pub field: Option<String>,
}

/// Reads a list of fields, one field, or a map of names and expressions; values are computed where they are no fields.
/// `is_name` says whether something can be a name; if not, why.
pub fn read_columns(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    is_name: fn(&str) -> Result<(), &'static str>,
) -> Option<Vec<Column>> {
    let is_map = setting.node.entries().is_some();
    let entries = if is_map { setting.entries()? } else { setting.one_or_items() };
    let mut columns: Vec<Column> = Vec::new();
    let mut is_good = true;
    for entry in entries {
        let column = read_column(planner, entry, is_map, is_name);
        if let Some(column) = &column
            && columns.iter().any(|other| other.name == column.name)
        {
            entry.error(format!("`{}` has two values", column.name));
            is_good = false;
        }
        is_good &= column.is_some();
        columns.extend(column);
    }
    is_good.then_some(columns)
}

fn read_column(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    is_map: bool,
    is_name: fn(&str) -> Result<(), &'static str>,
) -> Option<Column> {
    let expr = planner.parse(setting)?;
    let field = field_of(&expr);
    let name = match expr.as_path() {
        _ if is_map => planner.field_name(setting),
        Some(path) => path.name().to_owned(),
        None => {
            let hint = "write a map to name what is computed: `{ name: expression }`";
            setting.error("expected a field").hint(hint);
            return None;
        }
    };
    if let Err(why) = is_name(&name) {
        let place = if is_map { setting.key } else { setting.place() };
        let reported = setting.faults.error(place, format!("`{name}` can be no name there: {why}"));
        if !is_map {
            reported.hint("write a map to give it another one: `{ name: expression }`");
        }
        return None;
    }
    let (slot, ty) = slot_and_type(planner, setting, &expr)?;
    Some(Column { name, slot, ty, field })
}

/// The field that an expression is, where it is nothing but that.
pub fn field_of(expr: &Expr) -> Option<String> {
    let path = expr.as_path().filter(|path| path.rest().is_empty());
    path.map(|path| path.root().to_owned())
}

/// The value of the expression that stands there, or of a usual one in its place: as it is, its cell and its type.
pub fn read_value(
    planner: &mut NodePlanner<'_>,
    setting: Setting<'_>,
    usual: Option<&str>,
) -> Option<(Expr, Slot, Type)> {
    let text = usual.map_or_else(|| Some(read::expression(setting)?.text), Some)?;
    let expr = planner.parse_text(setting, text)?;
    let (slot, ty) = slot_and_type(planner, setting, &expr)?;
    Some((expr, slot, ty))
}

/// The cell that holds a value where events enter the sink, and its type.
fn slot_and_type(planner: &mut NodePlanner<'_>, setting: Setting<'_>, expr: &Expr) -> Option<(Slot, Type)> {
    let mut entry = planner.entry.take()?;
    let ty = planner.type_of(&entry, setting, expr);
    let slot = planner.slot_of(&mut entry, setting, expr, "columns");
    planner.entry = Some(entry);
    Some((slot?, ty?))
}
