//! Answers of any length: a line each, while whoever asked takes them.

use super::answer::Answer;
use super::control::Control;
use super::handlers::wanted_keys;
use super::route::Asked;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

/// Lines are sent in blocks of about so many bytes.
const BLOCK: usize = 64 << 10;
/// Blocks that may wait to be taken.
pub(super) const WAITING: usize = 4;
/// How long whoever asked may take for one: then it is left alone, as the disk holds what it reads.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The body of such an answer.
pub struct Lines {
    pub(super) first: Option<Bytes>,
    pub(super) rest: Receiver<Bytes>,
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let first = self.first.take().map(|first| Poll::Ready(Some(first)));
        let block = first.unwrap_or_else(|| self.rest.poll_recv(context));
        block.map(|block| block.map(|block| Ok(Frame::data(block))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Has keys given. What goes wrong before the first is an answer of its own; later it is the last line, `{"error": why}`. All
/// is there if the last line is `{"end": how many}`.
///
/// # Errors
/// That answer.
pub async fn keys(asked: Asked, control: Arc<dyn Control>) -> Result<Lines, Answer> {
    let wanted = wanted_keys(&asked.body)?;
    let pipeline = asked.pipeline().to_owned();
    let (sender, mut rest) = channel(WAITING);
    let runtime = Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let mut out = Blocks { sender, runtime, block: Vec::new(), sent: false, is_over: false };
        let mut count = 0u64;
        let given = control.keys(&pipeline, &wanted, &mut |line| {
            count += 1;
            out.line(&line.to_string());
            !out.is_over
        });
        match given {
            Ok(()) => out.line(&json!({ "end": count }).to_string()),
            Err(refusal) if !out.sent => return Err(Answer::refused(&pipeline, refusal)),
            Err(refusal) => out.line(Answer::refused(&pipeline, refusal).written().1.trim_end()),
        }
        out.send();
        Ok(())
    });
    match rest.recv().await {
        first @ Some(_) => Ok(Lines { first, rest }),
        None => match work.await {
            Ok(Err(answer)) => Err(answer),
            _ => Err(Answer::error(500, "the process failed to answer")),
        },
    }
}

/// Lines on their way.
struct Blocks {
    sender: Sender<Bytes>,
    runtime: Handle,
    block: Vec<u8>,
    sent: bool,
    /// Whoever asked is gone, or too slow.
    is_over: bool,
}

impl Blocks {
    fn line(&mut self, line: &str) {
        self.block.extend_from_slice(line.as_bytes());
        self.block.push(b'\n');
        if self.block.len() >= BLOCK {
            self.send();
        }
    }

    fn send(&mut self) {
        let block = Bytes::from(std::mem::take(&mut self.block));
        if !self.is_over && !block.is_empty() {
            let sending = self.sender.send(block);
            let sent = self.runtime.block_on(async { timeout(PATIENCE, sending).await });
            self.is_over = !matches!(sent, Ok(Ok(())));
            self.sent = true;
        }
    }
}
