//! Events as they come, as a browser's `EventSource` takes them.

use super::answer::Answer;
use super::control::{Control, TapLimits};
use super::lines::{Lines, PATIENCE, WAITING};
use super::route::Asked;
use crate::time::Millis;
use hyper::body::Bytes;
use serde_json::json;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc::channel;
use tokio::time::timeout;

/// Has events of a node given. What goes wrong before the first is an answer of its own.
///
/// # Errors
/// That answer.
pub async fn events(asked: Asked, control: Arc<dyn Control>) -> Result<Lines, Answer> {
    let of = |name: &str| asked.query.get(name).copied().unwrap_or_default();
    let time = Millis(of("seconds") as i64 * 1_000);
    let limits = TapLimits { events: of("limit"), rate: of("rate"), time };
    let (sender, mut rest) = channel(WAITING);
    let runtime = Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let send = |text: String| {
            let sending = sender.send(Bytes::from(text));
            matches!(runtime.block_on(async { timeout(PATIENCE, sending).await }), Ok(Ok(())))
        };
        let tapped = control.tap(asked.pipeline(), asked.node(), limits, &mut |event| match event {
            "" => send(":\n\n".to_owned()),
            event => send(format!("data: {event}\n\n")),
        });
        match tapped {
            Ok(missed) => {
                send(format!("event: end\ndata: {}\n\n", json!({ "missed": missed })));
                Ok(())
            }
            Err(refusal) => Err(Answer::refused(asked.pipeline(), refusal)),
        }
    });
    match rest.recv().await {
        first @ Some(_) => Ok(Lines { first, rest }),
        None => match work.await {
            Ok(Err(answer)) => Err(answer),
            _ => Err(Answer::error(500, "the process failed to answer")),
        },
    }
}
