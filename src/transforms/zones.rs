//! Zones on the earth, as the rows of a table say them.

use crate::dataflow::{TableLayout, TableRows};
use crate::event::{Batch, Kind, Row, Slot, encode_value, json};
use crate::expr::functions::geo::{self, Polygon};

/// The columns that a zone's shape may stand in.
pub(super) const SHAPES: [&str; 5] = ["polygon", "geometry", "lat", "lon", "radius"];

/// The most rings of one zone.
const MOST_RINGS: usize = 10_000;

/// A zone of a table.
#[derive(Debug)]
pub(super) struct Zone {
    /// Its name, as [`encode_value`] writes it.
    pub(super) name: Box<[u8]>,
    shape: Shape,
    /// The least and the greatest latitude and longitude of the shape.
    low: (f64, f64),
    high: (f64, f64),
}

#[derive(Debug)]
enum Shape {
    /// Polygons, each the outer ring with the holes in it.
    Polygons(Vec<Vec<Polygon>>),
    /// A centre and metres around it.
    Circle((f64, f64), f64),
}

/// Where the columns of zones stand in a table.
#[derive(Clone, Debug)]
pub(super) struct ZoneColumns {
    /// Of [`SHAPES`], those that the table has.
    slots: [Option<Slot>; 5],
}

impl ZoneColumns {
    /// Asks for the columns that there are.
    pub(super) fn new(layout: &mut TableLayout, known: &[String]) -> ZoneColumns {
        let slot = |name: &str| known.iter().any(|known| known == name).then(|| layout.column(name));
        ZoneColumns { slots: SHAPES.map(slot) }
    }

    /// Whether there are columns that can make a shape.
    pub(super) fn can_be(&self) -> bool {
        let [polygon, geometry, circle @ ..] = &self.slots;
        polygon.is_some() || geometry.is_some() || circle.iter().all(Option::is_some)
    }

    /// All zones of a table, in its order.
    ///
    /// # Errors
    /// Which of them has no shape, and why.
    pub(super) fn zones(&self, rows: &TableRows) -> Result<Vec<Zone>, String> {
        rows.rows().map(|row| self.zone(rows.batch(), row)).collect()
    }

    fn zone(&self, batch: &Batch, row: Row) -> Result<Zone, String> {
        let mut name = Vec::new();
        encode_value(batch, batch.get(row, Slot(0)), &mut name);
        let shape = self.shape(batch, row).map_err(|why| format!("the zone in row {}: {why}", row.0 + 1))?;
        let (low, high) = shape.bounds();
        Ok(Zone { name: name.into(), shape, low, high })
    }

    fn shape(&self, batch: &Batch, row: Row) -> Result<Shape, String> {
        let [polygon, geometry, lat, lon, radius] =
            self.slots.map(|slot| slot.map(|slot| batch.get(row, slot)).filter(|value| !value.is_null()));
        let text = |value| match batch.text(value) {
            "" => Err("its shape is no list or map".to_owned()),
            text => Ok(text),
        };
        match (polygon, geometry, lat, lon, radius) {
            (Some(polygon), None, None, None, None) => {
                Ok(Shape::Polygons(vec![vec![geo::polygon(text(polygon)?)?]]))
            }
            (None, Some(geometry), None, None, None) => of_geojson(text(geometry)?).map(Shape::Polygons),
            (None, None, Some(lat), Some(lon), Some(radius)) => {
                let number = |value: crate::event::Value| match value.kind() {
                    Kind::Text => batch.text(value).parse().ok().filter(|number: &f64| number.is_finite()),
                    _ => value.as_number(),
                };
                let (Some(lat), Some(lon), Some(radius)) = (number(lat), number(lon), number(radius)) else {
                    return Err("`lat`, `lon` and `radius` are not all numbers".to_owned());
                };
                if radius <= 0.0 {
                    return Err("`radius` is not above 0".to_owned());
                }
                Ok(Shape::Circle(geo::place_of(lat, lon)?, radius))
            }
            _ => Err("it needs either `polygon`, or `geometry`, or `lat`, `lon` and `radius`".to_owned()),
        }
    }
}

/// Reads a geometry of GeoJSON (RFC 7946): a `Polygon` or a `MultiPolygon`. Its places are longitude before latitude.
fn of_geojson(text: &str) -> Result<Vec<Vec<Polygon>>, String> {
    let none = || "`geometry` is no Polygon or MultiPolygon of GeoJSON".to_owned();
    let text = text.trim().as_bytes();
    json::validate(text).map_err(|_| none())?;
    let member = |name: &str| json::entries(text).find(|(key, _)| key == name).map(|(_, value)| value);
    let coordinates = member("coordinates").ok_or_else(none)?;
    let polygons: Vec<&[u8]> = match member("type") {
        Some(b"\"Polygon\"") => vec![coordinates],
        Some(b"\"MultiPolygon\"") => json::elements(coordinates).collect(),
        _ => return Err(none()),
    };
    let mut rings = 0;
    let polygons = polygons.into_iter().map(|polygon| {
        let all: Vec<Polygon> = json::elements(polygon).map(ring).collect::<Result<_, _>>()?;
        rings += all.len();
        if all.is_empty() { Err(none()) } else { Ok(all) }
    });
    let polygons: Vec<Vec<Polygon>> = polygons.collect::<Result<_, _>>()?;
    match polygons.is_empty() || rings > MOST_RINGS {
        true => Err(none()),
        false => Ok(polygons),
    }
}

fn ring(text: &[u8]) -> Result<Polygon, String> {
    let corners = geo_corners(text)?;
    if corners.len() < 3 {
        Err("a ring of `geometry` has fewer than 3 corners".to_owned())
    } else {
        Ok(corners)
    }
}

