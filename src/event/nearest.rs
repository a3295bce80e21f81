//! The name a person probably meant.

/// The longest name that is compared.
const MAX_BYTES: usize = 200;

/// The candidate most like `name`, if one is like it enough to be worth suggesting.
/// Similarity is Jaro-Winkler's over lower case, from 0.8 up; ties go to the first. Its cost is quadratic, so what is
/// longer than `MAX_BYTES` is like nothing.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_BYTES {
        return None;
    }
    let name = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates.into_iter().filter(|candidate| candidate.len() <= MAX_BYTES) {
        let score = strsim::jaro_winkler(&name, &candidate.to_lowercase());
        if score >= 0.8 && best.is_none_or(|(s, _)| score > s) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
