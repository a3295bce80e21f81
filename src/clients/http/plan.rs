//! The plan of a sink that posts events in a format of its own.

use super::probe::rehearse;
use super::{Job, Outgoing, Posting};
use crate::dataflow::{Batching, FormatPlan, Probed, Retry, Sink, SinkPlan, Template};
use hyper::StatusCode;
use std::sync::Arc;

/// A sink that writes to one URL. Its address has nothing but the room that keeps events apart.
#[derive(Debug)]
pub struct PostingPlan {
    job: Job,
    /// What is written where, for people.
    text: String,
    format: Arc<dyn FormatPlan>,
    rehearsal: Outgoing,
    expected: &'static [StatusCode],
    address: [Template; 1],
}

impl PostingPlan {
    /// A sink that posts as `job` says. `rehearsal` is a request that changes nothing and would fail where a real one would;
    /// for `expected` see [`rehearse`].
    pub fn new(
        job: Job,
        text: String,
        format: Arc<dyn FormatPlan>,
        rehearsal: Outgoing,
        expected: &'static [StatusCode],
    ) -> PostingPlan {
        PostingPlan { job, text, format, rehearsal, expected, address: [Template::room()] }
    }
}

impl SinkPlan for PostingPlan {
    fn describe(&self) -> String {
        format!("{} at {}", self.text, self.job.secrets.mask(&self.rehearsal.url.server.to_string()))
    }

    fn address(&self) -> &[Template] {
        &self.address
    }

    fn takes_messages(&self) -> bool {
        true
    }

    fn chooses_format(&self) -> bool {
        false
    }

    fn format(&self) -> Option<Arc<dyn FormatPlan>> {
        Some(self.format.clone())
    }

    fn retried_by(&mut self, retry: Retry) {
        self.job.retry = retry;
    }

    fn gather(&mut self, batching: Batching) -> bool {
        self.job.batching = batching;
        true
    }

    fn refuses(&self) -> bool {
        true
    }

    fn probe(&self) -> Option<Probed> {
        Some(rehearse(&self.job, &self.rehearsal, self.expected))
    }

    fn sink(&self, _preamble: Vec<u8>) -> Box<dyn Sink> {
        Box::new(Posting::new(self.job.clone()))
    }
}
