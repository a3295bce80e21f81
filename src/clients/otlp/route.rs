//! Where one signal goes: tries, pauses, and what is told of them.

use super::settings::Target;
use crate::clients::http::{Answer, HttpLink, HttpOptions, asked_wait, excerpt};
use crate::time::{Clock, Millis, Random};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of an answer that are read.
const ANSWER: usize = 64 << 10;
/// The pause behind the first try that failed; each further one doubles it.
const FIRST_PAUSE: Millis = Millis(1_000);
/// The longest pause.
const LONGEST_PAUSE: Millis = Millis(60_000);
/// Who we are.
const AGENT: &str = concat!("headwater/", env!("CARGO_PKG_VERSION"));

/// A signal on its way.
pub struct Route {
    /// What goes there.
    what: &'static str,
    target: Target,
    link: Option<HttpLink>,
    clock: Arc<dyn Clock>,
    random: Random,
    pause: Millis,
    /// Whether it was told that it does not go through.
    is_told: bool,
}

/// What became of a request.
enum Sent {
    Taken,
    /// It will never be taken, or a part of it: why.
    Refused(String),
    /// It may be taken later: why, and how long the server asks to wait.
    Away(String, Option<Millis>),
}

impl Route {
    /// Nothing is connected yet.
    pub fn new(what: &'static str, target: Target, clock: Arc<dyn Clock>) -> Route {
        let random = Random::seeded(clock.entropy());
        Route { what, target, link: None, clock, random, pause: FIRST_PAUSE, is_told: false }
    }

    /// Sends requests, one after the other. Those that were taken, or never will be, are gone.
    ///
    /// # Errors
    /// The rest waits: how long.
    pub async fn send(&mut self, bodies: &mut Vec<Vec<u8>>) -> Result<(), Duration> {
        while let Some(body) = bodies.first() {
            match self.post(body).await {
                Sent::Taken => self.come_back(),
                Sent::Refused(why) => {
                    self.pause = FIRST_PAUSE;
                    self.tell(&format!("{why}; it is lost"));
                }
                Sent::Away(why, wait) => {
                    self.tell(&format!("{why}; it is tried again"));
                    return Err(self.lengthen(wait));
                }
            }
            bodies.remove(0);
        }
        Ok(())
    }

