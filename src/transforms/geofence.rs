//! `geofence`: says when a key enters a zone, and when it leaves it.

use super::hysteresis::number;
use super::zones::{Zone, ZoneColumns};
use crate::config::{Role, Setting, StateTtl};
use crate::dataflow::{
    Binding, Codec, ColdKeys, ComponentSpec, Copier, KeyedState, MAIN, NodePlanner, Operator, OptionKind,
    OptionSpec, Origin, Output, Point, Ports, Saved, Saving, Scope, Signal, StartContext, StepPlan, TableId,
    TableView, TransformSpec, key_names,
};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};
use crate::event::{Batch, Reason, Row, Slot, Span, Value, decode_value, is_key};
use crate::expr::Type;
use crate::expr::functions::geo;
use crate::time::{Env, Timestamp};

/// The registry entry.
pub const GEOFENCE: TransformSpec = TransformSpec { spec: &SPEC, plan, gathers: true };

const SPEC: ComponentSpec = ComponentSpec {
    name: "geofence",
    role: Role::Transform,
    summary: "Says when a key enters a zone and when it leaves it: the event that does so, with `zone` and `action: enter` or \
              `leave`, once for each zone; what is left comes before what is entered. Zones may overlap. Events count in \
              the order in which they arrive; `ordered: true` puts them in order of time first.",
    short: None,
    options: &[
        OptionSpec::KEY,
        OptionSpec::required(
            "lat",
            OptionKind::Expression,
            "The latitude in degrees; an event without a place counts for nothing.",
        ),
        OptionSpec::required("lon", OptionKind::Expression, "The longitude in degrees."),
        OptionSpec::required(
            "zones",
            OptionKind::Text,
            "The table of zones, read from a file. Its key is one column, the zone's name. Each row has either `polygon`, \
             corners as `geo_within` takes them (`[[lat, lon], …]`), or `geometry`, a Polygon or MultiPolygon of GeoJSON, or \
             a circle: `lat`, `lon` and `radius` in metres. Where the table has changed, a key enters and leaves what has \
             changed at its next event.",
        ),
    ],
    later: &[],
    example: "\
transforms:
  crossings:
    from: positions
    geofence: { key: [truck], lat: pos.lat, lon: pos.lon, zones: zones }
tables:
  zones: { file: { path: data/zones.ndjson }, key: [zone] }
tests:
  - name: in by the gate, which is partly in the yard
    tables:
      zones:
        - { zone: yard, polygon: [[52.50, 13.10], [52.50, 13.20], [52.56, 13.20], [52.56, 13.10]] }
        - { zone: gate, lat: 52.50, lon: 13.15, radius: 500 }
    steps:
      - send: { positions: { truck: t1, pos: { lat: 52.498, lon: 13.15 } } }
      - expect: { out: [{ truck: t1, zone: gate, action: enter }] }
      - send: { positions: { truck: t1, pos: { lat: 52.54, lon: 13.15 } } }
      - expect: { out: [{ zone: gate, action: leave }, { zone: yard, action: enter }] }
        ordered: true
",
};

const ZONE: &str = "zone";
const ACTION: &str = "action";
/// The most zones that a key may be in at a time, as far as what was saved is believed.
const MOST_INSIDE: usize = 1_000_000;

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let section = SPEC.open(setting);
    let (mut at, key) = planner.keyed(at, &section, &[], false)?;
    let lat = section.required("lat", |setting| number(planner, &mut at, &key, setting, "geofence"));
    let lon = section.required("lon", |setting| number(planner, &mut at, &key, setting, "geofence"));
    let zones = section.required("zones", |setting| zones(planner, setting));
    let (lat, lon, (table, columns, ty)) = (lat?, lon?, zones?);
    let name = &planner.draft.tables[usize::from(table.0)].name;
    let text = format!("geofence of {}, {} in {name}", lat.1, lon.1);
    let text = format!("{text}{}", planner.by(&at, &key));
    let stage = planner.draft.stage(Origin::Copied(vec![at.clone()]));
    let zone = planner.draft.slot(stage, ZONE, ty);
    let action = planner.draft.slot(stage, ACTION, Type::TEXT);
    let words = ["leave", "enter"].map(|word| planner.draft.constant(stage, word.as_bytes()));
    let plan = GeofencePlan {
        text,
        names: key_names(&key),
        key: key.iter().map(|field| field.slot).collect(),
        place: [lat, lon],
        table,
        columns,
        zone,
        action,
        words,
        ttl: planner.state_ttl(),
    };
    let step = planner.attach(&at, Box::new(plan));
    planner.draft.emit_to(step, MAIN, stage);
    let scope =
        Scope::origin().with(ZONE, Binding::Slot(zone, ty)).with(ACTION, Binding::Slot(action, Type::TEXT));
    Some(vec![(String::new(), Point { stage, behind: None, scope })])
}

