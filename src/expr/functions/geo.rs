//! Places on the earth: degrees of latitude (north is positive) and longitude (east is positive), in that order.

use super::cached::Cached;
use super::context::{Context, Failure, Outcome};
use super::spec::{Arg, Body, FunctionSpec, Group, Instance, Made, Returns, arg};
use crate::event::{Value, json};
use crate::expr::literal::Literal;
use crate::expr::types::Type;

/// The mean radius of the earth (IUGG) in metres: with it, great circles are within 0.6 % of the ellipsoid's distances.
const RADIUS: f64 = 6_371_008.8;

/// Corners that a polygon may have.
const MAX_CORNERS: usize = 10_000;

/// How far from an edge, in degrees, a place may be and is yet on it: less than rounding can hide, 0.1 mm.
const ON_EDGE: f64 = 1e-9;

const LAT: Arg = arg("lat", Type::NUMBER);
const LON: Arg = arg("lon", Type::NUMBER);

/// The functions of this group.
pub(super) const FUNCTIONS: &[FunctionSpec] = &[
    FunctionSpec::new(
        Group::Geo,
        "geo_distance",
        &[
            arg("lat1", Type::NUMBER),
            arg("lon1", Type::NUMBER),
            arg("lat2", Type::NUMBER),
            arg("lon2", Type::NUMBER),
        ],
        Returns::Is(Type::FLOAT),
        Body::Plain(geo_distance),
    )
    .doc(
        "The metres between two places, each as latitude and longitude in degrees, along a great circle (haversine) of a \
         sphere of the earth's mean radius, 6371008.8 m.",
        &[("round(geo_distance(52.5163, 13.3777, 48.8584, 2.2945))", "879088.0")],
    ),
    FunctionSpec::new(
        Group::Geo,
        "geo_within",
        &[LAT, LON, arg("polygon", Type::JSON.or(Type::TEXT))],
        Returns::Is(Type::BOOL),
        Body::Made(GeoWithin::make),
    )
    .doc(
        "Whether a place is inside a polygon or on its edge: a list of corners `[lat, lon]` (in GeoJSON they are the \
         other way round), or its JSON text; an edge leads from the last back to the first, edges are straight in degrees, and none may cross longitude 180. Where \
         edges cross, what is inside follows the even-odd rule.",
        &[
            ("geo_within(52.52, 13.4, '[[52.3, 13.1], [52.7, 13.1], [52.7, 13.8], [52.3, 13.8]]')", "true"),
            ("geo_within(48.86, 2.29, '[[52.3, 13.1], [52.7, 13.1], [52.7, 13.8], [52.3, 13.8]]')", "false"),
        ],
    ),
    FunctionSpec::new(
        Group::Geo,
        "geohash",
        &[LAT, LON, arg("n", Type::INT)],
        Returns::Is(Type::TEXT),
        Body::Plain(geohash),
    )
    .doc(
        "The geohash of a place with `n` characters, from 1 to 12: places that share a beginning are near.",
        &[("geohash(57.64911, 10.40744, 11)", "\"u4pruydqqvj\"")],
    ),
];

/// The latitude and longitude that stand at a place of the arguments and behind it.
fn place(args: &[Value], at: usize) -> Result<(f64, f64), Failure> {
    let degrees = |at: usize| args[at].as_number().unwrap_or_default();
    place_of(degrees(at), degrees(at + 1)).map_err(Failure::from)
}

/// A latitude and a longitude.
///
/// # Errors
/// Which of them is none.
pub fn place_of(lat: f64, lon: f64) -> Result<(f64, f64), &'static str> {
    if !(-90.0..=90.0).contains(&lat) {
        return Err("a latitude is not from -90 to 90");
    }
    if !(-180.0..=180.0).contains(&lon) {
        return Err("a longitude is not from -180 to 180");
    }
    Ok((lat, lon))
}

fn geo_distance(_: &mut Context, args: &[Value]) -> Outcome {
    Ok(Value::float(distance(place(args, 0)?, place(args, 2)?)))
}

/// Metres between two places, by the haversine formula (Sinnott, "Virtues of the Haversine", 1984).
pub fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half_sine = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let cosines = a.0.to_radians().cos() * b.0.to_radians().cos();
    let haversine = half_sine(a.0, b.0) + cosines * half_sine(a.1, b.1);
    // Rounding can lead beyond 1 at opposite places.
    2.0 * RADIUS * haversine.min(1.0).sqrt().asin()
}

/// The corners of a polygon: latitude and longitude of each.
pub type Polygon = Vec<(f64, f64)>;

/// `geo_within`, with the polygon it last met.
struct GeoWithin(Cached<Polygon>);

impl GeoWithin {
    fn make(constants: &[Option<&Literal>]) -> Made {
        if let Some(Some(Literal::Text(text) | Literal::Json(text))) = constants.get(2) {
            polygon(text)?;
        }
        Ok(Box::new(GeoWithin(Cached::default())))
    }
}

