//! A look at a broker: for `check --connect`.

use super::link::{Accepted, Happened, Link, Wire, link};
use super::{Connecting, Qos, Subscription, Transport};
use crate::dataflow::Probed;
use rumqttc::TlsConfiguration;
use std::time::Duration;

/// How long looking at a broker may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long taking leave may take.
const LEAVE: Duration = Duration::from_millis(500);

/// Connects as a run would, but under a name of its own and without a session, so that nobody is shut out and nothing is
/// left at the broker. Subscribes to what is to be read, but for what others share: of that it would take messages away.
pub fn probe(connecting: &Connecting, qos: Qos, reads: Option<&Subscription>) -> Probed {
    let broker = connecting.shown_address();
    let mut connecting = connecting.clone();
    connecting.client_id.push_str("-check");
    (connecting.clean_start, connecting.session_expiry) = (true, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("{broker}: {error}"))?;
    let outcome: Result<Accepted, String> = runtime.block_on(async {
        let looked = look(&connecting, qos, reads);
        tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    });
    match outcome {
        Ok(Accepted { largest_packet: Some(most), .. }) => {
            Ok(format!("connected to {broker}, which takes packets of {most} bytes at the most"))
        }
        Ok(_) => Ok(format!("connected to {broker}")),
        Err(why) => Err(format!("{broker}: {}", connecting.secrets.mask(&why))),
    }
}

async fn look(connecting: &Connecting, qos: Qos, reads: Option<&Subscription>) -> Result<Accepted, String> {
    let tls = match connecting.address.transport {
        Transport::Tls => Some(TlsConfiguration::Rustls(connecting.tls.load()?)),
        _ => None,
    };
    let (wire, mut link) = link(connecting, tls, true);
    let accepted = accepted(&mut link).await?;
    if reads.is_none() && accepted.highest_qos < qos.number() {
        return Err(format!("the broker takes messages of QoS {} at the most", accepted.highest_qos));
    }
    let own = |filter: &&String| !filter.starts_with("$share/");
    let filters: Vec<String> = reads.iter().flat_map(|reads| &reads.filters).filter(own).cloned().collect();
    if !filters.is_empty() {
        subscribe(&wire, &mut link, Subscription { filters, qos }).await?;
    }
    wire.disconnect();
    let mut happened = Vec::new();
    // The connection ends with an error, however well.
    let over = async { while link.poll(&mut happened).await.is_ok() {} };
    let _ = tokio::time::timeout(LEAVE, over).await;
    Ok(accepted)
}

async fn accepted(link: &mut Link) -> Result<Accepted, String> {
    let mut happened = Vec::new();
    loop {
        link.poll(&mut happened).await?;
        if let Some(Happened::Accepted(accepted)) = happened.first() {
            return Ok(*accepted);
        }
    }
}

async fn subscribe(wire: &Wire, link: &mut Link, subscription: Subscription) -> Result<(), String> {
    wire.subscribe(&subscription);
    let mut happened = Vec::new();
    loop {
        link.poll(&mut happened).await?;
        for happened in happened.drain(..) {
            let Happened::Subscribed(granted) = happened else { continue };
            let refused = subscription.filters.iter().zip(granted).find(|(_, granted)| granted.is_none());
            return match refused {
                Some((filter, _)) => Err(format!(
                    "the broker refuses a subscription to `{filter}`: the user may not read it, or it is no topic there"
                )),
                None => Ok(()),
            };
        }
    }
}
