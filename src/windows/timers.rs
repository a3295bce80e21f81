//! When panes are due. Panes that are due at the same time form a list in the order they came to it.

use super::aggregates::PaneId;
use super::panes::Panes;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// The panes that are due, by time. Each pane is at most once in it; the links are in the panes.
#[derive(Default)]
pub struct Timers {
    lists: BTreeMap<Timestamp, List>,
}

#[derive(Clone, Copy)]
struct List {
    head: PaneId,
    tail: PaneId,
}

const BEFORE: usize = 0;
const BEHIND: usize = 1;

impl Timers {
    /// The earliest time at which something is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.lists.first_key_value().map(|(due, _)| *due)
    }

    /// Adds a pane that is not in the list.
    pub fn add(&mut self, panes: &mut Panes, pane: PaneId, due: Timestamp) {
        panes[pane].due = due;
        panes[pane].beside = [PaneId::EMPTY; 2];
        let list = self.lists.entry(due).or_insert(List { head: pane, tail: pane });
        if list.tail != pane {
            panes[list.tail].beside[BEHIND] = pane;
            panes[pane].beside[BEFORE] = list.tail;
            list.tail = pane;
        }
    }

    /// Takes a pane out.
    pub fn remove(&mut self, panes: &mut Panes, pane: PaneId) {
        let due = panes[pane].due;
        let [before, behind] = panes[pane].beside;
        if before != PaneId::EMPTY {
            panes[before].beside[BEHIND] = behind;
        }
        if behind != PaneId::EMPTY {
            panes[behind].beside[BEFORE] = before;
        }
        if before != PaneId::EMPTY && behind != PaneId::EMPTY {
            return;
        }
        if before == behind {
            self.lists.remove(&due);
        } else if let Some(list) = self.lists.get_mut(&due) {
            if before == PaneId::EMPTY {
                list.head = behind;
            } else {
                list.tail = before;
            }
        }
    }

    /// All panes that are due at some time.
    pub fn all<'a>(&'a self, panes: &'a Panes) -> impl Iterator<Item = PaneId> + 'a {
        let next = |pane: PaneId| Some(pane).filter(|pane| *pane != PaneId::EMPTY);
        let behind = move |pane: &PaneId| next(panes[*pane].beside[BEHIND]);
        self.lists.values().flat_map(move |list| std::iter::successors(next(list.head), behind))
    }

    /// Takes all panes out that are due at the earliest time, in order.
    pub fn take_next(&mut self, panes: &Panes, into: &mut Vec<PaneId>) {
        let Some((_, list)) = self.lists.pop_first() else { return };
        let mut pane = list.head;
        while pane != PaneId::EMPTY {
            into.push(pane);
            pane = panes[pane].beside[BEHIND];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::KeyId;
    use crate::time::{Interval, Random};
    use crate::windows::aggregates::Setup;
    use crate::windows::panes::Pane;

    /// Lists of panes by time, as plain vectors.
    #[test]
    fn panes_come_out_in_the_order_they_went_in() {
        let mut panes = Panes::new(&[], Setup { parts: 1, seed: 0, carry: None });
        let new = |panes: &mut Panes| panes.open(Pane::new(Interval::NOTHING, 0, KeyId(0)));
        let (mut timers, mut model) = (Timers::default(), BTreeMap::<Timestamp, Vec<PaneId>>::new());
        let mut idle: Vec<PaneId> = (0..20).map(|_| new(&mut panes)).collect();
        let mut random = Random::seeded(5);
        for _ in 0..5000 {
            let roll = random.bits();
            match roll % 4 {
                0 | 1 if !idle.is_empty() => {
                    let pane = idle.swap_remove((roll >> 8) as usize % idle.len());
                    let due = Timestamp((roll >> 16) as i64 % 5);
                    timers.add(&mut panes, pane, due);
                    model.entry(due).or_default().push(pane);
                }
                2 if !model.is_empty() => {
                    let due = *model.keys().nth((roll >> 8) as usize % model.len()).expect("in range");
                    let list = model.get_mut(&due).expect("there");
                    let pane = list.remove((roll >> 16) as usize % list.len());
                    model.retain(|_, list| !list.is_empty());
                    timers.remove(&mut panes, pane);
                    idle.push(pane);
                }
                3 if roll >> 8 & 7 == 0 => {
                    let mut taken = Vec::new();
                    timers.take_next(&panes, &mut taken);
                    assert_eq!(taken, model.pop_first().map(|(_, list)| list).unwrap_or_default());
                    idle.extend(taken);
                }
                _ => assert_eq!(timers.next(), model.keys().next().copied()),
            }
        }
    }
}