    fn tell(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!("{} are not taken: {why}", self.what);
        }
    }

    fn come_back(&mut self) {
        self.pause = FIRST_PAUSE;
        if std::mem::take(&mut self.is_told) {
            tracing::info!("{} are taken by {} again", self.what, self.target.url.server);
        }
    }

    /// How long to wait: what was asked for, or longer each time, a fifth less or more so that gateways do not come all at
    /// once.
    fn lengthen(&mut self, asked: Option<Millis>) -> Duration {
        let spread = 0.8 + 0.4 * self.random.unit();
        let pause = Duration::from_millis(self.pause.0.max(1) as u64).mul_f64(spread);
        self.pause = Millis(self.pause.0.saturating_mul(2)).min(LONGEST_PAUSE);
        let asked = asked.map_or(Duration::ZERO, |asked| Duration::from_millis(asked.0.max(0) as u64));
        pause.max(asked)
    }

    async fn post(&mut self, body: &[u8]) -> Sent {
        let server = self.target.url.server.to_string();
        let request = match self.request(body) {
            Ok(request) => request,
            Err(why) => return Sent::Refused(format!("{server}: {why}")),
        };
        let mut link = match self.link.take().map_or_else(|| self.connect(), Ok) {
            Ok(link) => link,
            Err(why) => return Sent::Away(format!("{server}: {why}"), None),
        };
        let answered = link.ask(request).await;
        match answered {
            Ok(answer) => {
                self.link = Some(link);
                self.judge(&answer)
            }
            // Certificates may have been renewed, so what is next begins anew.
            Err(failed) => Sent::Away(failed.text, None),
        }
    }

    /// A connection that is not made yet.
    fn connect(&self) -> Result<HttpLink, String> {
        let Target { url, timeout, tls, .. } = &self.target;
        let timeout = Duration::from_millis(timeout.0.max(1) as u64);
        let options = HttpOptions { timeout, tries: 1, answer_limit: ANSWER };
        let tls = url.server.secure.then(|| tls.load()).transpose()?;
        Ok(HttpLink::new(url.server.clone(), options, tls))
    }

    fn request(&self, body: &[u8]) -> Result<Request<Bytes>, String> {
        let Target { url, headers, gzip, .. } = &self.target;
        let mut request = Request::post(&url.path)
            .header(HOST, url.server.authority())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, AGENT);
        let body = match gzip {
            true => {
                request = request.header(CONTENT_ENCODING, "gzip");
                packed(body).map_err(|error| error.to_string())?
            }
            false => body.to_vec(),
        };
        let mut request = request.body(Bytes::from(body)).map_err(|error| error.to_string())?;
        for (name, text) in headers {
            // Whoever read it has looked whether it can be one.
            if let Ok(mut value) = HeaderValue::from_bytes(text.0.as_bytes()) {
                value.set_sensitive(true);
                request.headers_mut().insert(name, value);
            }
        }
        Ok(request)
    }

    /// As the specification of OTLP has it: which answers may be others later, and that a part may have been refused.
    fn judge(&self, answer: &Answer) -> Sent {
        let server = &self.target.url.server;
        if answer.status.is_success() {
            return match refused_part(&answer.body) {
                Some(why) => Sent::Refused(format!("{server} refuses a part: {why}")),
                None => Sent::Taken,
            };
        }
        let text = format!("{server} answers {}", answer.status);
        let is_passing = matches!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        match is_passing {
            true => Sent::Away(text, asked_wait(answer, self.clock.wall())),
            false => Sent::Refused(text),
        }
    }
}

/// What a server says of a part that it did not take. Answers to all signals have the same fields.
fn refused_part(body: &[u8]) -> Option<String> {
    let part = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
    let says = excerpt(&part.error_message);
    (part.rejected_data_points > 0).then(|| format!("{} of them: {says}", part.rejected_data_points))
}

fn packed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body)?;
    packed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::http::HttpUrl;
    use crate::clients::tls::TlsFiles;
    use crate::time::SystemClock;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

    #[test]
    fn pauses_grow_and_are_as_long_as_was_asked_for() {
        let url = HttpUrl::parse("http://127.0.0.1:1/v1/metrics").unwrap();
        let target =
            Target { url, headers: Vec::new(), timeout: Millis(1), gzip: false, tls: TlsFiles::default() };
        let mut route = Route::new("metrics", target, Arc::new(SystemClock::new()));
        let seconds = |pause: Duration| pause.as_secs_f64();
        let asked = Duration::from_secs(500);
        assert_eq!(route.lengthen(Some(Millis(500_000))), asked);
        let second = seconds(route.lengthen(None));
        assert!((1.6..=2.4).contains(&second), "{second}");
        let last = (0..9).map(|_| seconds(route.lengthen(None))).last().unwrap();
        assert!((48.0..=72.0).contains(&last), "{last}");
    }

    #[test]
    fn a_part_that_was_refused_is_told() {
        let answer = |rejected_data_points, error_message: &str| {
            let error_message = error_message.to_owned();
            let part = ExportMetricsPartialSuccess { rejected_data_points, error_message };
            refused_part(&ExportMetricsServiceResponse { partial_success: Some(part) }.encode_to_vec())
        };
        assert_eq!(answer(2, "no\nroom").as_deref(), Some("2 of them: no room"));
        assert_eq!(answer(0, "a warning"), None);
        assert_eq!(refused_part(b""), None);
        assert_eq!(refused_part(b"<html>"), None);
    }
}