impl Instance for GeoWithin {
    fn call(&mut self, context: &mut Context, args: &[Value]) -> Outcome {
        let place = place(args, 0)?;
        let polygon = self.0.get(context.text(args[2]), polygon)?;
        Ok(Value::bool(within(place, polygon)))
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(GeoWithin(Cached::default()))
    }
}

/// Reads a list of corners `[lat, lon]`, as `geo_within` takes it.
///
/// # Errors
/// What it is instead.
pub fn polygon(text: &str) -> Result<Polygon, String> {
    let text = text.trim();
    if !text.starts_with('[') || json::validate(text.as_bytes()).is_err() {
        return Err("the polygon is not a list of corners `[lat, lon]`".to_owned());
    }
    let mut corners = Vec::new();
    for corner in json::elements(text.as_bytes()) {
        if corners.len() == MAX_CORNERS {
            return Err(format!("the polygon has more than {MAX_CORNERS} corners"));
        }
        let mut degrees = json::elements(corner).map(|raw| match raw.first() {
            Some(b'-' | b'0'..=b'9') => json::number(raw).ok().and_then(Value::as_number),
            _ => None,
        });
        let (Some(Some(lat)), Some(Some(lon)), None) = (degrees.next(), degrees.next(), degrees.next())
        else {
            return Err("a corner of the polygon is not two numbers, `[lat, lon]`".to_owned());
        };
        corners.push(place_of(lat, lon)?);
    }
    if corners.len() < 3 {
        return Err("the polygon has fewer than 3 corners".to_owned());
    }
    Ok(corners)
}

/// Whether a place is inside a polygon or on its edge.
///
/// Counts the edges that a ray from the place towards greater longitudes crosses (the even-odd rule; Shimrat,
/// "Algorithm 112", 1962), after a look whether the place is on one.
pub fn within((lat, lon): (f64, f64), polygon: &[(f64, f64)]) -> bool {
    let mut inside = false;
    let mut from = polygon.last().copied().unwrap_or_default();
    for &to in polygon {
        if is_on((lat, lon), from, to) {
            return true;
        }
        // Each corner belongs to one of its edges alone, so that a ray through it counts once.
        if (from.0 > lat) != (to.0 > lat) {
            let crossing = from.1 + (lat - from.0) / (to.0 - from.0) * (to.1 - from.1);
            inside ^= lon < crossing;
        }
        from = to;
    }
    inside
}

/// Whether a place is on the straight edge between two others.
fn is_on((lat, lon): (f64, f64), from: (f64, f64), to: (f64, f64)) -> bool {
    let (along, aside) = (to.0 - from.0, to.1 - from.1);
    let square = along * along + aside * aside;
    let share = if square > 0.0 { ((lat - from.0) * along + (lon - from.1) * aside) / square } else { 0.0 };
    let share = share.clamp(0.0, 1.0);
    let (near_lat, near_lon) = (from.0 + share * along, from.1 + share * aside);
    (lat - near_lat).hypot(lon - near_lon) <= ON_EDGE
}

fn geohash(context: &mut Context, args: &[Value]) -> Outcome {
    let (lat, lon) = place(args, 0)?;
    let length = usize::try_from(args[2].as_int().unwrap_or_default()).unwrap_or(0);
    if !(1..=12).contains(&length) {
        return Err("a geohash has 1 to 12 characters".into());
    }
    context.write_ascii(|_, out| {
        write_geohash(lat, lon, length, out);
        Ok(())
    })
}

