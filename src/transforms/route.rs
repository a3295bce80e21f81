//! `route`: the first condition that is true decides by which port an event leaves.

use crate::config::{Role, Setting};
use crate::dataflow::{
    ComponentSpec, NodePlanner, Operator, OptionKind, Output, Point, Port, Ports, StartContext, StepPlan,
    TransformSpec,
};
use crate::event::{Batch, Rejects, Row};
use crate::expr::{Expr, Program};

/// The registry entry.
pub const ROUTE: TransformSpec = TransformSpec {
    spec: &ComponentSpec {
        name: "route",
        role: Role::Transform,
        summary: "Sends each event by the port of the first condition that is true, or by `rest`.",
        short: Some(OptionKind::Map(&OptionKind::Expression)),
        options: &[],
        later: &[],
        example: "\
transforms:
  by_heat:
    from: readings
    route: { hot: temp > 80, cold: temp < 0 }
sinks:
  alarms: { from: [by_heat.hot, by_heat.cold], stdout: {} }
  archive: { from: by_heat.rest, file: { path: out/readings.ndjson } }
tests:
  - name: the first that is true wins
    steps:
      - send: { readings: [{ temp: 90 }, { temp: 20 }, { temp: -5 }] }
      - expect: { alarms: [{ temp: 90 }, { temp: -5 }], archive: [{ temp: 20 }] }
",
    },
    plan,
    gathers: false,
};

/// More ways than this are a mistake.
const MOST_WAYS: usize = 200;

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let entries = setting.entries()?;
    if entries.is_empty() || entries.len() > MOST_WAYS {
        setting.error(format!("`route` takes 1 to {MOST_WAYS} conditions, found {}", entries.len()));
        return None;
    }
    let mut at = at.clone();
    let mut conditions: Vec<(Setting<'_>, Expr)> = Vec::new();
    for entry in &entries {
        if ["rest", "rejected"].contains(&entry.name) {
            planner.faults.error(entry.key, format!("the port `{}` is there by itself", entry.name));
            continue;
        }
        conditions.extend(planner.parse(*entry).map(|expr| (*entry, expr)));
    }
    let mut exprs: Vec<_> = conditions.iter_mut().map(|(entry, expr)| (*entry, expr)).collect();
    let good = planner.history(&mut at, &mut exprs);
    let mut ways = Vec::new();
    for (entry, expr) in &conditions {
        if planner.is_ordered && entry.name == "late" {
            planner
                .faults
                .error(entry.key, "the port `late` is there by itself, for events too late to be ordered");
            continue;
        }
        if let Some(program) = planner.condition_of(&at, *entry, expr) {
            ways.push((entry.name.to_owned(), program));
        }
    }
    if !good || ways.len() < entries.len() {
        return None;
    }
    let mut names: Vec<String> = ways.iter().map(|(name, _)| name.clone()).collect();
    names.push("rest".to_owned());
    let step = planner.attach(&at, Box::new(RoutePlan { ways }));
    let point = |i| planner.behind(&at, step, RoutePlan::port(i), at.scope.clone());
    Some(names.into_iter().enumerate().map(|(i, name)| (name, point(i))).collect())
}

/// Ports 1, 2, … for the conditions in order, then one for the rest. Nothing leaves by the main port.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    /// Port name and condition of each way.
    pub ways: Vec<(String, Program)>,
}

impl RoutePlan {
    /// The port of the `i`th way; that of the rest is one further than the last.
    pub fn port(i: usize) -> Port {
        Port(i as u8 + 1)
    }
}

impl StepPlan for RoutePlan {
    fn describe(&self) -> String {
        let names: Vec<&str> = self.ways.iter().map(|(name, _)| name.as_str()).collect();
        format!("route to {}, rest", names.join(", "))
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let programs: Vec<Program> = self.ways.iter().map(|(_, program)| program.clone()).collect();
        let connected = (0..=programs.len()).map(|i| context.is_connected(RoutePlan::port(i))).collect();
        Box::new(Route { programs, connected, taken: Vec::new(), rejects: Rejects::new() })
    }
}

struct Route {
    programs: Vec<Program>,
    connected: Vec<bool>,
    taken: Vec<Row>,
    rejects: Rejects,
}

impl Route {
    fn send(&self, way: usize, rows: &[Row], out: &mut dyn Output) {
        if rows.is_empty() {
            return;
        }
        if self.connected[way] {
            out.pass(RoutePlan::port(way), rows);
        } else {
            out.discard("not_connected", rows.len() as u64);
        }
    }
}

impl Operator for Route {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        for way in 0..self.programs.len() {
            self.taken.clear();
            self.taken.extend_from_slice(rows);
            let first_reject = self.rejects.len();
            self.programs[way].filter(batch, &mut self.taken, out.env(), &mut self.rejects);
            remove(rows, &self.taken);
            let rejected: Vec<Row> = self.rejects[first_reject..].iter().map(|(row, _)| *row).collect();
            remove(rows, &rejected);
            self.send(way, &self.taken, out);
        }
        self.send(self.programs.len(), rows, out);
        rows.clear();
        for (row, reason) in self.rejects.drain(..) {
            out.reject(batch, row, reason);
        }
    }
}

/// Removes `gone` from `rows`; both are in the same order.
fn remove(rows: &mut Vec<Row>, gone: &[Row]) {
    let mut gone = gone.iter().peekable();
    rows.retain(|row| gone.next_if_eq(&row).is_none());
}
