//! Answers of bulk requests, as Elasticsearch gives them: a success that tells of each event by itself.

use crate::clients::http::{Fate, excerpt};
use memchr::memmem;
use serde_json::Value;

/// What became of each event, where the answer of a success says that not all went well, and has an item an event:
/// `{"errors": true, "items": [{"create": {"status": 400, "error": {…}}}, …]}`.
pub fn fates(body: &[u8], events: usize) -> Option<Vec<Fate>> {
    // Most go well, and are not looked at any further.
    memmem::find(body, b"\"errors\":true").or_else(|| memmem::find(body, b"\"errors\": true"))?;
    let answer: Value = serde_json::from_slice(body).ok()?;
    let items = answer["items"].as_array().filter(|items| items.len() == events)?;
    (answer["errors"] == true).then(|| items.iter().map(fate).collect())
}

fn fate(item: &Value) -> Fate {
    let Some((action, item)) = item.as_object().and_then(|item| item.iter().next()) else {
        return Fate::Taken;
    };
    match item["status"].as_u64().unwrap_or(200) {
        0..300 => Fate::Taken,
        // It was there already: an earlier request had brought it.
        409 if action == "create" => Fate::Taken,
        408 | 429 | 500.. => Fate::Again(words(item)),
        _ => Fate::Refused(words(item)),
    }
}

/// What is wrong, in the server's words.
fn words(item: &Value) -> String {
    let (status, error) = (&item["status"], &item["error"]);
    let part = |name: &str| error[name].as_str().unwrap_or_default();
    let cause = error["caused_by"]["reason"].as_str().map(|cause| format!(" ({cause})")).unwrap_or_default();
    excerpt(&format!("{status} {}: {}{cause}", part("type"), part("reason")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_a_fate_of_its_own() {
        let body = br#"{"took":3,"errors":true,"items":[
            {"create":{"_id":"1","status":201}},
            {"create":{"_id":"2","status":409,"error":{"type":"version_conflict_engine_exception"}}},
            {"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}},
            {"index":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed","caused_by":{"reason":"no number"}}}}]}"#;
        let full = "429 es_rejected_execution_exception: full".to_owned();
        let bad = "400 document_parsing_exception: failed (no number)".to_owned();
        assert_eq!(
            fates(body, 4).unwrap(),
            [Fate::Taken, Fate::Taken, Fate::Again(full), Fate::Refused(bad)]
        );
        assert_eq!(fates(body, 3), None, "nobody knows which is which");
        assert_eq!(fates(b"{\"errors\":false,\"items\":[]}", 0), None);
        assert_eq!(fates(b"\"errors\":true", 1), None);
    }
}