/// Halves the world by longitude and latitude in turns, a bit each; five bits are a character (Niemeyer, 2008).
fn write_geohash(lat: f64, lon: f64, length: usize, out: &mut Vec<u8>) {
    const CHARACTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let mut halves = [(lon, -180.0, 180.0), (lat, -90.0, 90.0)];
    let mut turn = 0;
    for _ in 0..length {
        let mut bits = 0;
        for _ in 0..5 {
            let (degrees, low, high) = &mut halves[turn];
            let middle = (*low + *high) / 2.0;
            let upper = *degrees >= middle;
            if upper {
                *low = middle;
            } else {
                *high = middle;
            }
            bits = bits << 1 | usize::from(upper);
            turn = 1 - turn;
        }
        out.push(CHARACTERS[bits]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(lat: f64, lon: f64, length: usize) -> String {
        let mut out = Vec::new();
        write_geohash(lat, lon, length, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn places() -> impl Strategy<Value = (f64, f64)> {
        (-90.0..=90.0, -180.0..=180.0)
    }

    #[test]
    fn geohashes_are_the_published_ones() {
        assert_eq!(hash(57.64911, 10.40744, 11), "u4pruydqqvj");
        assert_eq!(hash(42.6, -5.6, 5), "ezs42");
        assert_eq!(hash(37.8324, 112.5584, 9), "ww8p1r4t8");
        assert_eq!(hash(-25.382708, -49.265506, 8), "6gkzwgjz");
        assert_eq!(hash(-90.0, -180.0, 3), "000");
        assert_eq!(hash(90.0, 180.0, 3), "zzz");
    }

    #[test]
    fn distances_are_those_of_the_sphere() {
        let quarter = RADIUS * std::f64::consts::FRAC_PI_2;
        let close =
            |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-6 * wanted, "{found} {wanted}");
        close(distance((0.0, 0.0), (0.0, 90.0)), quarter);
        close(distance((0.0, 179.5), (0.0, -179.5)), quarter / 90.0);
        close(distance((90.0, 12.0), (-90.0, -40.0)), 2.0 * quarter);
        close(distance((0.0, 0.0), (1.0, 0.0)), 111_195.08);
        // Sinnott's formula keeps its digits where places are near: a metre and a bit.
        close(distance((52.0, 13.0), (52.00001, 13.0)), 1.111_950_8);
    }

    #[test]
    fn edges_and_corners_are_inside() {
        let square = polygon("[[0, 0], [0, 10], [10, 10], [10, 0]]").unwrap();
        for place in [(0.0, 0.0), (0.0, 5.0), (10.0, 10.0), (3.3, 0.0), (10.0, 9.9), (5.0, 5.0)] {
            assert!(within(place, &square), "{place:?}");
        }
        for place in [(-0.1, 5.0), (5.0, 10.1), (10.00001, 0.0), (0.0, -1.0), (0.0, 11.0)] {
            assert!(!within(place, &square), "{place:?}");
        }
        // Decimal corners that no float is; a star, whose middle is outside by the even-odd rule.
        assert!(within((0.2, 0.2), &polygon("[[0.1, 0.1], [0.3, 0.3], [0.3, 0.1]]").unwrap()));
        let star = polygon("[[10, 0], [-8, 6], [3, -9.5], [3, 9.5], [-8, -6]]").unwrap();
        assert!(!within((0.0, 0.0), &star) && within((8.0, 0.0), &star));
        // A closed ring is the same as an open one; a corner may stand twice.
        let closed = polygon("[[0, 0], [0, 10], [10, 10], [10, 10], [10, 0], [0, 0]]").unwrap();
        assert!(within((5.0, 5.0), &closed) && !within((5.0, 15.0), &closed));
    }

    proptest! {
        #[test]
        fn distance_is_a_metric(a in places(), b in places(), c in places()) {
            let d = distance(a, b);
            prop_assert_eq!(d, distance(b, a));
            prop_assert_eq!(distance(a, a), 0.0);
            prop_assert!((0.0..=RADIUS * std::f64::consts::PI).contains(&d));
            prop_assert!(d <= distance(a, c) + distance(c, b) + 1e-6);
            // The spherical law of cosines, exact enough but for near and opposite places.
            let (sines, cosines) = (a.0.to_radians().sin_cos(), b.0.to_radians().sin_cos());
            let angle = sines.0 * cosines.0 + sines.1 * cosines.1 * (a.1 - b.1).to_radians().cos();
            prop_assert!((d - RADIUS * angle.clamp(-1.0, 1.0).acos()).abs() < 1.0);
        }

        #[test]
        fn a_rectangle_is_its_bounds(
            a in (-90i32..=90, -180i32..=180),
            b in (-90i32..=90, -180i32..=180),
            p in (-90i32..=90, -180i32..=180),
        ) {
            let float = |(lat, lon): (i32, i32)| (f64::from(lat), f64::from(lon));
            let corners = [a, (a.0, b.1), b, (b.0, a.1)].map(float);
            let between = |x: i32, from: i32, to: i32| (from.min(to)..=from.max(to)).contains(&x);
            let expected = between(p.0, a.0, b.0) && between(p.1, a.1, b.1);
            prop_assert_eq!(within(float(p), &corners), expected);
        }

        #[test]
        fn a_geohash_cell_holds_its_place(place in places(), length in 1usize..=12) {
            let text = hash(place.0, place.1, length);
            prop_assert!(hash(place.0, place.1, 12).starts_with(&text));
            let (mut low, mut high) = ([-180.0, -90.0], [180.0, 90.0]);
            for (at, bit) in text
                .bytes()
                .flat_map(|c| {
                    let n = b"0123456789bcdefghjkmnpqrstuvwxyz".iter().position(|&d| d == c).unwrap();
                    (0..5).rev().map(move |shift| n >> shift & 1)
                })
                .enumerate()
            {
                let middle = (low[at % 2] + high[at % 2]) / 2.0;
                if bit == 1 { low[at % 2] = middle } else { high[at % 2] = middle }
            }
            prop_assert!((low[1]..=high[1]).contains(&place.0) && (low[0]..=high[0]).contains(&place.1));
        }
    }
}
