//! The address on which a run answers.

use super::exit::Exit;
use super::fleet::Fleet;
use crate::clients::tls::TlsFiles;
use crate::config::{GUARD_IT, LISTEN, Listen, Serving};
use crate::server::{Opened, Server};
use std::net::SocketAddr;
use std::sync::Arc;

/// Listens where the command line says, the configuration, or by default, which is for runs that last; nowhere is none of
/// these. Nobody is answered yet.
///
/// # Errors
/// An address that somebody has asked for cannot be had, or others could reach it who need no token.
pub fn open(given: Option<&str>, serving: &Serving, lasts: bool) -> Result<Option<Opened>, Exit> {
    let parse = |text: &str| {
        let wrong = || Exit::usage(format!("`--listen {text}`: expected an address with a port, or `none`"));
        Listen::parse(text).ok_or_else(wrong)
    };
    match given.map(parse).transpose()?.or(serving.listen) {
        Some(Listen::Nowhere) => Ok(None),
        Some(listen @ Listen::At(address)) => {
            if let Some(why) = listen.unguarded().filter(|_| serving.tokens.is_empty()) {
                return Err(Exit::config(format!("{why}: {GUARD_IT}")));
            }
            open_at(address, serving).map(Some).map_err(Exit::failed)
        }
        None if lasts => {
            let said =
                |why| tracing::warn!("nobody is answered over HTTP: {why}; `listen` chooses another address");
            Ok(open_at(LISTEN, serving).map_err(said).ok())
        }
        None => Ok(None),
    }
}

fn open_at(address: SocketAddr, serving: &Serving) -> Result<Opened, String> {
    let tls = serving.tls.clone().map(|own| TlsFiles { ca: None, own: Some(own) });
    Opened::open(address, tls)
}

/// Answers there. That nobody can be is no reason not to run.
pub fn serve(opened: Opened, serving: &Serving, fleet: &Arc<Fleet>) -> Option<Server> {
    let url = opened.url();
    match Server::listen(opened, &serving.tokens, fleet.clone()) {
        Ok(server) => {
            tracing::info!("answers on {url}");
            Some(server)
        }
        Err(error) => {
            tracing::warn!("nobody is answered over HTTP: {error}");
            None
        }
    }
}
