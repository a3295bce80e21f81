//! Results of aggregates over lists of events by brute force.

use crate::harness::{Step, Val};
use serde_json::{Value, json};

/// A window, and what the key had before it, in order of event time.
pub struct Frame<'a> {
    pub start: i64,
    pub end: i64,
    pub before: Vec<&'a Step>,
}

/// The result of an aggregate over events in order of arrival; None if it cannot take them.
pub fn result(name: &str, events: &[&Step], frame: &Frame) -> Option<Value> {
    if let Some(name) = name.strip_suffix("_where") {
        let only = |steps: &[&'_ Step]| -> Vec<Step> {
            steps.iter().filter(|step| step.condition).map(|step| (*step).clone()).collect()
        };
        let (events, before) = (only(events), only(&frame.before));
        let frame = Frame { before: before.iter().collect(), ..*frame };
        return result(name, &events.iter().collect::<Vec<_>>(), &frame);
    }
    let values: Vec<Val> = events.iter().map(|step| step.x).filter(|x| *x != Val::Null).collect();
    let distinct = || {
        let mut distinct: Vec<Val> = Vec::new();
        for value in &values {
            if !distinct.contains(value) {
                distinct.push(*value);
            }
        }
        distinct
    };
    let list = |values: &[Val]| match values {
        [] => Value::Null,
        values => Value::Array(values.iter().map(|value| cell(*value)).collect()),
    };
    Some(match name {
        "rows" => json!(events.len()),
        "count" => json!(values.len()),
        "count_distinct" => json!(distinct().len()),
        "collect_distinct" => list(&distinct()),
        "collect" => list(&values),
        "first" => edge(events, false),
        "last" => edge(events, true),
        "any" => values.first().map_or(Value::Null, |value| cell(*value)),
        "sum" => sum(&values)?,
        "avg" => mean(&values)?,
        "quantile" => quantile(&values)?,
        "min" | "max" => extreme(&values, name == "max")?,
        "min_by" | "max_by" => {
            let with_x = events.iter().filter(|step| step.x != Val::Null);
            let best = with_x.min_by_key(|step| if name == "min_by" { step.gap } else { -step.gap });
            best.map_or(Value::Null, |step| cell(step.x))
        }
        "bool_and" | "bool_or" if events.is_empty() => Value::Null,
        "bool_and" => json!(events.iter().all(|step| step.condition)),
        "bool_or" => json!(events.iter().any(|step| step.condition)),
        "approx_distinct" if values.is_empty() => Value::Null,
        "approx_distinct" => json!(distinct().len()),
        "top" => top(&values),
        "corr" => corr(events)?,
        "slope" => slope(events)?,
        "delta" | "rate" => differences(&readings(events, frame)?, name == "rate"),
        "time_weighted_avg" => held(&readings(events, frame)?, frame, true),
        "time_in" => {
            let conditions = frame.before.last().into_iter().chain(events);
            let mut readings: Vec<(i64, f64)> =
                conditions.map(|step| (step.time, step.condition as u8 as f64)).collect();
            readings.sort_by_key(|(time, _)| *time);
            held(&readings, frame, false)
        }
        _ => panic!("the model does not know {name}"),
    })
}

fn mean(values: &[Val]) -> Option<Value> {
    let numbers: Option<Vec<f64>> = values.iter().map(|value| number(*value)).collect();
    let numbers = numbers?;
    let sum: f64 = numbers.iter().sum();
    Some(if numbers.is_empty() { Value::Null } else { json!(sum / numbers.len() as f64) })
}

fn cell(value: Val) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Int(int) => json!(int),
        Val::Half(halves) => json!(halves as f64 / 2.0),
        Val::Text(letter) => json!((letter as char).to_string()),
    }
}

fn number(value: Val) -> Option<f64> {
    match value {
        Val::Int(int) => Some(int as f64),
        Val::Half(halves) => Some(halves as f64 / 2.0),
        _ => None,
    }
}

fn sum(values: &[Val]) -> Option<Value> {
    if values.iter().all(|value| matches!(value, Val::Int(_))) {
        let ints = values.iter().map(|value| if let Val::Int(int) = value { *int as i128 } else { 0 });
        let sum = i64::try_from(ints.sum::<i128>()).ok()?;
        return Some(if values.is_empty() { Value::Null } else { json!(sum) });
    }
    let mut sum = 0.0;
    for value in values {
        sum += number(*value)?;
    }
    Some(json!(sum))
}

fn quantile(values: &[Val]) -> Option<Value> {
    let numbers: Option<Vec<f64>> = values.iter().map(|value| number(*value)).collect();
    let mut numbers = numbers?;
    numbers.sort_by(f64::total_cmp);
    let Some(last) = numbers.len().checked_sub(1) else { return Some(Value::Null) };
    let rank = last as f64 * 0.25;
    let (low, high) = (numbers[rank.floor() as usize], numbers[rank.ceil() as usize]);
    Some(json!(low + (high - low) * rank.fract()))
}