/// Further numbers of a place, such as its height, are allowed and mean nothing here.
fn geo_corners(text: &[u8]) -> Result<Polygon, String> {
    let corners = json::elements(text).map(|corner| {
        let mut numbers = json::elements(corner).map(|raw| match raw.first() {
            Some(b'-' | b'0'..=b'9') => json::number(raw).ok().and_then(crate::event::Value::as_number),
            _ => None,
        });
        let (Some(Some(lon)), Some(Some(lat))) = (numbers.next(), numbers.next()) else {
            return Err("a corner of `geometry` is not `[lon, lat]`".to_owned());
        };
        Ok(geo::place_of(lat, lon)?)
    });
    corners.collect()
}

impl Shape {
    fn bounds(&self) -> ((f64, f64), (f64, f64)) {
        match self {
            Shape::Polygons(polygons) => {
                let corners = polygons.iter().flat_map(|rings| &rings[0]);
                let start = ((90.0, 180.0), (-90.0, -180.0));
                corners.fold(start, |(low, high): ((f64, f64), (f64, f64)), &(lat, lon)| {
                    ((low.0.min(lat), low.1.min(lon)), (high.0.max(lat), high.1.max(lon)))
                })
            }
            // A degree of latitude is 111.2 km everywhere; one of longitude depends, so that is left open.
            Shape::Circle((lat, _), radius) => {
                let degrees = radius / 111_000.0;
                ((lat - degrees, -180.0), (lat + degrees, 180.0))
            }
        }
    }
}

/// How far beyond the bounds of a polygon a place may be and is yet on its edge; see `geo_within`.
const ON_EDGE: f64 = 1e-9;

impl Zone {
    /// Whether a place is inside or on the edge; on the edge of a hole it is not.
    #[inline]
    pub(super) fn holds(&self, place: (f64, f64)) -> bool {
        let between = |x: f64, low: f64, high: f64| x >= low - ON_EDGE && x <= high + ON_EDGE;
        if !between(place.0, self.low.0, self.high.0) || !between(place.1, self.low.1, self.high.1) {
            return false;
        }
        match &self.shape {
            Shape::Polygons(polygons) => polygons.iter().any(|rings| {
                let (outer, holes) = (&rings[0], &rings[1..]);
                geo::within(place, outer) && !holes.iter().any(|hole| geo::within(place, hole))
            }),
            Shape::Circle(centre, radius) => geo::distance(*centre, place) <= *radius,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::{formats, read_rows};

    fn zones(lines: &str) -> Result<Vec<Zone>, String> {
        let mut layout = TableLayout { columns: vec!["zone".to_owned()], key: 1 };
        let columns = ZoneColumns::new(&mut layout, &SHAPES.map(str::to_owned));
        assert!(columns.can_be());
        columns.zones(&read_rows(&*formats::json(), &layout, lines.as_bytes().to_vec()).expect("rows"))
    }

    #[test]
    fn shapes_hold_what_is_inside() {
        let zones = zones(
            r#"{"zone":"a","polygon":[[50,10],[50,12],[52,12],[52,10]]}
{"zone":"b","geometry":{"type":"Polygon","coordinates":[[[10,50],[12,50],[12,52],[10,52],[10,50]],[[10.5,50.5],[11,50.5],[11,51],[10.5,51]]]}}
{"zone":"c","geometry":{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1,30],[0,1]]],[[[5,5],[6,5],[6,6],[5,6]]]]}}
{"zone":"d","lat":0,"lon":"179.999","radius":1000}
{"zone":"e","polygon":"[[50,10],[50,12],[52,12],[52,10]]"}"#,
        )
        .expect("zones");
        let of = |lat, lon| -> String {
            let inside = zones.iter().filter(|zone| zone.holds((lat, lon)));
            inside.map(|zone| zone.name[5] as char).collect()
        };
        assert_eq!(of(51.5, 11.5), "abe");
        assert_eq!(of(50.7, 10.7), "ae", "in the hole of b");
        assert_eq!(of(50.0, 10.0), "abe", "a corner");
        assert_eq!(of(0.5, 0.5), "c");
        assert_eq!(of(5.5, 5.5), "c");
        assert_eq!(of(3.0, 3.0), "");
        assert_eq!(of(0.005, -179.9999), "d", "across longitude 180");
        assert_eq!(of(0.0095, 179.999), "");
    }

    #[test]
    fn what_has_no_shape_is_told_of() {
        let wrong = [
            (r#"{"zone":"a"}"#, "needs either"),
            (r#"{"zone":"a","lat":1,"lon":2}"#, "needs either"),
            (r#"{"zone":"a","lat":1,"lon":2,"radius":0}"#, "not above 0"),
            (r#"{"zone":"a","lat":91,"lon":2,"radius":1}"#, "latitude"),
            (r#"{"zone":"a","lat":"x","lon":2,"radius":1}"#, "not all numbers"),
            (r#"{"zone":"a","polygon":[[1,2],[2,3]]}"#, "fewer than 3"),
            (r#"{"zone":"a","polygon":7}"#, "no list or map"),
            (r#"{"zone":"a","geometry":{"type":"Point","coordinates":[1,2]}}"#, "no Polygon"),
            (
                r#"{"zone":"a","geometry":{"type":"Polygon","coordinates":[[[1,2],[1,"x"],[3,3]]]}}"#,
                "not `[lon, lat]`",
            ),
            (r#"{"zone":"a","geometry":{"type":"Polygon","coordinates":[]}}"#, "no Polygon"),
        ];
        for (line, said) in wrong {
            let error = zones(line).expect_err(line);
            assert!(error.starts_with("the zone in row 1: ") && error.contains(said), "{error}");
        }
    }
}
