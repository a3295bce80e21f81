//! Requests on their way to the worker.

use super::frame;
use super::inbox::{Inbox, Receipt, Received, Request};
use super::service::{Service, Terms};
use crate::clients::http_server::{HttpServing, Listening};
use crate::dataflow::{Journal, Receiver, Refused, SourceError, Startup, Upkeep, set_all, text_at};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Slot};
use crate::expr::SourceField;
use crate::time::Timestamp;
use std::ops::Range;
use std::sync::Arc;

/// The header that tells a request from others: a client repeats it with the request.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a request goes through until its events are rows.
pub struct Receiving {
    listening: Listening,
    upkeep: Upkeep,
    path: String,
    /// What expressions ask of where an event came from, and its slots.
    provided: Vec<(SourceField, Slot)>,
    inbox: Arc<Inbox>,
    service: Arc<Service>,
    serving: Option<HttpServing>,
}

impl Receiving {
    /// One that does not listen yet.
    pub fn new(
        listening: Listening,
        terms: Terms,
        provided: Vec<(SourceField, Slot)>,
        upkeep: Upkeep,
        journal: Option<Arc<Journal>>,
    ) -> Receiving {
        let inbox = Inbox::new(journal);
        let name = |(field, _): &(SourceField, Slot)| match field {
            SourceField::Header(name) => Some(name.clone()),
            _ => None,
        };
        let (path, headers) = (terms.path.clone(), provided.iter().filter_map(name).collect());
        let service = Arc::new(Service::new(terms, headers, inbox.clone()));
        Receiving { listening, upkeep, path, provided, inbox, service, serving: None }
    }
}

impl Receiver for Receiving {
    type Message = Request;
    type Receipt = Receipt;

    fn who(&self) -> &str {
        &self.listening.who
    }

    fn start(&mut self) -> Result<(), SourceError> {
        let failed = |message| SourceError { message };
        let service = self.service.clone();
        let answer = move |request| service.clone().answer(request);
        let serving = HttpServing::start(self.listening.clone(), answer).map_err(failed)?;
        if self.upkeep.startup == Startup::Fail {
            serving.first_attempt().map_err(failed)?;
        }
        self.serving = Some(serving);
        Ok(())
    }

    fn read(&mut self, done: &mut Vec<Receipt>, into: &mut Vec<Received>, refused: &mut Refused) {
        self.acknowledge(done);
        self.inbox.read(into, &mut refused.noted);
    }

    fn acknowledge(&mut self, done: &mut Vec<Receipt>) {
        // Who has gone away does not hear it.
        done.drain(..).flatten().for_each(|tell| _ = tell.send(()));
    }

    fn is_due(receipt: &Receipt) -> bool {
        receipt.is_some()
    }

    fn thaw(frame: &[u8]) -> Result<(Request, Timestamp), Malformed> {
        frame::read(frame)
    }

    fn payload(message: &Request) -> &[u8] {
        &message.body
    }

    fn place(&mut self, message: &Request, batch: &mut Batch, rows: Range<u32>) -> Result<(), String> {
        for (field, slot) in &self.provided {
            match field {
                SourceField::Topic => {
                    let path = batch.store(self.path.as_bytes());
                    set_all(batch, rows.clone(), *slot, text_at(batch, path));
                }
                SourceField::Header(name) => place_header(message, name, batch, rows.clone(), *slot)?,
                SourceField::Partition | SourceField::Offset | SourceField::Timestamp | SourceField::Key => {}
            }
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.inbox.close();
        drop(self.serving.take());
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sets a header in the rows of its request. The key of a request is that of its first event: the others have their number
/// behind it, with a line break between, which no header can hold. So a request that is repeated repeats the same keys, and no
/// two events have the same.
fn place_header(
    message: &Request,
    name: &str,
    batch: &mut Batch,
    rows: Range<u32>,
    slot: Slot,
) -> Result<(), String> {
    let Some((_, value)) = message.headers.iter().find(|(known, _)| known == name) else { return Ok(()) };
    let text = str::from_utf8(value).map_err(|_| format!("the header `{name}` is not UTF-8"))?;
    let whole = batch.store(text.as_bytes());
    let value = text_at(batch, whole);
    if !name.eq_ignore_ascii_case(IDEMPOTENCY_KEY) {
        set_all(batch, rows, slot, value);
        return Ok(());
    }
    for (number, row) in rows.enumerate() {
        let value = match number {
            0 => value,
            _ => {
                let own = batch.store(format!("{text}\n{}", number + 1).as_bytes());
                text_at(batch, own)
            }
        };
        set_all(batch, row..row + 1, slot, value);
    }
    Ok(())
}