/// Of equal numbers, the integer is the lesser.
fn extreme(values: &[Val], greatest: bool) -> Option<Value> {
    let texts = values.iter().filter(|value| matches!(value, Val::Text(_))).count();
    if texts > 0 && texts < values.len() {
        return None;
    }
    let rank = |value: &Val| match value {
        Val::Text(letter) => (*letter as f64, 0),
        Val::Half(_) => (number(*value).unwrap_or(0.0), 1),
        _ => (number(*value).unwrap_or(0.0), 0),
    };
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| rank(a).partial_cmp(&rank(b)).expect("finite"));
    let value = if greatest { sorted.last() } else { sorted.first() };
    Some(value.map_or(Value::Null, |value| cell(*value)))
}

/// The value of the earliest event that has one, or of the latest.
fn edge(events: &[&Step], last: bool) -> Value {
    let mut there: Vec<&&Step> = events.iter().filter(|step| step.x != Val::Null).collect();
    there.sort_by_key(|step| step.time);
    let step = if last { there.last() } else { there.first() };
    step.map_or(Value::Null, |step| cell(step.x))
}

/// The numbers of a window in order of event time, behind the last one before it.
fn readings(events: &[&Step], frame: &Frame) -> Option<Vec<(i64, f64)>> {
    let mut own = Vec::new();
    for step in events.iter().filter(|step| step.x != Val::Null) {
        own.push((step.time, number(step.x)?));
    }
    own.sort_by_key(|(time, _)| *time);
    let carried = frame.before.iter().rev().find(|step| step.x != Val::Null);
    let carried = carried.and_then(|step| Some((step.time, number(step.x)?)));
    Some(carried.into_iter().chain(own).collect())
}

fn differences(readings: &[(i64, f64)], per_second: bool) -> Value {
    let difference = |pair: &[(i64, f64)]| {
        let difference = pair[1].1 - pair[0].1;
        if difference < 0.0 { pair[1].1 } else { difference }
    };
    let sum: f64 = readings.windows(2).map(difference).sum();
    match (readings.first(), readings.last()) {
        (Some(first), Some(last)) if per_second && last.0 > first.0 => {
            json!(sum / ((last.0 - first.0) as f64 / 1000.0))
        }
        _ if per_second || readings.len() < 2 => Value::Null,
        _ => json!(sum),
    }
}

/// The mean over the time of the window, or the seconds in which the value was 1.
fn held(readings: &[(i64, f64)], frame: &Frame, mean: bool) -> Value {
    let (mut sum, mut total) = (0.0, 0);
    for (i, (time, value)) in readings.iter().enumerate() {
        let until = readings.get(i + 1).map_or(frame.end, |next| next.0.max(frame.start));
        let ms = until - (*time).max(frame.start);
        sum += value * ms as f64;
        total += ms;
    }
    match total {
        0 => Value::Null,
        total if mean => json!(sum / total as f64),
        _ => json!(sum / 1000.0),
    }
}

/// The two most frequent values.
fn top(values: &[Val]) -> Value {
    let mut counts: Vec<(Val, i64)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((*value, 1)),
        }
    }
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(rank(&a.0).partial_cmp(&rank(&b.0)).expect("finite")));
    let list: Vec<Value> = counts
        .iter()
        .take(2)
        .map(|(value, count)| json!({ "value": cell(*value), "count": count }))
        .collect();
    if list.is_empty() { Value::Null } else { json!(list) }
}

/// Numbers before text, by value, an integer before the float that equals it.
fn rank(value: &Val) -> (u8, f64, u8) {
    match value {
        Val::Text(letter) => (1, *letter as f64, 0),
        Val::Half(_) => (0, number(*value).unwrap_or(0.0), 1),
        _ => (0, number(*value).unwrap_or(0.0), 0),
    }
}

/// The sums of products of distances from the means.
fn products(pairs: &[(f64, f64)]) -> (f64, f64, f64) {
    let n = pairs.len() as f64;
    let (x, y) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| f(p.0 - x, p.1 - y)).sum::<f64>();
    (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y))
}

fn corr(events: &[&Step]) -> Option<Value> {
    let mut pairs = Vec::new();
    for step in events.iter().filter(|step| step.x != Val::Null) {
        pairs.push((number(step.x)?, step.gap as f64));
    }
    let (xx, xy, yy) = products(&pairs);
    // Rounding leaves a little where all values are equal.
    let flat = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.windows(2).all(|pair| f(&pair[0]) == f(&pair[1]));
    let constant = flat(&|pair| pair.0) || flat(&|pair| pair.1);
    Some(if constant { Value::Null } else { json!(xy / (xx * yy).sqrt()) })
}

fn slope(events: &[&Step]) -> Option<Value> {
    let mut points = Vec::new();
    for step in events.iter().filter(|step| step.x != Val::Null) {
        points.push((step.time as f64 / 1000.0, number(step.x)?));
    }
    let (xx, xy, _) = products(&points);
    let constant = points.windows(2).all(|pair| pair[0].0 == pair[1].0);
    Some(if constant { Value::Null } else { json!(xy / xx) })
}
