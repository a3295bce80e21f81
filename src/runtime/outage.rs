//! A target that takes nothing for now: said once, tried again, and said when it is over.

use crate::dataflow::{Retry, SinkError};
use crate::time::Millis;

/// Whether a sink's target is away, and when it is tried again.
pub struct Outage {
    /// Of the sink, for messages.
    name: String,
    retry: Retry,
    on: Option<On>,
}

struct On {
    why: String,
    /// How many tries have failed.
    failed: u32,
    /// When it began and when it is tried again, once somebody who knows the time has looked.
    times: Option<Times>,
}

struct Times {
    since: Millis,
    pause: Millis,
    again: Millis,
}

impl Outage {
    /// None yet.
    pub fn new(name: String, retry: Retry) -> Outage {
        Outage { name, retry, on: None }
    }

    /// Whether the target is away.
    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// Why the target is away.
    pub fn why(&self) -> Option<&str> {
        self.on.as_ref().map(|on| on.why.as_str())
    }

    /// The target is away. Nothing is said before somebody asks by [`Outage::is_due`].
    pub fn begin(&mut self, why: String) {
        match &mut self.on {
            Some(on) => on.why = why,
            None => self.on = Some(On { why, failed: 0, times: None }),
        }
    }

    /// Whether the target is to be tried now.
    pub fn is_due(&mut self, now: Millis) -> bool {
        let Some(on) = &mut self.on else { return false };
        if let Some(times) = &on.times {
            return now >= times.again;
        }
        let (name, why, pause) = (&self.name, &on.why, self.retry.first);
        tracing::error!("sink `{name}`: {why}; its output is held, and it is tried again until that is over");
        on.times = Some(Times { since: now, pause, again: now + pause });
        false
    }

    /// When the target is tried again; None if it is not away, or nobody has asked yet.
    pub fn again(&self) -> Option<Millis> {
        self.on.as_ref()?.times.as_ref().map(|times| times.again)
    }

    /// A try has failed.
    ///
    /// # Errors
    /// It was the last one.
    pub fn failed(&mut self, why: String, now: Millis) -> Result<(), SinkError> {
        let (name, retry) = (&self.name, self.retry);
        let Some(on) = &mut self.on else {
            self.begin(why);
            return Ok(());
        };
        on.failed += 1;
        if retry.attempts.is_some_and(|most| on.failed >= most) {
            let tries = on.failed;
            return Err(SinkError::Failed(format!(
                "{why}; it was tried {tries} times again, as `retry` says"
            )));
        }
        if let Some(times) = &mut on.times {
            times.pause = retry.longer(times.pause);
            times.again = now + times.pause;
            tracing::debug!("sink `{name}`: {why}; next try in {}", times.pause);
        }
        on.why = why;
        Ok(())
    }

    /// The target takes output again.
    pub fn end(&mut self, now: Millis) {
        if let Some(On { times: Some(times), .. }) = self.on.take() {
            tracing::info!(
                "sink `{}`: its target takes output again, after {}",
                self.name,
                now - times.since
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_tries_are_counted() {
        let retry = Retry { first: Millis(100), max: Millis(300), attempts: Some(4) };
        let mut outage = Outage::new("out".to_owned(), retry);
        assert!(!outage.is_due(Millis(0)) && !outage.is_on());
        outage.begin("full".to_owned());
        let mut now = Millis(1_000);
        assert!(!outage.is_due(now), "it was tried just now");
        for pause in [100, 200, 300] {
            assert_eq!(outage.again(), Some(now + Millis(pause)));
            now = now + Millis(pause);
            assert!(outage.is_due(now));
            outage.failed("still full".to_owned(), now).unwrap();
        }
        assert_eq!(outage.why(), Some("still full"));
        let error = outage.failed("full".to_owned(), now).unwrap_err().to_string();
        assert_eq!(error, "full; it was tried 4 times again, as `retry` says");
        outage.end(now);
        assert!(!outage.is_on());
        outage.begin("full".to_owned());
        assert!(!outage.is_due(now) && outage.failed(String::new(), now).is_ok(), "counted from the start");
    }
}
