//! What an answer means for the events that were sent.

use super::{Answer, Compose};
use crate::time::{Millis, Timestamp};
use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};

/// The longest that a server may ask us to wait.
const LONGEST_WAIT: Millis = Millis(3_600_000);
/// Characters of an answer's body that are shown.
const SHOWN: usize = 300;

/// What becomes of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They have arrived.
    Taken,
    /// One of them at least will never be taken: what the server said.
    Refused(String),
    /// Time may heal it, or somebody: why, and how long the server asks to wait.
    Away(String, Option<Millis>),
}

/// Judges an answer. What is wrong with us (who we are, where we post to) is no fault of events: they are kept, and it is
/// told, until somebody has mended it.
pub fn judge(answer: &Answer, compose: &dyn Compose, is_one_place: bool, now: Timestamp) -> Verdict {
    let status = answer.status;
    if status.is_success() {
        return Verdict::Taken;
    }
    let said = said(answer) + compose.remedy(status);
    let is_ours = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => true,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => is_one_place,
        _ => false,
    };
    let is_passing =
        matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if status.is_client_error() && !is_ours && !is_passing {
        return Verdict::Refused(said);
    }
    Verdict::Away(said, asked_wait(answer, now))
}

/// What the server said, on a line.
fn said(answer: &Answer) -> String {
    let mut text = format!("it answers {}", answer.status);
    if answer.status.is_redirection() {
        let to = answer.headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
        let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
        return format!("{text}{to}; redirects are not followed: write where it leads as `url`");
    }
    let body = excerpt(&String::from_utf8_lossy(&answer.body[..answer.body.len().min(4 * SHOWN)]));
    if !body.is_empty() {
        text = format!("{text}: {body}");
    }
    text
}

/// The beginning of what a server said, on a line.
pub fn excerpt(text: &str) -> String {
    let plain = text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars).skip(1);
    plain.filter(|c| !c.is_control()).take(SHOWN).collect()
}

/// How long the server asks to wait: seconds, or until a date.
pub fn asked_wait(answer: &Answer, now: Timestamp) -> Option<Millis> {
    let text = answer.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let span = match text.parse::<u32>() {
        Ok(seconds) => Millis(i64::from(seconds) * 1000),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            Millis(Timestamp::floor(date.timestamp()).0.saturating_sub(now.0))
        }
    };
    Some(span.max(Millis::ZERO).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::http::{Event, Outgoing};
    use hyper::body::Bytes;
    use hyper::header::HeaderMap;

    #[derive(Debug)]
    struct Nothing;

    impl Compose for Nothing {
        fn compose(&self, _events: &[Event<'_>], _id: &str) -> Result<Outgoing, String> {
            Err(String::new())
        }
    }

    fn verdict(
        status: u16,
        headers: &[(&'static str, &str)],
        body: &'static str,
        one_place: bool,
    ) -> Verdict {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers: all, body: Bytes::from_static(body.as_bytes()) };
        judge(&answer, &Nothing, one_place, Timestamp(784_111_767_000))
    }

    #[test]
    fn only_events_at_fault_are_refused() {
        assert_eq!(verdict(202, &[], "", true), Verdict::Taken);
        let why = "it answers 400 Bad Request: line 3 is wrong".to_owned();
        assert_eq!(verdict(400, &[], "line 3\n is wrong\u{7}", true), Verdict::Refused(why));
        for status in [413, 422, 409] {
            assert!(matches!(verdict(status, &[], "", true), Verdict::Refused(_)), "{status}");
        }
        for status in [301, 401, 403, 407, 408, 425, 429, 500, 501, 503] {
            assert!(matches!(verdict(status, &[], "", false), Verdict::Away(..)), "{status}");
        }
        assert!(matches!(verdict(404, &[], "", true), Verdict::Away(..)));
        assert!(matches!(verdict(404, &[], "", false), Verdict::Refused(_)));
    }

    #[test]
    fn a_server_may_ask_us_to_wait() {
        let asked = |text| match verdict(429, &[("retry-after", text)], "", true) {
            Verdict::Away(_, wait) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("7"), Some(Millis(7_000)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Millis(10_000)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:17 GMT"), Some(Millis::ZERO), "that is over");
        assert_eq!(asked("4000000000"), Some(LONGEST_WAIT));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn redirects_are_told() {
        let Verdict::Away(why, _) = verdict(308, &[("location", "/v2")], "x", true) else { panic!() };
        assert_eq!(
            why,
            "it answers 308 Permanent Redirect to /v2; redirects are not followed: write where it leads as `url`"
        );
    }
}