/// Reads the name of the table, and looks whether it holds zones. Tells the type of their names.
fn zones(planner: &mut NodePlanner<'_>, setting: Setting<'_>) -> Option<(TableId, ZoneColumns, Type)> {
    let table = planner.table(setting)?;
    let draft = &mut planner.draft.tables[usize::from(table.0)];
    let name = draft.name.clone();
    let [column] = draft.layout.key() else {
        let reported = setting.error(format!("the key of table `{name}` has several columns"));
        reported.hint("zones are told apart by one column, their name");
        return None;
    };
    let ty = draft.plan.type_of(column);
    let Some(known) = draft.plan.columns() else {
        if draft.plan.fault().is_none() {
            let reported = setting.error(format!("zones cannot be read from table `{name}`"));
            reported.hint("all of them must be at hand: read them from a file");
            return None;
        }
        return Some((table, ZoneColumns::new(&mut draft.layout, &[]), ty));
    };
    let columns = ZoneColumns::new(&mut draft.layout, known);
    if !columns.can_be() {
        let reported = setting.error(format!("table `{name}` has no zones"));
        reported.hint("a zone has a `polygon`, a `geometry`, or `lat`, `lon` and `radius`");
        return None;
    }
    // What cannot be opened is told of elsewhere.
    let rows = draft.plan.open(&draft.layout).ok().and_then(|opened| opened.rows);
    if let Some(Err(why)) = rows.map(|rows| columns.zones(&rows)) {
        setting.error(format!("table `{name}`: {why}"));
        return None;
    }
    Some((table, columns, ty))
}

/// Watches which zones keys are in.
#[derive(Clone, Debug)]
struct GeofencePlan {
    text: String,
    names: String,
    key: Vec<Slot>,
    /// Latitude and longitude, with what they are as written.
    place: [(Slot, String); 2],
    table: TableId,
    columns: ZoneColumns,
    /// Where the name of the zone goes.
    zone: Slot,
    /// Where the word goes.
    action: Slot,
    /// `leave` and `enter` in the arena of every batch behind it.
    words: [Span; 2],
    ttl: StateTtl,
}

impl StepPlan for GeofencePlan {
    fn describe(&self) -> String {
        self.text.clone()
    }

    fn details(&self) -> Vec<String> {
        vec![format!("state: which zones a key is in, as long as there are any{}", self.ttl.words_behind())]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 zones {}", self.names))
    }

    fn spills(&self) -> bool {
        self.ttl.0.is_none()
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Geofence {
            table: context.table(self.table).view(),
            copier: Copier::new(&context.copies(MAIN, 0)),
            keys: KeyedState::durable(self.key.clone(), context.hash_seed, context.durable)
                .forgetting(self.ttl),
            plan: self.clone(),
            zones: Vec::new(),
            inside: Vec::new(),
            watermark: Timestamp::MIN,
        })
    }
}

/// The names of the zones that a key is in, in the order in which it entered them, as keys are written.
type Inside = Vec<Box<[u8]>>;

struct Geofence {
    plan: GeofencePlan,
    table: TableView,
    copier: Copier,
    keys: KeyedState<Inside>,
    /// All zones, as of the last look at the table.
    zones: Vec<Zone>,
    /// Which of them hold the place at hand.
    inside: Vec<usize>,
    watermark: Timestamp,
}

