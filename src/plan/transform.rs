//! Planning of transforms.

use super::Planning;
use crate::config::{Declaration, read};
use crate::dataflow::{NodeId, Point, Ports, calls_history};
use crate::transforms::{COMBINABLE, LATER, TRANSFORMS};

impl Planning<'_> {
    /// Plans a transform: one operator, or `where`, `set`, `select` and `drop` together.
    pub(super) fn transform(&mut self, id: NodeId, declaration: &Declaration) {
        let names = TRANSFORMS.iter().map(|transform| transform.spec.name);
        let section = declaration.open(names, LATER, self.faults);
        let chosen: Vec<usize> =
            (0..TRANSFORMS.len()).filter(|i| section.has(TRANSFORMS[*i].spec.name)).collect();
        let kinds: Vec<&str> = chosen.iter().map(|i| TRANSFORMS[*i].spec.name).collect();
        self.plan.nodes[id.0 as usize].kind = kinds.join(", ");
        if chosen.is_empty() {
            let names: Vec<&'static str> = TRANSFORMS.iter().map(|transform| transform.spec.name).collect();
            section.exactly_one(&names, "operator");
            return;
        }
        if chosen.len() > 1 && chosen.iter().any(|i| *i >= COMBINABLE) {
            let message = format!("{} has several operators: {}", declaration.what(), kinds.join(", "));
            section.error(message).hint("only `where`, `set`, `select` and `drop` may stand together");
            return;
        }
        let Some(entry) = self.entry(id, &declaration.from) else { return };
        let mut planner = self.planner(id, Some(entry.clone()));
        planner.ordered = section.optional("ordered", read::boolean);
        planner.read_ttl(&section);
        let operators = chosen.iter().filter_map(|i| section.get(TRANSFORMS[*i].spec.name));
        let gathers = chosen.iter().any(|i| TRANSFORMS[*i].gathers)
            || operators.into_iter().any(|setting| calls_history(setting.node));
        let orders = !gathers && planner.ordered == Some(true);
        let entry = if orders { planner.gather(&entry, &mut [], true) } else { entry };
        let mut ports: Option<Ports> = Some(vec![(String::new(), entry)]);
        for i in chosen {
            let Some(setting) = section.get(TRANSFORMS[i].spec.name) else { continue };
            let Some(at) = main_point(&ports) else { break };
            ports = (TRANSFORMS[i].plan)(&mut planner, &at, setting);
        }
        if ports.is_some() {
            planner.judge_ttl(&section);
        }
        let (is_ordered, late) = (planner.is_ordered, planner.late.take());
        if let Some(mut ports) = ports {
            let is_late_read = late.is_some();
            ports.extend(late.map(|late| ("late".to_owned(), late)));
            self.leave(id, ports);
            if is_ordered && !is_late_read {
                self.note_port(id, "late", None);
            }
        }
    }
}

fn main_point(ports: &Option<Ports>) -> Option<Point> {
    ports.as_ref()?.first().map(|(_, point)| point.clone())
}
