//! Planning of transforms.

use super::Planning;
use crate::config::{Declaration, Section, read};
use crate::dataflow::{NodeId, Point, Ports, StageId, calls_history};
use crate::transforms::{COMBINABLE, JOIN, LATER, TRANSFORMS};

impl Planning<'_> {
    /// Plans a transform: one operator, or `where`, `set`, `select` and `drop` together.
    pub(super) fn transform(&mut self, id: NodeId, declaration: &Declaration) {
        let names = TRANSFORMS.iter().map(|transform| transform.spec.name);
        let section = declaration.open(names, LATER, self.faults);
        let mut chosen: Vec<usize> =
            (0..TRANSFORMS.len()).filter(|i| section.has(TRANSFORMS[*i].spec.name)).collect();
        if section.has(JOIN) {
            // What stands beside it sees what it gives.
            chosen.reverse();
        }
        let kinds: Vec<&str> = chosen.iter().map(|i| TRANSFORMS[*i].spec.name).collect();
        self.plan.nodes[id.0 as usize].kind = kinds.join(", ");
        if chosen.is_empty() {
            let names: Vec<&'static str> = TRANSFORMS.iter().map(|transform| transform.spec.name).collect();
            section.exactly_one(&names, "operator");
            return;
        }
        let joins = section.has(JOIN);
        if !stand_together(declaration, &section, &chosen, &kinds) {
            return;
        }
        let mut sides = if joins { self.sides(id, &declaration.from) } else { Vec::new() };
        if let Some(rows) = self.entry(id, &declaration.asks) {
            sides.push((declaration.table().unwrap_or_default().to_owned(), rows));
        }
        let entry = if joins { None } else { self.entry(id, &declaration.from) };
        let start = match (&entry, sides.first()) {
            (Some(point), _) | (None, Some((_, point))) => point.clone(),
            (None, None) if joins => self.anything(),
            (None, None) => return,
        };
        let first = self.plan.draft.stages.len();
        let operators = chosen.iter().filter_map(|i| section.get(TRANSFORMS[*i].spec.name));
        let gathers = chosen.iter().any(|i| TRANSFORMS[*i].gathers)
            || operators.into_iter().any(|setting| calls_history(setting.node));
        if (gathers || joins) && self.cannot_forget(declaration, &section, &kinds) {
            return;
        }
        let mut planner = self.planner(id, entry);
        planner.sides = sides;
        planner.ordered = section.optional("ordered", read::boolean);
        planner.read_ttl(&section);
        let orders = !gathers && planner.ordered == Some(true);
        let entry = if orders { planner.gather(&start, &mut [], true) } else { start };
        let mut ports: Option<Ports> = Some(vec![(String::new(), entry)]);
        for i in chosen {
            let Some(setting) = section.get(TRANSFORMS[i].spec.name) else { continue };
            let Some(at) = main_point(&ports) else { break };
            ports = (TRANSFORMS[i].plan)(&mut planner, &at, setting);
        }
        if ports.is_some() {
            planner.judge_ttl(&section);
        }
        let joined = (first..planner.draft.stages.len()).map(|stage| StageId(stage as u16));
        let joined: Vec<StageId> = joined.filter(|stage| planner.draft.is_union(*stage)).collect();
        let (is_ordered, late) = (planner.is_ordered, planner.late.take());
        self.plan.unions.extend(joined.into_iter().map(|stage| (stage, id)));
        if let Some(mut ports) = ports {
            let is_late_read = late.is_some();
            ports.extend(late.map(|late| ("late".to_owned(), late)));
            self.leave(id, ports);
            if is_ordered && !is_late_read {
                self.note_port(id, "late", None);
            }
        }
    }

    /// Whether rows come in that may be taken back, which a node that keeps events cannot do; that is reported.
    fn cannot_forget(&mut self, declaration: &Declaration, section: &Section<'_>, kinds: &[&str]) -> bool {
        let taken_back = self.taken_back(&declaration.from).or_else(|| self.taken_back(&declaration.asks));
        let Some(from) = taken_back else { return false };
        let message = format!("`{from}` takes rows back, and `{}` cannot forget an event", kinds.join(", "));
        section.error(message).hint(format!("write `accumulation: accumulating` at `{from}`"));
        true
    }
}

/// Whether these operators may stand in one node; if not, that is reported.
fn stand_together(
    declaration: &Declaration,
    section: &Section<'_>,
    chosen: &[usize],
    kinds: &[&str],
) -> bool {
    let joins = section.has(JOIN);
    let can = match joins {
        true => kinds == [JOIN, "select"],
        false => chosen.iter().all(|i| *i < COMBINABLE),
    };
    if chosen.len() == 1 || can {
        return true;
    }
    let message = format!("{} has several operators: {}", declaration.what(), kinds.join(", "));
    section.error(message).hint(match joins {
        true => "only `select` may stand beside `join`",
        false => "only `where`, `set`, `select` and `drop` may stand together",
    });
    false
}

fn main_point(ports: &Option<Ports>) -> Option<Point> {
    ports.as_ref()?.first().map(|(_, point)| point.clone())
}