impl Geofence {
    /// Takes up what the table holds now. What is no zone changes nothing.
    fn look(&mut self) {
        if !self.table.look() {
            return;
        }
        match self.table.rows().map(|rows| self.plan.columns.zones(rows)) {
            Some(Ok(zones)) => self.zones = zones,
            Some(Err(why)) => tracing::error!("{}: {why}; the zones that there were stay", self.plan.text),
            None => {}
        }
    }

    fn place(&self, batch: &Batch, row: Row) -> Result<Option<(f64, f64)>, Reason> {
        let [lat, lon] = &self.plan.place;
        let number = |(slot, text): &(Slot, String)| super::threshold::number(batch.get(row, *slot), text);
        let (Some(lat), Some(lon)) = (number(lat)?, number(lon)?) else { return Ok(None) };
        geo::place_of(lat, lon).map(Some).map_err(Reason::expression)
    }

    fn take(&mut self, batch: &Batch, row: Row, out: &mut dyn Output) -> Result<(), Reason> {
        let key = self.keys.meet(batch, row);
        let Some(place) = self.place(batch, row)? else { return Ok(()) };
        let inside = self.zones.iter().enumerate().filter(|(_, zone)| zone.holds(place));
        self.inside.clear();
        self.inside.extend(inside.map(|(number, _)| number));
        let before = key.map_or(&[][..], |key| &self.keys.entry(key).item);
        let is_inside = |name: &[u8]| self.inside.iter().any(|number| *self.zones[*number].name == *name);
        let was_inside = |number: &&usize| before.contains(&self.zones[**number].name);
        if before.len() == self.inside.len() && self.inside.iter().all(|number| was_inside(&number)) {
            return Ok(());
        }
        let (stays, left): (Inside, Inside) = before.iter().cloned().partition(|name| is_inside(name));
        let entered: Inside = self
            .inside
            .iter()
            .filter(|number| !was_inside(number))
            .map(|number| self.zones[*number].name.clone())
            .collect();
        self.watermark = self.watermark.max(batch.watermarks[row.index()]);
        left.iter().for_each(|name| self.say(batch, row, name, false, out));
        entered.iter().for_each(|name| self.say(batch, row, name, true, out));
        let now: Inside = stays.into_iter().chain(entered).collect();
        match key {
            Some(key) if now.is_empty() => self.keys.forget(key),
            Some(key) => *self.keys.item(key) = now,
            None => {
                let key = self.keys.insert(batch, row);
                *self.keys.item(key) = now;
            }
        }
        Ok(())
    }

    fn say(&mut self, batch: &Batch, row: Row, name: &[u8], enters: bool, out: &mut dyn Output) {
        let into = out.emit(MAIN);
        let copy = self.copier.copy(batch, row, self.watermark, into);
        // What was written as a key can be read back.
        let name = decode_value(name, into).map_or(Value::NULL, |(name, _)| name);
        into.set(copy, self.plan.zone, name);
        into.set(copy, self.plan.action, Value::plain_text(self.plan.words[usize::from(enters)]));
    }
}

fn put(inside: &Inside, into: &mut Vec<u8>) {
    put_number(into, inside.len() as u64);
    inside.iter().for_each(|name| put_bytes(into, name));
}

fn take(reader: &mut Reader<'_>) -> Result<Inside, Malformed> {
    let count = reader.count()?.min(MOST_INSIDE);
    (0..count)
        .map(|_| match reader.bytes(u32::MAX as usize)? {
            name if is_key(name, 1) => Ok(name.into()),
            _ => Err(Malformed("no name of a zone")),
        })
        .collect()
}

impl Operator for Geofence {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.look();
        self.keys.read(batch, rows);
        for row in rows.drain(..) {
            let taken = self.take(batch, row, out);
            self.keys.advance();
            if let Err(reason) = taken {
                out.reject(batch, row, reason);
            }
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.keys.reach(watermark);
        }
        out.signal(MAIN, signal);
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.keys.save(into, put);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        self.keys.load(saved, take).map(drop)
    }

    fn unsaved(&mut self) -> usize {
        self.keys.unsaved()
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.keys.spill(cold, Codec::new(put, take));
    }
}
